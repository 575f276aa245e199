"""Logs of a worker in trouble: ids and codes, never what anybody said."""

from tests.faults.scene import Scene, script

SECRET = "the dragon sleeps in Zanzibar"


async def test_no_word_of_a_message_and_no_password_is_logged(scene: Scene) -> None:
    await scene.chat.configure(max_failures=2)
    await scene.admin.execute(
        "create function public.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception using errcode = 'XX000', message = new.content::text; end $$;"
        " create trigger refuse before insert on public.messages for each row"
        " when (new.role = 'assistant' and new.content::text like '%refuse me%') execute function public.refuse()"
    )
    for fault in ("retryable", "fatal", "defect", "truncated"):
        await scene.ask(script(text=SECRET, fault={"kind": fault, "after": 2}))
    await scene.ask(SECRET, script(text=f"refuse me, {SECRET}"))
    worker = await scene.workshop.ready(LOG_LEVEL="DEBUG")
    await scene.until_idle()
    await scene.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = 'assistants_service'"
    )
    await scene.ask(SECRET)
    await scene.until_idle()
    log = worker.log_text()
    assert worker.logged("run.broke")
    for word in ("dragon", "sleeps", "Zanzibar", "refuse me"):
        assert word not in log
    password = scene.workshop.database_url.split(":")[2].split("@")[0]
    assert password not in log
    assert all(line.startswith("{") for line in log.splitlines())


async def test_every_line_about_a_run_names_it(scene: Scene) -> None:
    session = await scene.ask("Hello")
    worker = await scene.workshop.ready()
    await scene.until_logged(worker, "run.ended")
    (run,) = await scene.chat.runs(session)
    (claimed,) = worker.logged("run.claimed")
    (ended,) = worker.logged("run.ended")
    assert claimed["run_id"] == ended["run_id"] == str(run["id"])
    assert ended["status"] == "completed"
