"""The workflow names scripts, commands and settings that exist, and holds nothing secret."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from typer.main import get_command

from backend.cli import commands
from backend.devkit.tokens import Subject, key_id, load_key, mint
from tests.gates.test_supabase_cli import CLI
from tests.images.dockerfile import ROOT
from tests.support.cluster import missing

PATH = ROOT / ".github" / "workflows" / "ci.yml"
TEXT = PATH.read_text("utf-8")
WORKFLOW = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [
    pytest.param(step, id=f"{name}-{number}")
    for name, job in JOBS.items()
    for number, step in enumerate(job["steps"])
]
SIGNING_KEYS = 'signing_keys_path = "./signing_keys.json"'


def scripts() -> list[str]:
    return [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]


def test_it_may_read_the_code_and_nothing_more_and_ends_by_itself() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True
    assert all(0 < job["timeout-minutes"] <= 60 for job in JOBS.values())
    assert not any("permissions" in job for job in JOBS.values())


def test_it_holds_no_secret() -> None:
    assert "secrets" not in TEXT
    assert not re.search(r"sb_secret_|whsec_|eyJ|BEGIN .*PRIVATE", TEXT)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_runs_a_script_that_parses_or_an_action_of_one_version(step: dict[str, Any]) -> None:
    if "uses" in step:
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", step["uses"])
        assert step["with"]["persist-credentials"] is False
        return
    without_places = re.sub(r"\$\{\{.*?\}\}", "it", step["run"])
    done = subprocess.run(["bash", "-n"], input=without_places, text=True, check=False)
    assert done.returncode == 0


def test_each_script_and_command_that_it_runs_is_there() -> None:
    text = "\n".join(scripts())
    runs = [it["run"] for it in JOBS["test"]["strategy"]["matrix"]["include"]]
    for script in {*re.findall(r"(?:\./|\b)(?:scripts|\.github)/[\w.]+", text), *runs}:
        assert (ROOT / script).is_file(), script
    ours = set(get_command(commands).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"\bassistants (\w+)", text)) <= ours
    read = (ROOT / "tests" / "support" / "external_stack.py").read_text("utf-8")
    assert set(re.findall(r"\b(TEST_\w+)=", text)) - {"TEST_"} <= set(re.findall(r"TEST_\w+", read))


def test_a_clean_checkout_is_tested_by_the_command_that_a_laptop_runs() -> None:
    legs = JOBS["test"]["strategy"]["matrix"]["include"]
    assert {"run": ".ci/run", "postgres": 18} in legs
    assert (ROOT / ".ci" / "run").read_text("utf-8").count("./scripts/") == 2
    assert {"run": "scripts/test", "postgres": 17} in legs


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose key the workflow's own steps have made."""
    if not CLI.exists():
        missing("the Supabase CLI is not installed: npm ci in supabase/cli")
    (tmp_path / "supabase").mkdir()
    config = (ROOT / "supabase" / "config.toml").read_text("utf-8")
    (tmp_path / "supabase" / "config.toml").write_text(config, "utf-8")
    (tmp_path / ".github").symlink_to(ROOT / ".github")
    (step,) = (script for script in scripts() if "signing_key.py" in script)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step],
        cwd=tmp_path,
        env={"PATH": path, "RUNNER_TEMP": str(tmp_path)},
        check=True,
    )
    return tmp_path


def test_the_key_of_the_workflow_is_one_that_the_supabase_cli_signs_with(project: Path) -> None:
    config = (project / "supabase" / "config.toml").read_text("utf-8")
    assert config.count(SIGNING_KEYS) == 1
    quiet = {"DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1"}
    done = subprocess.run(
        [CLI, "gen", "bearer-jwt", "--role", "authenticated", "--sub", "user_ada"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project), **quiet},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    key = load_key(project / "issuer.pem")
    token = done.stdout.strip()
    claims = jwt.decode(token, key.public_key(), algorithms=["RS256"])
    assert claims["sub"] == "user_ada"
    assert jwt.get_unverified_header(token)["kid"] == key_id(key)


def test_tokens_of_our_issuer_hold_by_the_key_of_the_workflow(project: Path) -> None:
    (jwk,) = json.loads((project / "supabase" / "signing_keys.json").read_text("utf-8"))
    token = mint(
        load_key(project / "issuer.pem"), "http://issuer", Subject("user_ada"), now_s=2**31
    )
    public = {name: jwk[name] for name in ("kty", "n", "e", "kid", "alg")}
    found = jwt.PyJWKSet([public])[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"verify_iat": False, "verify_nbf": False}
    assert jwt.decode(token, found, algorithms=["RS256"], options=options)["sub"] == "user_ada"
