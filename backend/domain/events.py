"""The types of the events that a run streams."""

RUN_STARTED = "run.started"
MESSAGE_DELTA = "message.delta"
MESSAGE_DISCARDED = "message.discarded"
