"""Questions that are other ones by the time their answers come."""

from typing import Any

import pytest

from tests.batches.relay import each_line
from tests.batches.scene import CREATE, QUESTION, SAID, BatchScene

_EDITS = {
    "other instructions": "update public.assistants set instructions = 'Be brief, please.'",
    "other options": "update public.assistants set options = options || '{\"temperature\": 0.1}'",
    "no batches any more": "update public.assistants set options = options - 'service'",
    "another model": "update public.assistants set model = 'offline:demo'",
}


@pytest.mark.parametrize("edit", list(_EDITS))
async def test_an_answer_is_used_though_its_assistant_was_edited_while_it_waited(
    scene: BatchScene, edit: str
) -> None:
    relay = await scene.use("mistral")
    session = await scene.ask(QUESTION)
    scene.work(MODEL_BATCH_POLL_S="1")
    await scene.until_batch("open")
    await scene.admin.execute(_EDITS[edit])
    await scene.until_idle()

    assert SAID["mistral"] in (await scene.answer_of(session))[0]
    assert relay.count("POST", CREATE["mistral"]) == 1
    assert not relay.count("POST", "/v1/chat/completions")
    assert len(await scene.calls()) == 1
    await scene.assert_sound()


async def test_a_question_that_was_too_long_is_asked_once_more_with_less(scene: BatchScene) -> None:
    relay = await scene.use("mistral")
    await scene.admin.execute("update public.assistants set options = options - 'service'")
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()
    await scene.use("mistral")
    refused: list[str] = []

    def refuse(line: dict[str, Any]) -> dict[str, Any]:
        refused[:] = refused or [line["custom_id"]]
        if line["custom_id"] in refused:
            error = {"message": "prompt is too long: context length exceeded"}
            line["response"] |= {"status_code": 400, "body": {"error": error}}
        return line

    relay.changes.append(each_line("/content", refuse))
    await scene.chat.ada.say(session, QUESTION)
    await scene.until_idle()

    assert await scene.count("status = 'completed'") == 2
    assert await scene.items() == ["done", "done"]
    assert relay.count("POST", CREATE["mistral"]) == 2
    assert relay.count("POST", "/v1/chat/completions") == 1
    await scene.assert_sound()
