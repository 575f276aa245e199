"""What a model is given of a long conversation, by a real worker."""

import json
from typing import Any

from tests.faults.scene import Scene
from tests.models.servers import Scripted, Unreliable
from tests.models.test_end_to_end import scene, start_worker
from tests.support.oracles import text_of

__all__ = ["scene"]


async def say(scene: Scene, session: Any, text: str) -> str:
    """Return the answer."""
    message = await scene.chat.ada.say(session, text)
    await scene.until_idle()
    run = await scene.chat.run_of(message)
    return text_of(await scene.chat.outcome(run["id"]))


def asked(request: Any) -> str:
    return json.dumps(request["body"], ensure_ascii=False)


async def test_what_is_cut_is_told_in_a_summary_that_is_made_once_and_kept(
    scene: Scene, unreliable: Unreliable
) -> None:
    truncation = {"type": "last_messages", "last_messages": 3, "summarise": True}
    await scene.admin.execute(
        "update public.assistants set options = $1", {"truncation": truncation}
    )
    replies = ["Hello Ada.", "Noted.", "They greeted and noted Goslar.", "It is Goslar.", "Bye."]
    unreliable.will(*({"type": "reply", "text": text} for text in replies))
    start_worker(scene, unreliable)
    session = await scene.chat.ada.start_session()

    answers = [
        await say(scene, session, text) for text in ("I am Ada", "My town is Goslar", "Which town?")
    ]

    assert answers == ["Hello Ada.", "Noted.", "It is Goslar."]
    _, _, summary, third = unreliable.requests()
    assert "I am Ada" in asked(summary)
    assert "They greeted and noted Goslar." in asked(third)
    assert "I am Ada" not in asked(third)
    assert "Which town?" in asked(third)
    kept = await scene.admin.fetchval("select summary from engine.session_summaries")
    assert kept["text"] == "They greeted and noted Goslar."
    runs = await scene.chat.runs(session)
    assert runs[-1]["usage"]["input_tokens"] > runs[0]["usage"]["input_tokens"]
    await scene.assert_sound()


async def test_a_conversation_that_the_provider_finds_too_long_is_halved_once(
    scene: Scene, scripted: Scripted
) -> None:
    scripted.will_say("one", {"content": "First."})
    scripted.will_say("two", {"content": "Second."})
    scripted.will_say("three", {"content": "Third."})
    start_worker(scene, scripted)
    session = await scene.chat.ada.start_session()
    for text in ("one " * 200, "two " * 200):
        await say(scene, session, text)
    scripted.will_fail(
        400,
        message="Your input exceeds the context window of this model.",
        type="invalid_request_error",
        code="context_length_exceeded",
    )

    assert await say(scene, session, "three") == "Third."

    bodies = [asked(request) for request in scripted.requests()[-2:]]
    assert ["one one" in body for body in bodies] == [True, False]
    assert all("three" in body for body in bodies)
    await scene.assert_sound()


async def test_a_conversation_is_cut_to_what_the_model_takes_that_answers_for_another(
    scene: Scene, scripted: Scripted
) -> None:
    scripted.will_say("one", {"content": "First."})
    scripted.will_say("two", {"content": "Second."})
    aliases = "openai:gpt-5.4=openai:gpt-4small"
    start_worker(scene, scripted, MODEL_ALIASES=aliases)
    await scene.admin.execute("update public.assistants set model = 'openai:gpt-5.4'")
    session = await scene.chat.ada.start_session()

    for text in ("one " * 5_000, "two " * 5_000):
        await say(scene, session, text)

    bodies = [asked(request) for request in scripted.requests()]
    assert ["one one" in body for body in bodies] == [True, False]
    assert [request["body"]["model"] for request in scripted.requests()] == ["gpt-4small"] * 2
