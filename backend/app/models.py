"""Who serves which model."""

from backend.devkit.offline_model import OfflineModel
from backend.errors import ModelNotFound
from backend.ports.clock import Clock
from backend.ports.models import LLMProvider, ModelCatalogue
from backend.settings import Settings


class PrefixCatalogue:
    """Finds the provider by what stands before the colon of a model id."""

    def __init__(self, providers: dict[str, LLMProvider]) -> None:
        self._providers = providers

    def find(self, model: str) -> tuple[LLMProvider, str]:
        """Return the provider and its own name for the model.

        Raises:
            ModelNotFound: No provider has this prefix.
        """
        prefix, _, name = model.partition(":")
        if prefix not in self._providers or not name:
            raise ModelNotFound(f"No provider serves {prefix!r}.")
        return self._providers[prefix], name


def catalogue(settings: Settings, clock: Clock) -> ModelCatalogue:
    """Return who serves which model."""
    providers: dict[str, LLMProvider] = {
        "offline": OfflineModel(clock, trials=settings.offline_trials)
    }
    if settings.openai_api_key:
        # Who has no key does not pay for the import: a second, and 40 MB.
        from backend.integrations.models.openai import OpenAIProvider  # noqa: PLC0415
        from backend.integrations.models.rehearsal import rehearse  # noqa: PLC0415

        rehearse()
        key = settings.openai_api_key.get_secret_value()
        providers["openai"] = OpenAIProvider(key, base_url=settings.openai_base_url)
    return PrefixCatalogue(providers)
