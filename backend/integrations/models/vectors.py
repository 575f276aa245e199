"""What an embedding class of pydantic-ai returns, into unit vectors."""

import math
from collections.abc import Sequence

from pydantic_ai.embeddings import EmbeddingModel

from backend.domain.usage import Usage
from backend.errors import ModelReplyUnreadable
from backend.integrations.models.stream import usage_of
from backend.ports.models import Embeddings

_EMBEDDED_AT_ONCE = 256


async def embed_with(embedder: EmbeddingModel, texts: Sequence[str]) -> Embeddings:
    """Return one unit vector for each text; many texts are several calls, one after the other.

    Raises:
        ModelReplyUnreadable: The provider has sent something else.
    """
    vectors: list[Sequence[float]] = []
    usage = Usage()
    for start in range(0, len(texts), _EMBEDDED_AT_ONCE):
        # No API takes a text without a character.
        some = [text or " " for text in texts[start : start + _EMBEDDED_AT_ONCE]]
        found = await embedder.embed(some, input_type="document")
        vectors += _units(found.embeddings, len(some))
        usage += usage_of(found.usage)
    return Embeddings(vectors, usage)


def _units(vectors: Sequence[Sequence[float]], wanted: int) -> list[list[float]]:
    lengths = [math.hypot(*vector) for vector in vectors]
    if len(lengths) != wanted or not all(0 < length < math.inf for length in lengths):
        raise ModelReplyUnreadable("The provider has not sent one vector for each text.")
    return [[x / length for x in it] for it, length in zip(vectors, lengths, strict=True)]
