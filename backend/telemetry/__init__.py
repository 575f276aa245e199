"""Logs: set up by `app`; everyone else only emits."""
