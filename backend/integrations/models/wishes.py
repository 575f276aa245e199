"""What a request wants of a model that it may have no such thing as."""

from pydantic_ai.profiles import ModelProfile

from backend.domain.options import Options


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


def samples(options: Options) -> bool:
    """Return whether anything is said about sampling."""
    return options.temperature is not None or options.top_p is not None
