"""Whether a value fits a JSON schema, and where it does not.

Schemas may be hostile: nothing is ever fetched that a `$ref` names, and patterns are matched in
linear time; a schema that makes too much work is refused before it is used.
"""

import functools
import json
from collections.abc import Sequence
from itertools import islice

from jsonschema_rs import RegexOptions, ValidationError, Validator, validator_for

from backend.domain.json_values import Json, JsonObject
from backend.tools.schema_work import check_work

_MOST_PROBLEMS = 5
_MOST_CHARACTERS = 300


class SchemaUnusable(ValueError):
    """It is no JSON schema that values could be checked against."""


def problems(value: Json, schema: JsonObject, *, root: str = "arguments") -> list[str]:
    """Return what does not fit and where, at most five of them; nothing where all fits.

    Raises:
        SchemaUnusable: The schema is none.
    """
    validator = _validator(_key(schema))
    try:
        return [
            f"{root}{_place(error.instance_path)}: {error.message[:_MOST_CHARACTERS]}"
            for error in islice(validator.iter_errors(value), _MOST_PROBLEMS)
        ]
    except ValueError:
        # Text that is no Unicode, or nested so deeply that nobody can look at it.
        return [f"{root}: it is no JSON that can be read."]


def check(schema: JsonObject) -> None:
    """Return quietly if values can be checked against it.

    Raises:
        SchemaUnusable: They cannot.
    """
    _validator(_key(schema))


def is_schema(schema: JsonObject) -> bool:
    """Whether it is one, be it too much work for us or not; nothing is fetched that it names."""
    try:
        return _is_schema(_key({name: it for name, it in schema.items() if name != "$schema"}))
    except SchemaUnusable:
        return False


@functools.lru_cache(maxsize=512)
def _is_schema(schema: str) -> bool:
    try:
        validator_for(schema, offline=True)
    except (ValidationError, ValueError, RecursionError):
        return False
    return True


def _key(schema: JsonObject) -> str:
    try:
        return json.dumps(schema)
    except (TypeError, ValueError, RecursionError):
        raise SchemaUnusable("The schema is no JSON.") from None


@functools.lru_cache(maxsize=512)
def _validator(schema: str) -> Validator:
    try:
        check_work(json.loads(schema))
        return validator_for(schema, pattern_options=RegexOptions(), offline=True)
    except (ValidationError, ValueError, RecursionError):
        # Its text quotes the schema, which may be anybody's.
        raise SchemaUnusable("The schema is no JSON schema.") from None


def _place(path: Sequence[str | int]) -> str:
    return "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in path)
