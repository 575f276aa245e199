"""Questions that are other ones by the time their answers come."""

import pytest

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
