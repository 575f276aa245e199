"""The provider under test, and the servers that stand in for OpenAI."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.models.accounts import PROVIDERS, Accounts
from tests.models.canned import Canned, canned_server
from tests.models.servers import Scripted, Unreliable, scripted_server, unreliable_server


@pytest.fixture(scope="session")
def _unreliable() -> Iterator[Unreliable]:
    with unreliable_server() as server:
        yield server


@pytest.fixture(scope="session")
def _scripted() -> Iterator[Scripted]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def unreliable(_unreliable: Unreliable) -> Unreliable:
    """Return an llmock that knows nothing of other tests."""
    _unreliable.reset()
    return _unreliable


@pytest.fixture
def scripted(_scripted: Scripted) -> Scripted:
    """Return an aimock that knows nothing of other tests."""
    _scripted.reset()
    return _scripted


@pytest_asyncio.fixture
async def canned() -> AsyncIterator[Canned]:
    """Yield a server that sends exact bytes."""
    async with canned_server() as server:
        yield server


@pytest_asyncio.fixture
async def accounts() -> AsyncIterator[Accounts]:
    """Yield a maker of providers; none of them has an open connection afterwards."""
    made = Accounts()
    yield made
    await made.close()


@pytest.fixture(params=PROVIDERS)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each provider that asks over HTTP."""
    return str(request.param)


@pytest.fixture(params=["llmock", "aimock"])
def mock(
    request: pytest.FixtureRequest, unreliable: Unreliable, scripted: Scripted
) -> Unreliable | Scripted:
    """Return each of the mock servers that others wrote."""
    return unreliable if request.param == "llmock" else scripted
