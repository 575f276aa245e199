"""One operation of an API as a tool."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pydantic_core

from backend.domain.assistants import FunctionTool
from backend.domain.json_values import Json, JsonObject
from backend.errors import ToolRefused, ToolUnavailable
from backend.integrations.openapi.document import Described, Document, OperationUnusable
from backend.integrations.openapi.parameters import (
    Parameter,
    form_of,
    headers_of,
    parameter_of,
    path_of,
    query_of,
)
from backend.ports.http import HttpAnswer, HttpClient, HttpRequest
from backend.ports.tools import ToolContext, ToolTraits

_UNUSUAL = re.compile(r"[^a-zA-Z0-9_-]+")
_BODY = "body"
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_MOST_WORDS = 1024
_MOST_OF_SCHEMA = 32_768
_MOST_OF_ERROR = 500
_MAX_ANSWER_BYTES = 1_000_000
_REFUSED, _TIMED_OUT, _EARLY, _BUSY, _BROKEN = 400, 408, 425, 429, 500


@dataclass(frozen=True, slots=True)
class Api:
    """How the operator has its operations called."""

    name: str
    http: HttpClient
    timeout_s: float = 20.0
    attempts: int = 1
    """Of operations that may be repeated."""
    headers: Callable[[], Mapping[str, str]] = dict
    """Read before each request, so that a secret may be replaced."""
    query: Callable[[], Mapping[str, str]] = dict
    idempotency_header: str | None = None
    """The API makes a request only once where this header says the same."""
    operations: frozenset[str] | None = None
    """By their ids; None: all."""
    base_url: str | None = None
    """None: the document's."""


def name_of(operation_id: str) -> str:
    """Return what the operation is called as a tool."""
    return _UNUSUAL.sub("_", operation_id).strip("_")


