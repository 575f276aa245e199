"""Texts become unit vectors, in their order."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.usage import Usage
from backend.errors import (
    ModelNotFound,
    ModelRateLimited,
    ModelReplyUnreadable,
    ModelUnavailable,
)
from backend.integrations.models.vectors import batches
from tests.models.accounts import Accounts
from tests.models.canned import Canned, Writer
from tests.models.servers import Scripted, Unreliable

MODEL = "text-embedding-3-small"


def _found(*vectors: Any, tokens: int = 9) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": MODEL, "data": data, "usage": usage}


async def test_both_mock_servers_embed(
    scripted: Scripted, unreliable: Unreliable, accounts: Accounts
) -> None:
    texts = ["a cat", "a dog", "Привет, 🐈"]
    for server in (scripted, unreliable):
        found = await accounts.at(server.base_url).embed(texts, model=MODEL)
        assert len(found.vectors) == len(texts)
        assert [math.hypot(*vector) for vector in found.vectors] == pytest.approx([1, 1, 1])
        assert len({tuple(vector) for vector in found.vectors}) == len(texts)


async def test_vectors_have_length_one_and_the_order_of_their_texts(
    canned: Canned, accounts: Accounts
) -> None:
    canned.will_send(200, _found([3.0, 4.0], [0.0, -2.0]))
    found = await accounts.at(canned.base_url).embed(["a", "b"], model=MODEL)
    assert [list(vector) for vector in found.vectors] == [[0.6, 0.8], [0.0, -1.0]]
    assert found.usage == Usage(input_tokens=9)
    (request,) = canned.requests
    assert (request["path"], request["model"]) == ("/v1/embeddings", MODEL)
    assert request["input"] == ["a", "b"]


async def test_no_text_is_no_request(canned: Canned, accounts: Accounts) -> None:
    found = await accounts.at(canned.base_url).embed([], model=MODEL)
    assert (list(found.vectors), found.usage, canned.requests) == ([], Usage(), [])


async def test_a_text_without_a_character_is_embedded_too(
    canned: Canned, accounts: Accounts
) -> None:
    canned.will_send(200, _found([1.0]))
    await accounts.at(canned.base_url).embed([""], model=MODEL)
    assert canned.requests[0]["input"] == [" "]


async def test_many_texts_are_several_requests(scripted: Scripted, accounts: Accounts) -> None:
    texts = [f"text {number}" for number in range(600)]
    provider = accounts.at(scripted.base_url)
    found = await provider.embed(texts, model=MODEL)
    alone = await provider.embed([texts[599]], model=MODEL)
    assert len(found.vectors) == len(texts)
    assert list(found.vectors[599]) == pytest.approx(list(alone.vectors[0]))
    assert len(scripted.requests()) == 4


@pytest.mark.parametrize(
    "vectors",
    [
        ([1.0],),
        ([1.0], [1.0], [1.0]),
        ([1.0], [0.0, 0.0]),
        ([1.0], []),
        ([1.0], None),
        ([1.0], ["x"]),
        ([1.0], [1e999]),
    ],
)
async def test_what_is_not_one_vector_for_each_text_is_unreadable(
    canned: Canned, accounts: Accounts, vectors: tuple[Any, ...]
) -> None:
    canned.will_send(200, _found(*vectors))
    with pytest.raises(ModelReplyUnreadable):
        await accounts.at(canned.base_url).embed(["a", "b"], model=MODEL)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b"{}", b"\xff"])
async def test_another_answer_is_unreadable(
    canned: Canned, accounts: Accounts, body: bytes
) -> None:
    async def answer(writer: Writer) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
        writer.write(head + body)

    canned.will(answer)
    with pytest.raises(ModelReplyUnreadable):
        await accounts.at(canned.base_url).embed(["a"], model=MODEL)


async def test_failures_are_those_of_answers(unreliable: Unreliable, accounts: Accounts) -> None:
    provider = accounts.at(unreliable.base_url)
    unreliable.will_fail(429, retry_after=3)
    with pytest.raises(ModelRateLimited) as limited:
        await provider.embed(["a"], model=MODEL)
    assert limited.value.retry_after_s == 3
    unreliable.will_fail(404)
    with pytest.raises(ModelNotFound):
        await provider.embed(["a"], model=MODEL)
    unreliable.will_fail(503)
    with pytest.raises(ModelUnavailable):
        await provider.embed(["a"], model=MODEL)
    assert len(unreliable.requests()) == 3


@pytest.mark.parametrize(("name", "wanted"), [("openai", 1), ("mistral", 3)])
async def test_a_request_holds_no_more_than_its_vendor_takes(
    scripted: Scripted, accounts: Accounts, name: str, wanted: int
) -> None:
    provider = accounts.at(scripted.url_of(name), name)
    found = await provider.embed(["word " * 5000] * 3, model=MODEL)
    assert (len(found.vectors), len(scripted.requests())) == (3, wanted)


@given(st.lists(st.text(max_size=9), max_size=20), st.integers(1, 30))
def test_batches_are_the_texts_in_their_order_and_as_large_as_they_may(
    texts: list[str], most_bytes: int
) -> None:
    found = list(batches(texts, most_bytes))
    assert [text for batch in found for text in batch] == texts
    sizes = [sum(len(text.encode()) for text in batch) for batch in found]
    assert all(
        size <= most_bytes or len(batch) == 1 for size, batch in zip(sizes, found, strict=True)
    )
    for size, following in zip(sizes, found[1:], strict=False):
        assert size + len(following[0].encode()) > most_bytes
