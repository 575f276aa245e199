"""A run's way through a worker.

worker      claims runs while slots are free, drains at the end
drain       the end of a worker
execution   one run: history, model, tools, outcome
history     rows into the conversation that a model is given
turns       the conversation while it grows
tool_calls  what becomes of the calls that a model makes
endings     finish, fail, release: the last word on a run, under the fence
live        the runs that this worker holds, and how one is stopped
event_log   a run's events on their way to the database
flusher     sends the events of all runs, one statement a tick
heartbeat   keeps the leases, learns of cancellations
queue       the database functions, typed
failures    an error into what happens to the run
loops       steps repeated until told to stop, whatever fails
"""
