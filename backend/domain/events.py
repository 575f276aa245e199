"""The types of the events that a run streams."""

RUN_STARTED = "run.started"
MESSAGE_DELTA = "message.delta"
MESSAGE_DISCARDED = "message.discarded"
CALL_STARTED = "tool_call.started"
CALL_COMPLETED = "tool_call.completed"
CALL_FAILED = "tool_call.failed"
"""The service calls one of its own functions; the model is told of a failure and goes on."""
ENDINGS = frozenset(
    {"run.completed", "run.incomplete", "run.failed", "run.cancelled", "run.expired"}
)
"""A run says exactly one of these, as its last word."""
