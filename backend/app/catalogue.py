"""Who serves which model."""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

import structlog

from backend.app.accounts import HOSTED, variable_of
from backend.errors import ModelNotFound
from backend.model_settings import COMPATIBLE
from backend.ports.models import LLMProvider, ServedModel
from backend.telemetry.names import MODEL_NOT_SERVED, MODEL_REPLACED

_log = structlog.get_logger()


class PrefixCatalogue:
    """Finds the provider by what stands before the colon of a model id."""

    def __init__(
        self,
        providers: Mapping[str, LLMProvider],
        replaced: Mapping[str, str] | None = None,
        names: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Ready.

        Args:
            providers: By prefix.
            replaced: Which model answers in place of which.
            names: All models of those providers that would answer to any name, by prefix.
        """
        self._providers = providers
        self._replaced = replaced or {}
        self._names = names or {}
        self._told: set[str] = set()

    def find(self, model: str) -> ServedModel:
        """Return who serves the model, or its successor.

        Raises:
            ModelNotFound: No provider has this prefix, or model; the message says what to do.
        """
        found = self._replaced.get(model, model)
        if found != model and model not in self._told:
            self._told.add(model)
            _log.info(MODEL_REPLACED, model=model, successor=found)
        prefix, _, name = found.partition(":")
        if prefix not in self._providers or not self._has(prefix, name):
            said = self._advice(found)
            _log.warning(MODEL_NOT_SERVED, model=model, said=said)
            raise ModelNotFound(said)
        return ServedModel(found, name, self._providers[prefix])

    def _has(self, prefix: str, name: str) -> bool:
        return bool(name) and name in self._names.get(prefix, (name,))

    def _advice(self, model: str) -> str:
        prefix, colon, name = model.partition(":")
        if not colon:
            known = {it.partition(":")[2]: it for it in self._replaced.values()}
            near = [known[name] for name in get_close_matches(model, known)]
            return f"{model!r} is no model id, which is provider:name.{_near(near)}"
        if prefix in self._providers and not name:
            return f"{model!r} names its provider alone."
        if prefix in self._providers:
            all_ = ", ".join(f"{prefix}:{it}" for it in self._names[prefix])
            return f"{prefix!r} has no model {name!r}. There are: {all_}."
        if variable := variable_of(prefix):
            return f"No provider serves {prefix!r} here: set {variable}."
        there_are = sorted({*self._providers, *HOSTED, COMPATIBLE})
        near = get_close_matches(prefix, there_are)
        return f"No provider is called {prefix!r}.{_near(near)} There are: {', '.join(there_are)}."


def _near(found: Iterable[str]) -> str:
    return f" Near: {', '.join(found)}." if found else ""
