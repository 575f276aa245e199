"""What a cached value depends on, as a key: equal requests have equal keys, and no others."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from backend.domain.asker import Asker
from backend.domain.json_values import JsonObject
from backend.domain.options import CacheScope
from backend.ports.caches import Key
from backend.ports.models import ModelRequest

_VERSION = 1
"""Of what is hashed, and of what is kept under it: another one finds nothing of before."""


def owner_of(scope: CacheScope, asker: Asker) -> str | None:
    """Return with whom a value is shared, or none where there is nobody of this scope."""
    whose = {
        "user": asker.user_id,
        "organisation": asker.org_id,
        "assistant": asker.assistant_id,
    }[scope]
    if whose is None:
        return None
    # What a user says alone is not what they say in an organisation, whose answers others see.
    return f"{scope}:{whose}" + (f"@{asker.org_id}" if scope == "user" and asker.org_id else "")


def response_key(request: ModelRequest, owner: str) -> Key:
    """Return the key of the whole request, for whoever shares the answer."""
    asked = replace(request.options, cache=None, service="default")
    parts = [request.model, request.instructions, request.tools, asked, request.messages]
    kept = [message.kept for message in request.messages]
    return _hash("response", owner, parts, kept)


def embedding_key(model: str, text: str) -> Key:
    """Return the key of a text's vector."""
    return _hash("embedding", model, text)


def question_key(request: ModelRequest) -> Key:
    """Return the key of a question among those of its run, whatever it says and whoever answers it.

    It is made anew at each claim: an edited assistant, a budget, a file that cannot be had or a
    server of tools that is gone does not make it another question.
    """
    return _hash("question", request.place)


def result_key(tool: str, arguments: JsonObject, asker: Asker) -> Key:
    """Return the key of what a function answers this asker."""
    return _hash("result", tool, arguments, asker.user_id, asker.org_id, asker.assistant_id)


def _hash(*parts: Any) -> Key:
    # Sorted: equal objects may have been written in different orders.
    text = json.dumps(_plain([_VERSION, *parts]), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Return dataclasses as objects that tell their class: a text and a thought are not the same."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = {it.name: _plain(getattr(value, it.name)) for it in fields(value) if it.compare}
        return {"": type(value).__name__, **shown}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return value
