"""A session's events over HTTP, as they come and again from any point.

subscription.py  one reader's share: what it has not yet been sent
hub.py           reads for all subscriptions of the process at once
frames.py        events as server-sent events
response.py      the answer that goes on until somebody ends it
routes.py        GET /sessions/{id}/events
"""
