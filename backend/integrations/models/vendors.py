"""What differs from vendor to vendor, or from server to server."""

from collections.abc import Sequence
from typing import Protocol

from pydantic_ai.embeddings import EmbeddingModel
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from backend.domain.json_values import JsonObject
from backend.ports.models import ModelRequest


class Vendor(Protocol):
    """What is particular about one vendor, or one server."""

    base_url: str
    """Where its API is."""
    names: Sequence[str]
    """Of models that are known, to name those that are near a wrong one."""
    errors: tuple[type[Exception], ...]
    """What its client raises, where pydantic-ai does not put it into an error of its own."""

    call_id_length: int | None
    """Of the ids of tool calls, where it takes no other: so many letters and digits."""
    keeps_plain_thoughts: bool
    """It takes back what it thought without having signed it."""
    reads_pdf: bool
    """Its models are given documents as they are, others their text."""
    user_begins: bool
    """It refuses a conversation whose first word is the assistant's."""
    is_always_strict: bool
    """It has no answer after a schema that it does not guarantee."""
    rehearsal: Sequence[JsonObject]
    """The events of a short answer with a word and a tool call, for `rehearse`."""

    def model(self, key: str, request: ModelRequest) -> Model:
        """Return the model that is asked, with this key."""
        ...

    def lacks(self, model: Model, request: ModelRequest) -> str | None:
        """Return what the request wants and the model has no such thing as, or none."""
        ...

    def settings(self, common: ModelSettings, request: ModelRequest, model: Model) -> ModelSettings:
        """Return what is sent beside the conversation: the common settings and its own."""
        ...

    def embedder(self, key: str, name: str) -> EmbeddingModel | None:
        """Return the embedding model of this name, or none where the vendor has no such thing."""
        ...
