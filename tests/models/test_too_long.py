"""A conversation that is too long is told from any other refusal, whoever made the server."""

from typing import Any

import pytest

from backend.errors import AssistantsError, ModelContextExceeded, ModelRefused
from tests.models.accounts import Accounts
from tests.models.asking import ask
from tests.models.canned import Canned

_OPENAIS = {"code": "context_length_exceeded", "message": "Too long.", "type": "invalid_request"}
_ANTHROPICS = {"type": "invalid_request_error", "message": "prompt is too long: 213 > 200 tokens"}
_MISTRALS = {
    "object": "error",
    "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 "
    "maximum context length",
    "type": "invalid_request_prompt",
    "code": "3051",
}
_VLLMS = {
    "object": "error",
    "message": "This model's maximum context length is 4096 tokens.",
    "type": "BadRequestError",
    "code": 400,
}
_LLAMAS = {
    "code": 400,
    "message": "the request exceeds the available context size, try increasing it",
    "type": "exceed_context_size_error",
}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("openai", {"error": _OPENAIS}),
        ("anthropic", {"type": "error", "error": _ANTHROPICS}),
        ("mistral", _MISTRALS),
        ("compatible", _VLLMS),
        ("compatible", {"error": _VLLMS}),
        ("compatible", {"error": _LLAMAS}),
    ],
)
async def test_each_makers_words_for_it_are_known(
    canned: Canned, accounts: Accounts, name: str, body: dict[str, Any]
) -> None:
    canned.will_send(400, body)
    with pytest.raises(ModelContextExceeded):
        await accounts.at(canned.url_of(name), name).generate(ask("Hi"))


async def test_another_refusal_is_another_error(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    said = {"message": "The temperature is too high.", "type": "invalid_request_error"}
    canned.will_send(400, {"error": said, **said})
    with pytest.raises(AssistantsError) as raised:
        await accounts.at(canned.url_of(name), name).generate(ask("Hi"))
    assert raised.type is ModelRefused
