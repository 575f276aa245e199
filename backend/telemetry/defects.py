"""What may be logged of an unexpected error: its class and place, never its text."""


def describe(error: BaseException) -> dict[str, str]:
    """Return log keys for the error; its message may quote a user, so it is left out."""
    return {"error": type(error).__name__, "place": _place(error)}


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return "unknown"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
