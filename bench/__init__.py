"""Measurements against the budgets: `python -m bench`."""
