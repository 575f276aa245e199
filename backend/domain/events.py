"""The types of the events that a run streams."""

RUN_STARTED = "run.started"
MESSAGE_DELTA = "message.delta"
MESSAGE_DISCARDED = "message.discarded"
ENDINGS = frozenset(
    {"run.completed", "run.incomplete", "run.failed", "run.cancelled", "run.expired"}
)
"""A run says exactly one of these, as its last word."""
