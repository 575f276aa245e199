"""A project as somebody gets it from a host: empty, and with nobody's superuser.

Its owner is no superuser, new objects are granted to nobody, there is neither pg_net nor Vault, and
the only way to the database is a pooler in transaction mode.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from tests.support.cluster import PRELUDE, Database, PreparedCluster
from tests.support.data_api import Project, open_project
from tests.support.pooler import pooler_of_all_logins

_GRANT_NOTHING = """
alter default privileges for role postgres revoke execute on functions from public;
alter default privileges for role postgres revoke usage on types from public;
"""


@dataclass(frozen=True)
class Hosted:
    """What the host's pages show of the project."""

    project: Project
    database: Database
    owner_url: str
    """Of the role `postgres`, through the pooler."""


@contextmanager
def hosted_project(cluster: PreparedCluster) -> Iterator[Hosted]:
    """Yield an empty project; nothing of it is left afterwards."""
    with cluster.database(template="template0") as database:
        database.execute(PRELUDE.read_text(encoding="utf-8"))
        database.execute(_GRANT_NOTHING)
        with (
            pooler_of_all_logins(database.url("supabase_admin")) as place,
            open_project(database) as project,
        ):
            yield Hosted(project, database, _through(place, database.url("postgres")))


def _through(place: str, url: str) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{place}"))
