"""Clerk: its session tokens, and the keys that they are signed with."""
