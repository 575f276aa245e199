"""What stands between a run and its models: fallbacks, limits, budgets, caches, the bill.

Each is a provider around a provider; `backend.app.models` puts them together.
"""
