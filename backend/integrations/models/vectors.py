"""What an embedding class of pydantic-ai returns, into unit vectors."""

import math
from collections.abc import Iterator, Sequence

from pydantic_ai.embeddings import EmbeddingModel

from backend.errors import ModelReplyUnreadable
from backend.integrations.models.stream import usage_of
from backend.ports.models import Embeddings

_MOST_TEXTS = 256


def batches(texts: Sequence[str], most_bytes: int) -> Iterator[Sequence[str]]:
    """Yield the texts in their order, as many at once as one request takes, each at least."""
    batch: list[str] = []
    left = most_bytes
    for text in texts:
        size = len(text.encode("utf-8", "surrogatepass"))
        if batch and (size > left or len(batch) == _MOST_TEXTS):
            yield batch
            batch, left = [], most_bytes
        batch.append(text)
        left -= size
    if batch:
        yield batch


async def embed_with(embedder: EmbeddingModel, texts: Sequence[str]) -> Embeddings:
    """Return one unit vector for each text, by one request.

    Raises:
        ModelReplyUnreadable: The provider has sent something else.
    """
    # No API takes a text without a character.
    found = await embedder.embed([text or " " for text in texts], input_type="document")
    return Embeddings(_units(found.embeddings, len(texts)), usage_of(found.usage))


def _units(vectors: Sequence[Sequence[float]], wanted: int) -> list[list[float]]:
    lengths = [math.hypot(*vector) for vector in vectors]
    if len(lengths) != wanted or not all(0 < length < math.inf for length in lengths):
        raise ModelReplyUnreadable("The provider has not sent one vector for each text.")
    return [[x / length for x in it] for it, length in zip(vectors, lengths, strict=True)]