class Operation:
    """A tool that sends one request."""

    def __init__(self, api: Api, base_url: str, described: Described, document: Document) -> None:
        """Ready.

        Raises:
            OperationUnusable: It needs what we do not do.
        """
        self._api = api
        self._described = described
        self._url = base_url.rstrip("/")
        self._media, body = _body(described)
        self._parameters = tuple(self._chosen(described))
        self._check_path(described)
        schema = self._schema(document, described, body)
        if len(json.dumps(schema)) > _MOST_OF_SCHEMA:
            raise OperationUnusable("its schema is too large")
        self.definition = FunctionTool(
            name_of(described.id), described.description[:_MOST_WORDS], schema
        )
        repeatable = described.method in _IDEMPOTENT or api.idempotency_header is not None
        attempts = api.attempts if repeatable else 1
        self.traits = ToolTraits(api.timeout_s, attempts, is_repeatable=repeatable)

    @property
    def address(self) -> str:
        """Under which it is asked, without its path."""
        return self._url

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        """Return what the API answers.

        Raises:
            ToolRefused: It refuses, or an argument would lead elsewhere.
            ToolUnavailable: It does not answer, or says that it may later.
        """
        answer = await self._api.http.send(self._request(arguments, context))
        if answer.status in (_TIMED_OUT, _EARLY, _BUSY) or answer.status >= _BROKEN:
            raise ToolUnavailable(f"It answers with status {answer.status}.")
        if answer.status >= _REFUSED:
            said = answer.body[:_MOST_OF_ERROR].decode("utf-8", "replace")
            raise ToolRefused(f"It answers with status {answer.status}: {said}")
        return _read(answer)

    def _request(self, arguments: JsonObject, context: ToolContext) -> HttpRequest:
        given = {it: arguments[it.argument] for it in self._parameters if it.argument in arguments}
        present = {it: value for it, value in given.items() if value is not None}
        path = path_of(self._described.path, present)
        ours = self._api.query()
        pairs = [(name, value) for name, value in query_of(present) if name not in ours]
        query = urlencode([*pairs, *ours.items()])
        headers, content = self._content(arguments)
        headers |= headers_of(present)
        if self._api.idempotency_header:
            headers[self._api.idempotency_header.lower()] = context.idempotency_key
        # Last, so that nothing replaces what the operator says.
        headers |= {name.lower(): value for name, value in self._api.headers().items()}
        return HttpRequest(
            self._described.method,
            f"{self._url}{path}{'?' if query else ''}{query}",
            {"accept": _JSON, **headers},
            content,
            max_bytes=_MAX_ANSWER_BYTES,
            timeout_s=self._api.timeout_s,
        )

    def _content(self, arguments: JsonObject) -> tuple[dict[str, str], bytes | None]:
        if self._media is None or _BODY not in arguments:
            return {}, None
        body = arguments[_BODY]
        content = form_of(body) if self._media == _FORM else json.dumps(body).encode()
        return {"content-type": self._media}, content

    def _chosen(self, described: Described) -> Iterator[Parameter]:
        ours = {name.lower() for name in (*self._api.headers(), *self._api.query())}
        taken = {_BODY} if self._media else set()
        for given in described.parameters:
            name = str(given.get("name"))
            if name.lower() in ours and given.get("in") != "path":
                continue
            argument = _UNUSUAL.sub("_", name).strip("_")[:60] or "value"
            if argument in taken:
                argument = f"{given.get('in')}_{argument}"
            if argument in taken:
                raise OperationUnusable("two of its parameters have one name")
            if made := parameter_of(given, argument):
                taken.add(argument)
                yield made

    def _check_path(self, described: Described) -> None:
        wanted = set(re.findall(r"\{([^{}]*)\}", described.path))
        there = {it.name for it in self._parameters if it.place == "path"}
        if wanted != there or not described.path.startswith("/"):
            raise OperationUnusable("its path and its parameters disagree")
        if set(re.sub(r"\{[^{}]*\}", "", described.path)) & set("?#\\{}@ "):
            raise OperationUnusable("its path is none")

    def _schema(
        self, document: Document, described: Described, body: Mapping[str, Any] | None
    ) -> JsonObject:
        given = {(str(it.get("in")), str(it.get("name"))): it for it in described.parameters}
        chosen = {it.argument: given[it.place, it.name] for it in self._parameters}
        properties = {argument: _schema_of(it) for argument, it in chosen.items()}
        required = [
            it.argument
            for it in self._parameters
            if it.place == "path" or chosen[it.argument].get("required") is True
        ]
        if body is not None and described.body is not None:
            properties[_BODY] = body
            required += [_BODY] if described.body.get("required") is True else []
        # As one schema, so that what several of them refer to stands there once.
        whole = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**document.schema(whole), "required": required}


def _schema_of(parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    content = parameter.get("content")
    if isinstance(content, dict) and content:
        holder = next(iter(content.values()))
        schema = holder.get("schema", {}) if isinstance(holder, dict) else {}
    else:
        schema = parameter.get("schema", {})
    said = parameter.get("description")
    if isinstance(said, str) and isinstance(schema, dict) and "$ref" not in schema:
        return {"description": said[:_MOST_WORDS], **schema}
    return schema if isinstance(schema, dict) else {}


def _body(described: Described) -> tuple[str | None, Mapping[str, Any] | None]:
    if described.body is None:
        return None, None
    content = described.body.get("content")
    for media, holder in content.items() if isinstance(content, dict) else ():
        plain = str(media).partition(";")[0].strip().lower()
        if plain in (_JSON, _FORM) or (
            plain.startswith("application/") and plain.endswith("+json")
        ):
            schema = holder.get("schema") if isinstance(holder, dict) else None
            return plain, schema if isinstance(schema, dict) else {}
    if described.body.get("required") is True:
        raise OperationUnusable("it demands a body that is neither JSON nor a form")
    return None, None


def _read(answer: HttpAnswer) -> Json:
    if not answer.body:
        return {"status": answer.status}
    if answer.content_type == _JSON or answer.content_type.endswith("+json"):
        try:
            found: Json = pydantic_core.from_json(answer.body)
        except ValueError:
            raise ToolUnavailable("Its answer says that it is JSON, and is none.") from None
        return found
    if answer.content_type.startswith("text/") or not answer.content_type:
        return answer.body.decode("utf-8", "replace")
    raise ToolRefused("Its answer is neither JSON nor text.")
