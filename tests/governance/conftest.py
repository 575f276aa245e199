"""The mock servers that stand in for vendors, as the tests of the providers have them."""

from tests.models.conftest import (
    _scripted,
    _unreliable,
    accounts,
    canned,
    mock,
    name,
    scripted,
    unreliable,
)

__all__ = [
    "_scripted",
    "_unreliable",
    "accounts",
    "canned",
    "mock",
    "name",
    "scripted",
    "unreliable",
]
