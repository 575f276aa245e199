"""What a request wants of a model that it may have no such thing as."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic_ai.profiles import ModelProfile

from backend.domain.options import Options
from backend.ports.models import ModelRequest

_CAN_DO_WITHOUT: tuple[tuple[str, ...], ...] = (
    ("temperature",),
    ("top_p",),
    ("temperature", "top_p"),
    ("reasoning_effort",),
    ("temperature", "top_p", "reasoning_effort"),
)


def lacks_form(profile: ModelProfile, options: Options) -> str | None:
    """Return what the model lacks of the form of the answer, or none."""
    if options.answer is None:
        return None
    if options.answer.schema is None:
        has_it = profile.get("supports_json_object_output", False)
        return None if has_it else "has no json_object answers; ask for a json_schema"
    has_it = profile.get("supports_json_schema_output", False)
    return None if has_it else "has no json_schema answers"


def lacks_reasoning(profile: ModelProfile, options: Options) -> str | None:
    """Return that the model does not reason, where it should, or none."""
    if options.reasoning_effort in (None, "none"):
        return None
    reasons = profile.get("supports_thinking", False) or profile.get(
        "thinking_always_enabled", False
    )
    return None if reasons else "does not reason: it takes no reasoning_effort"


def fitted(
    request: ModelRequest, lacks: Callable[[ModelRequest], str | None]
) -> tuple[ModelRequest, tuple[str, ...]]:
    """Return the request without what the model does not take, and the names of what was left out.

    A form of the answer is never left out: whoever reads the answer relies on it.

    Args:
        request: Of options that were written for another model.
        lacks: What the model has no such thing as, or none.
    """
    if lacks(request) is None:
        return request, ()
    for names in _CAN_DO_WITHOUT:
        left_out = tuple(it for it in names if getattr(request.options, it) is not None)
        nothing: dict[str, Any] = dict.fromkeys(left_out)
        less = replace(request, options=replace(request.options, **nothing))
        if left_out and lacks(less) is None:
            return less, left_out
    return request, ()


def samples(options: Options) -> bool:
    """Return whether anything is said about sampling."""
    return options.temperature is not None or options.top_p is not None
