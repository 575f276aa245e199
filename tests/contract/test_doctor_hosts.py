"""What the doctor says of hosted projects, which no test can ask: poolers, addresses, pages, clocks."""

import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from backend.domain.checks import any_failed, fails, holds, warns
from backend.integrations.supabase import checks
from backend.integrations.supabase.dashboard import page, project_url
from backend.integrations.supabase.diagnosis import diagnose
from backend.integrations.supabase.login import check_shape, refused
from backend.ports.gateway import SERVICE, Identity

PROJECT = "https://abcdefghijklmnopqrst.supabase.co"
DIRECT = "postgresql://postgres:s3cret@db.abcdefghijklmnopqrst.supabase.co:5432/postgres"
POOLER = "postgresql://{user}:s3cret@aws-0-eu-central-1.pooler.supabase.com:6543/postgres"
SAID: dict[str, Any] = {
    "schema_version": None,
    "workers": 0,
    "server_version": "17.4",
    "unguarded": [],
    "policies": [],
    "webhook": {"pg_net": False, "vault": False, "url": False, "secret": False},
    "realtime": False,
    "default_model": None,
    "user_models": [],
}


class Database:
    """A database whose clock is off."""

    def __init__(self, off: timedelta) -> None:
        self._off = off

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        assert (function, dict(arguments), identity) == ("engine.diagnose", {}, SERVICE)
        return {**SAID, "now": (datetime.now(UTC) + self._off).isoformat()}


@pytest.mark.parametrize(
    ("off_s", "level"), [(0, "ok"), (1.5, "ok"), (-1.5, "ok"), (3, "fail"), (-60, "fail")]
)
async def test_a_database_whose_clock_is_off_is_found(off_s: float, level: str) -> None:
    _, said = await diagnose(Database(timedelta(seconds=off_s)), None)
    assert said
    assert checks.check_clock(said).level == level


async def test_a_database_without_a_history_is_told_to_migrate() -> None:
    _, said = await diagnose(Database(timedelta()), None)
    assert said
    assert "supabase db push" in checks.check_schema(said).advice


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), OSError(101, "unreachable")])
def test_a_direct_address_that_cannot_be_reached_is_ipv6_alone(error: OSError) -> None:
    check = refused(DIRECT, error, PROJECT)
    assert "IPv6" in check.advice
    assert "pooler.supabase.com:5432" in check.advice
    assert f"dashboard/project/{PROJECT[8:28]}?showConnect=true" in check.advice
    assert "s3cret" not in check.found + check.advice


def test_a_poolers_user_without_the_project_is_found_before_anybody_is_asked() -> None:
    check = check_shape(POOLER.format(user="assistants_service"), PROJECT)
    assert check
    assert "assistants_service.<project>" in check.advice
    assert check_shape(POOLER.format(user="assistants_service.abc"), PROJECT) is None


def test_a_poolers_refusal_is_told_from_a_wrong_password() -> None:
    url = POOLER.format(user="assistants_service.abc")
    unknown = asyncpg.InternalServerError("Tenant or user not found")
    wrong = asyncpg.InvalidPasswordError('password authentication failed for user "s3cret"')
    assert "does not know" in refused(url, unknown, None).found
    assert "28P01" in refused(url, wrong, None).found
    assert "s3cret" not in refused(url, wrong, None).found


@pytest.mark.parametrize(
    "url", ["nonsense", "https://example.com", "postgresql://a@h:99999/x", "postgresql://[/x"]
)
def test_what_is_no_login_is_said_to_be_none(url: str) -> None:
    check = check_shape(url, None)
    assert check
    assert url not in check.found


@pytest.mark.parametrize(
    ("login", "project"),
    [
        (DIRECT, PROJECT),
        (POOLER.format(user="postgres.abcdefghijklmnopqrst"), PROJECT),
        (POOLER.format(user="postgres"), None),
        ("postgresql://postgres.x@127.0.0.1/postgres", None),
        ("postgresql://[/x", None),
    ],
)
def test_a_login_names_its_project(login: str, project: str | None) -> None:
    assert project_url(login) == project


def test_pages_are_links_for_hosted_projects_and_names_for_others() -> None:
    assert page(f"{PROJECT}/", "api keys") == (
        "https://supabase.com/dashboard/project/abcdefghijklmnopqrst/settings/api-keys"
    )
    for url in (None, "http://127.0.0.1:54321", "https://a.b.supabase.co"):
        assert "https://" not in page(url, "api keys")


def test_only_a_failure_fails() -> None:
    assert not any_failed([holds("a", ""), warns("b", "", "")])
    assert any_failed([holds("a", ""), fails("b", "", "")])
