"""Chat completions and embeddings as OpenAI made them up, spoken by other servers than OpenAI's."""

from collections.abc import Sequence

from httpx2 import AsyncClient
from openai import AsyncOpenAI

from backend.domain.json_values import JsonObject

MISTRAL_CALL_ID_LENGTH = 9
"""Its API and the templates of its open models, wherever they are served, may refuse all others."""
_CALL: JsonObject = {"index": 0, "id": "call00000", "type": "function"}
_DELTAS: Sequence[tuple[JsonObject, str | None]] = (
    ({"role": "assistant", "content": "-"}, None),
    ({"tool_calls": [{**_CALL, "function": {"name": "f", "arguments": "{}"}}]}, None),
    ({"content": ""}, "tool_calls"),
)
CHAT_REHEARSAL: Sequence[JsonObject] = tuple(
    {
        "id": "chat_0",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "rehearsal",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    for delta, reason in _DELTAS
)


def open_client(key: str, base_url: str, pool: AsyncClient) -> AsyncOpenAI:
    """Return a client that tells the server nothing of an account with OpenAI.

    Args:
        key: Of this server, or NO_KEY.
        base_url: With its `/v1`.
        pool: Of connections.
    """
    # Its client insists on a key, and would take OpenAI's from the environment; so it does with
    # the rest of these. Servers that ask for no key pass over one.
    client = AsyncOpenAI(api_key=key or "none", base_url=base_url, http_client=pool, max_retries=0)
    client.organization = client.project = None
    client._custom_headers = {}  # noqa: SLF001 - OPENAI_CUSTOM_HEADERS has no other way out
    return client
