"""A project without a database login for its workers and services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.project import Project
from bench.services import USER, SignIn
from tests.support.cluster import Database
from tests.support.data_api import is_served, open_project
from tests.support.identities import user


@asynccontextmanager
async def over_the_data_api(project: Project) -> AsyncIterator[SignIn]:
    """Yield whose tokens the Data API takes; workers and services that start now have only that."""
    with_login = project.environment
    project.cluster.set_passwords("authenticator")
    with open_project(Database(project.cluster, "postgres")) as opened:
        await is_served(opened)
        project.environment = {"DATABASE_URL": "", **opened.environment}
        tokens = opened.sign_in.tokens(user(USER))
        yield SignIn(opened.sign_in.url, tokens)
    project.environment = with_login
