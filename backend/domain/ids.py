"""Ids as the database gives them: the text of a uuid unless said otherwise."""

from typing import NewType

RunId = NewType("RunId", str)
SessionId = NewType("SessionId", str)
MessageId = NewType("MessageId", str)
AssistantId = NewType("AssistantId", str)
UserId = NewType("UserId", str)
"""A Clerk id such as `user_2abc`."""
OrgId = NewType("OrgId", str)
CallId = NewType("CallId", str)
"""Names one tool call; chosen by the model's provider, unique within its run at best."""
WorkerId = NewType("WorkerId", str)
