"""Values made up from a JSON schema, always the same ones: arguments of tools, answers."""

from typing import Any

_DEEPEST = 8
_MOST_ITEMS = 3
_SMALL_BELOW = 2
_MOST_CHARS = 1000


def fill(schema: Any, *, depth: int = 0, whole: Any = None) -> Any:
    """Return the simplest value that a JSON schema describes.

    Defaults, constants and the first choice win; of objects all properties are filled.

    Args:
        schema: Anybody's.
        depth: How deep in the whole one this is.
        whole: That its references point into; itself by default.
    """
    whole = schema if whole is None else whole
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    if isinstance(schema.get("$ref"), str):
        return fill(_referred(whole, schema["$ref"]), depth=depth + 1, whole=whole)
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    for several in ("enum", "examples"):
        if schema.get(several):
            return schema[several][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return fill(schema[choice][0], depth=depth + 1, whole=whole)
    return _of_type(schema, depth, whole)


def _of_type(schema: dict[str, Any], depth: int, whole: Any) -> Any:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties") or {}
        return {
            name: fill(value, depth=depth + 1, whole=whole) for name, value in properties.items()
        }
    if kind == "array":
        # A user's schema must not decide how much a worker builds.
        most = _MOST_ITEMS if depth < _SMALL_BELOW else 1
        wanted = _count(schema.get("minItems", 1), most=most)
        return [fill(schema.get("items", {}), depth=depth + 1, whole=whole)] * wanted
    if kind == "string":
        return "x" * max(_count(schema.get("minLength", 1), most=_MOST_CHARS), 1)
    if kind in ("integer", "number"):
        least = schema.get("minimum", 1)
        return least if isinstance(least, int | float) else 1
    return True if kind == "boolean" else None


def _referred(whole: Any, reference: str) -> Any:
    """Return what a reference within the schema points to; none for any other."""
    found = whole if reference.startswith("#") else None
    for step in reference.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _count(given: Any, *, most: int) -> int:
    return min(max(int(given), 0), most) if isinstance(given, int | float) else most
