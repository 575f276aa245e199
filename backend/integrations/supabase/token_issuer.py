"""Pins the tokens that count to one issuer, as the owner of the database."""

import asyncpg

from backend.errors import MigrationRefused
from backend.integrations.supabase.migrations import connect
from backend.integrations.supabase.sqlstates import sqlstate_of

_PIN = "update engine.settings set token_issuer = $1"


async def pin_issuer(admin_url: str, issuer: str) -> None:
    """From now on only tokens of this issuer count, whatever else the project accepts.

    Args:
        admin_url: The owner's login, after the migrations.
        issuer: The claim `iss`, such as https://clerk.example.com.

    Raises:
        MigrationRefused: This is no address of an issuer, the login may not set it, or somebody has
            been reading for five seconds what is about to change.
        DatabaseUnavailable: The database cannot be reached.
    """
    connection = await connect(admin_url)
    try:
        await connection.execute(_PIN, issuer)
    except asyncpg.CheckViolationError:
        said = "an issuer is scheme://host[:port], without a path or a slash at the end"
        raise MigrationRefused(f"CLERK_ISSUER: {said}.") from None
    except asyncpg.LockNotAvailableError:
        said = "something has been reading for five seconds, such as a backup; run it again"
        raise MigrationRefused(f"The issuer cannot be pinned: {said}.") from None
    except asyncpg.PostgresError as error:
        raise MigrationRefused(f"The issuer cannot be pinned ({sqlstate_of(error)}).") from None
    finally:
        connection.terminate()
