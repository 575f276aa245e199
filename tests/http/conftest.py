"""One project for all tests over HTTP: a local stack, or the one that the environment names."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from supabase import Client

from tests.http.attachments import PNG, a_path, files
from tests.http.crew import WAYS, Crew, open_crew
from tests.support import external_stack
from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Yield the project, where nobody answers yet."""
    if external_stack.is_named():
        opening = external_stack.external_stack()
    else:
        opening = running_stack(workers=0)
    with opening as made:
        yield made


@pytest.fixture(scope="session", params=WAYS)
def crew(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Crew]:
    """Yield who answers there."""
    with open_crew(stack, request.param) as made:
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


@pytest.fixture
def path(mine: Client, user: str) -> str:
    """Return where a picture of the user's lies."""
    made = a_path(user)
    files(mine).upload(made, b"\x89PNG mine", PNG)
    return made
