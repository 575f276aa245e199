"""compose.yaml and .env.example say what the processes are given, and what they are not."""

import re
from typing import Any

import pytest
import yaml
from typer.main import get_command

from backend.cli import commands
from backend.settings import DATA_VARIABLE, OwnerSettings, Settings
from backend.telemetry.liveness import STALE_S
from tests.images.dockerfile import ROOT, health, stages

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
IGNORED = (ROOT / ".gitignore").read_text("utf-8").splitlines()
KNOWN = {name.upper() for name in (*Settings.model_fields, *OwnerSettings.model_fields)}
ROLES = ["service", "worker", "migrate"]


def role(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def option_names(command: str) -> set[str]:
    parameters = get_command(commands).commands[command].params  # type: ignore[attr-defined]
    return {name for it in parameters for name in (*it.opts, *it.secondary_opts)}


def check_command(words: list[str]) -> None:
    """The command line has a command of ours, and options that it takes."""
    command, *options = words
    assert set(options) <= option_names(command)


def test_there_are_a_service_and_workers_and_a_migration_on_demand() -> None:
    assert list(COMPOSE["services"]) == ROLES
    assert [name for name in ROLES if "profiles" not in role(name)] == ["service", "worker"]
    assert role("migrate")["profiles"] == ["migrate"]


@pytest.mark.parametrize("name", ROLES)
def test_a_container_has_no_rights_and_a_root_that_nobody_writes(name: str) -> None:
    given = role(name)
    assert given["read_only"] is True
    assert given["tmpfs"] == ["/tmp:size=16m"]
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert given["user"] == stages()[-1].one("USER")
    assert given["user"].partition(":")[0] not in {"", "0", "root"}
    assert given["mem_limit"]
    assert given["pids_limit"] > 0
    assert not {"privileged", "volumes", "network_mode", "pid", "devices"} & set(given)


@pytest.mark.parametrize("name", ["service", "worker"])
def test_neither_service_nor_worker_has_the_login_of_the_owner(name: str) -> None:
    # What stands here beats what stands in .env.
    assert role(name)["environment"]["ADMIN_DATABASE_URL"] == ""
    assert role(name)["env_file"] == ".env"


def test_the_migration_has_the_login_of_the_owner_and_nothing_else() -> None:
    given = role("migrate")
    assert given["env_file"] == []
    assert given["environment"] == {
        "ADMIN_DATABASE_URL": "${ADMIN_DATABASE_URL-}",
        "CLERK_ISSUER": "${CLERK_ISSUER-}",
    }
    assert given["restart"] == "no"


@pytest.mark.parametrize("name", ROLES)
def test_a_container_runs_a_command_of_ours_by_settings_of_ours(name: str) -> None:
    given = role(name)
    # The migration's takes options from whoever runs it.
    entrypoint = given.get("entrypoint", ["assistants"])
    assert entrypoint[0] == "assistants"
    check_command([*entrypoint[1:], *given["command"]])
    assert set(given["environment"]) <= KNOWN
    assert set(re.findall(r"\$\{(\w+)", str(given))) <= KNOWN


@pytest.mark.parametrize("name", ["service", "worker"])
def test_a_container_is_asked_for_its_health_by_a_command_that_knows_its_role(name: str) -> None:
    asked = role(name)["healthcheck"]
    assert asked["test"] == ["CMD", "assistants", "healthy", f"--{name}"]
    check_command(asked["test"][2:])


def test_the_image_asks_as_often_as_compose_does_by_a_command_for_both_roles() -> None:
    options, command = health(stages()[-1])
    asked = role("worker")["healthcheck"]
    assert command == ["assistants", "healthy"]
    assert {name.replace("-", "_"): value for name, value in options.items()} == {
        name: str(value) for name, value in asked.items() if name != "test"
    }
    # A worker that just fell silent is found out by the retries, not by the first question.
    assert seconds(asked["interval"]) < STALE_S


@pytest.mark.parametrize("name", ["service", "worker"])
def test_a_container_has_time_to_drain_and_comes_back_by_itself(name: str) -> None:
    drain_s = Settings.model_fields["worker_drain_s"].default
    assert seconds(role(name)["stop_grace_period"]) >= drain_s + 10
    assert role(name)["restart"] == "unless-stopped"


def test_only_the_service_has_a_port_and_only_this_machine_reaches_it() -> None:
    inside = role("service")["environment"]["API_PORT"]
    assert role("service")["ports"] == [f"127.0.0.1:${{API_PORT:-{inside}}}:{inside}"]
    assert stages()[-1].one("EXPOSE") == inside
    assert not [name for name in ROLES if "ports" in role(name) and name != "service"]


def test_the_image_sets_what_settings_know() -> None:
    ours = {
        name
        for name in stages()[-1].environment("")
        if not name.startswith("PYTHON") and name != "PATH"
    }
    assert ours == {"API_HOST", "LOG_FOLDER", "WORKER_LIVENESS_FILE"}
    assert ours <= KNOWN


def test_the_example_names_settings_that_exist_and_the_owner_is_not_among_them() -> None:
    named = re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.MULTILINE)
    assert {"DATABASE_URL", "CLERK_ISSUER", "OPENAI_API_KEY"} <= set(named)
    assert len(named) == len(set(named))
    assert set(named) <= {name.upper() for name in Settings.model_fields} - {DATA_VARIABLE}


def test_no_value_of_the_example_works() -> None:
    values = re.findall(r"^#?[A-Z_]+=(.*)$", EXAMPLE, re.MULTILINE)
    assert all("<" in value or value == "true" for value in values)
    # Nothing is said until somebody takes the sign away.
    assert not re.findall(r"^[^#\n]", EXAMPLE, re.MULTILINE)


def test_git_keeps_the_example_and_no_file_with_values() -> None:
    assert {".env", ".env.*", "!.env.example", "supabase/signing_keys.json"} <= set(IGNORED)
