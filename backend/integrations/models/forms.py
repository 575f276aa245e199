"""The form of an answer, for Mistral: its API takes one, pydantic-ai's class for it sends none."""

from typing import Any, cast

from mistralai.client import Mistral as Client
from mistralai.client.models import JSONSchema, ResponseFormat
from pydantic_ai.models.mistral import MistralModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.mistral import MistralProvider

from backend.domain.options import JsonAnswer

_PROFILE = ModelProfile(supports_json_object_output=True, supports_json_schema_output=True)


def form_of(answer: JsonAnswer | None) -> ResponseFormat | None:
    """Return the form in Mistral's words; none for text."""
    if answer is None:
        return None
    if answer.schema is None:
        return ResponseFormat(type="json_object")
    told = {"name": answer.name, "schema": dict(answer.schema), "strict": answer.is_strict}
    if answer.description is not None:
        told["description"] = answer.description
    return ResponseFormat(type="json_schema", json_schema=JSONSchema.model_validate(told))


class FormedModel(MistralModel):
    """A model whose answers have a form."""

    def __init__(self, name: str, provider: MistralProvider, form: ResponseFormat | None) -> None:
        super().__init__(name, provider=provider, profile=_PROFILE)
        self._form = form

    def over(self, provider: MistralProvider) -> "FormedModel":
        """Return the same model by another provider."""
        return FormedModel(self.model_name, provider, self._form)

    @property
    def client(self) -> Client:
        """Mistral's, which asks for the form, whatever it is told to ask for."""
        plain = super().client
        return plain if self._form is None else cast("Client", _FormedClient(plain, self._form))


class _FormedClient:
    def __init__(self, client: Client, form: ResponseFormat) -> None:
        self.chat = _FormedChat(client, form)


class _FormedChat:
    def __init__(self, client: Client, form: ResponseFormat) -> None:
        self._client = client
        self._form = form

    async def stream_async(self, **asked: Any) -> Any:
        asked["response_format"] = self._form
        return await self._client.chat.stream_async(**asked)

    async def complete_async(self, **asked: Any) -> Any:
        asked["response_format"] = self._form
        return await self._client.chat.complete_async(**asked)
