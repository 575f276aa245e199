"""Full-text search of the messages that the asker may read."""

import asyncio
from itertools import islice
from typing import Annotated, Any

from pydantic import Field

from backend.domain.json_values import JsonObject
from backend.domain.messages import Message, parts_from_json
from backend.errors import InputInvalid, NotPermitted, ToolRefused
from backend.ports.gateway import Caller, Gateway
from backend.ports.tools import ToolContext
from backend.tools.registry import PythonTool, tool

Query = Annotated[str, Field(min_length=1, max_length=1000)]
Limit = Annotated[int, Field(ge=1, le=50)]
_EXCERPT = 600
_BEFORE = 150
_MOST_WORDS = 16


def database_search(gateway: Gateway) -> PythonTool:
    """Return `search_database`."""

    @tool(open_to_users=True, timeout_s=20, attempts=3)
    async def search_database(  # noqa: D417 - the model does not see the context
        query: Query, context: ToolContext, limit: Limit = 10
    ) -> list[JsonObject]:
        """Search the user's conversations for words; the newest messages come first.

        Args:
            query: Words that must all occur; "quoted phrase", or, and -excluded as on the web.
            limit: How many messages at most.
        """
        rows = await _found(gateway, context, {"p_query": query, "p_limit": limit})
        # Away from the event loop: fifty messages may have megabytes.
        return await asyncio.to_thread(lambda: [_shown(row, query, context) for row in rows])

    return search_database


async def _found(gateway: Gateway, context: ToolContext, wanted: dict[str, Any]) -> Any:
    claims = context.asker.claims
    if not claims.get("sub"):
        raise ToolRefused("It is not known for whom to search.")
    try:
        # As the asker: row-level security decides what there is.
        return await gateway.call("public.search_messages", wanted, identity=Caller(claims))
    except (InputInvalid, NotPermitted):
        raise ToolRefused("This cannot be searched for.") from None


def _shown(row: Any, query: str, context: ToolContext) -> JsonObject:
    text = Message(row["role"], parts_from_json(row["content"])).text
    return {
        "text": _excerpt(text, query),
        "role": row["role"],
        "created_at": str(row["created_at"]),
        "message_id": str(row["id"]),
        "session_id": str(row["session_id"]),
        "in_this_conversation": str(row["session_id"]) == context.session_id,
    }


def _excerpt(text: str, query: str) -> str:
    if len(text) <= _EXCERPT:
        return text
    lower = text.lower()
    words = dict.fromkeys(word.strip('"-') for word in query.lower().split())
    places = (lower.find(word) for word in islice(filter(None, words), _MOST_WORDS))
    start = max(0, min((place for place in places if place >= 0), default=0) - _BEFORE)
    piece = text[start : start + _EXCERPT]
    return f"{'…' if start else ''}{piece}{'…' if start + _EXCERPT < len(text) else ''}"
