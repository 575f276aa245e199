"""The examples that users of the Assistants API come with, on every provider and both mocks."""

import json
from typing import Any

import pytest

from tests.faults.scene import Scene
from tests.models.servers import Scripted, Unreliable
from tests.models.test_end_to_end import answer_of, scene, start_worker
from tests.support.oracles import text_of

__all__ = ["scene"]

GET_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Retrieve weather information for a location.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "City name"}},
            "required": ["location"],
        },
    },
}
PESQUISA = {"type": "function", "function": {"name": "search_database"}}


@pytest.fixture(params=["llmock", "aimock"])
def mock(request: pytest.FixtureRequest, name: str) -> Scripted | Unreliable:
    """Return each of the two servers, where it speaks this provider's dialect."""
    if request.param == "aimock" and name == "mistral":
        pytest.skip("aimock streams tool calls that Mistral's own client refuses")
    kind = {"llmock": "unreliable", "aimock": "scripted"}[request.param]
    found: Scripted | Unreliable = request.getfixturevalue(kind)
    return found


def will(
    mock: Scripted | Unreliable, asked: str, name: str, arguments: dict[str, Any], answer: str
) -> None:
    """The model calls this function once, and answers then."""
    if isinstance(mock, Unreliable):
        mock.will(
            {"type": "reply", "tool_calls": [{"name": name, "arguments": arguments}]},
            {"type": "reply", "text": answer},
        )
    else:
        call = {"id": "call_1", "name": name, "arguments": json.dumps(arguments)}
        mock.will_say(asked, {"toolCalls": [call]})
        mock.will_say(asked, {"content": answer}, after_tools=True)


async def test_the_weather_is_asked_of_the_client_and_told(
    scene: Scene, mock: Scripted | Unreliable, name: str
) -> None:
    answer = "It is 22°C and sunny in Lisbon."
    will(mock, "weather", "get_weather", {"location": "Lisbon"}, answer)
    await scene.admin.execute(
        "update public.assistants set model = $1, tools = $2,"
        " instructions = 'Use the provided functions to answer weather queries.'",
        f"{name}:gpt-5.4",
        [GET_WEATHER],
    )
    session = await scene.ask("What is the weather in Lisbon?")
    start_worker(scene, mock, name)
    await scene.until_count("status = 'requires_action'")

    (run,) = await scene.chat.runs(session)
    (call,) = run["required_action"]["tool_calls"]
    assert (call["name"], call["arguments"]) == ("get_weather", {"location": "Lisbon"})
    output = {"call_id": call["call_id"], "output": "22°C and sunny"}
    await scene.chat.ada.submit(run["id"], [output])
    await scene.until_idle()

    assert (await answer_of(scene, session))[:2] == (answer, None)
    assert "22°C and sunny" in json.dumps(mock.requests()[-1]["body"], ensure_ascii=False)
    await scene.assert_sound()


async def test_a_pesquisa_finds_what_the_asker_wrote_and_nobody_elses(
    scene: Scene, mock: Scripted | Unreliable, name: str
) -> None:
    answer = "Você escreveu sobre o orçamento em março."
    will(mock, "Pesquise", "search_database", {"query": "orçamento", "limit": 3}, answer)
    await scene.admin.execute("update public.assistants set model = 'offline:demo'")
    await scene.chat.bob.say(await scene.chat.bob.start_session(), "O orçamento do Bob é segredo")
    await scene.ask("O orçamento de março está pronto")
    start_worker(scene, mock, name)
    await scene.until_idle()
    await scene.admin.execute(
        "update public.assistants set model = $1, tools = $2", f"{name}:gpt-5.4", [PESQUISA]
    )
    session = await scene.ask("Pesquise na base de dados")
    await scene.until_idle()

    (run,) = await scene.chat.runs(session)
    outcome = await scene.chat.outcome(run["id"])
    assert (text_of(outcome), outcome["error"]) == (answer, None)
    (result,) = (part for part in outcome["content"] if part["type"] == "tool_result")
    found = json.dumps(result["output"], ensure_ascii=False)
    assert "orçamento de março" in found
    assert "Bob" not in found
    await scene.assert_sound()
