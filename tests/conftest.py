"""Fixtures for every test: a real PostgreSQL server, and a database of one's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from tests.mutants.summary import pytest_terminal_summary
from tests.support.cluster import DEFAULT_MAJOR, ClusterPool, Database, PreparedCluster

__all__ = ["pytest_terminal_summary"]

# How long an example takes is the machine's affair; all else stays as Hypothesis has it, also in CI.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def clusters() -> Iterator[ClusterPool]:
    """Yield the servers of this process; none of them is left afterwards."""
    pool = ClusterPool()
    yield pool
    pool.stop()


@pytest.fixture(scope="session")
def cluster(clusters: ClusterPool) -> PreparedCluster:
    """Return the running server of the default version."""
    return clusters.of(DEFAULT_MAJOR)


@pytest.fixture
def database(cluster: PreparedCluster) -> Iterator[Database]:
    """Yield a fresh database with the prelude and all migrations."""
    with cluster.database() as made:
        yield made


@pytest.fixture
def database_of(clusters: ClusterPool) -> Iterator[Callable[[int], Database]]:
    """Yield a function from a PostgreSQL major version to a fresh database on it."""
    with ExitStack() as stack:
        yield lambda major: stack.enter_context(clusters.of(major).database())
