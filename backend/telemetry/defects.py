"""What may be logged of an error: its class and place, and its text only where that is ours."""

from types import TracebackType

from backend.errors import DatabaseRejected, DatabaseUnavailable, SchemaMissing


def describe(error: BaseException) -> dict[str, str]:
    """Return log keys for the error; its message may quote a user, so it is left out."""
    while isinstance(error, BaseExceptionGroup):
        # A group says nothing that its first member does not say better.
        error = error.exceptions[0]
    keys = {"error": type(error).__name__, "place": places(error.__traceback__)[-1]}
    return keys if error.__cause__ is None else keys | {"cause": type(error.__cause__).__name__}


def explain(error: BaseException) -> dict[str, str]:
    """Return what is the matter with a system that we depend on, in words of ours."""
    ours = (DatabaseUnavailable, DatabaseRejected, SchemaMissing)
    return {"said": str(error)} if isinstance(error, ours) else {}


def places(trace: TracebackType | None) -> list[str]:
    """Return module and line of each frame, the innermost last; at least one entry."""
    found = []
    while trace is not None:
        found.append(f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}")
        trace = trace.tb_next
    return found or ["unknown"]
