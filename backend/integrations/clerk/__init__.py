"""Clerk: the keys that its tokens are signed with."""
