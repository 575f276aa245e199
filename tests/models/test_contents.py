"""Pictures and documents in each provider's own form."""

import base64
from typing import Any

import pytest

from backend.devkit.offline_model import OfflineModel
from backend.domain.messages import Document, Note, Picture
from backend.ports.clock import SystemClock
from tests.models.accounts import Accounts
from tests.models.asking import ask, heard, said
from tests.models.canned import Canned
from tests.models.dialects import DIALECTS, whole
from tests.models.servers import Scripted, Unreliable
from tests.support.files import a_pdf, an_image

_IMAGE, _PDF = an_image(), a_pdf("Leases")
_IMAGE_64, _PDF_64 = base64.b64encode(_IMAGE).decode(), base64.b64encode(_PDF).decode()
_TURN = said(
    "user",
    "What is this?",
    Picture(_IMAGE, "image/png", "low"),
    Document("The attached file 'a.pdf'", "Leases", _PDF, 1),
    Document("The attached file 'b.md'", "# Notes", is_cut=True),
    Note("The attached file 'c' is not there."),
    "Well?",
)
_AS_TEXT = "The attached file 'b.md':\n<file>\n# Notes\n</file>\n[The rest is left out.]"
_PDF_AS_TEXT = "The attached file 'a.pdf':\n<file>\nLeases\n</file>"


async def told(canned: Canned, accounts: Accounts, name: str) -> list[Any]:
    """Return what the server is told that the user said."""
    canned.will_stream(*whole(DIALECTS[name], DIALECTS[name].say("A lease.")))
    await heard(accounts.at(canned.url_of(name), name), ask(_TURN))
    (body,) = canned.requests
    (turn,) = body["input" if name == "openai" else "messages"]
    assert turn["role"] == "user"
    return list(turn["content"])


async def test_openai_is_given_a_picture_and_the_document_itself(
    canned: Canned, accounts: Accounts
) -> None:
    content = await told(canned, accounts, "openai")
    words = [it["text"] for it in content if it["type"] == "input_text"]
    assert words == [
        "What is this?",
        "The attached file 'a.pdf':",
        _AS_TEXT,
        "[The attached file 'c' is not there.]",
        "Well?",
    ]
    (picture,) = (it for it in content if it["type"] == "input_image")
    assert picture["image_url"] == f"data:image/png;base64,{_IMAGE_64}"
    assert picture["detail"] == "low"
    (document,) = (it for it in content if it["type"] == "input_file")
    assert document["file_data"] == f"data:application/pdf;base64,{_PDF_64}"
    assert [it["type"] for it in content[:4]] == [
        "input_text",
        "input_image",
        "input_text",
        "input_file",
    ]


async def test_anthropic_is_given_a_picture_and_the_document_itself(
    canned: Canned, accounts: Accounts
) -> None:
    _, picture, _, document, *_ = await told(canned, accounts, "anthropic")
    encoded = {"type": "base64", "media_type": "image/png", "data": _IMAGE_64}
    assert (picture["type"], picture["source"]) == ("image", encoded)
    encoded = {"type": "base64", "media_type": "application/pdf", "data": _PDF_64}
    assert (document["type"], document["source"]) == ("document", encoded)


@pytest.mark.parametrize("name", ["compatible", "mistral"])
async def test_others_are_given_a_picture_and_the_documents_text(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    content = await told(canned, accounts, name)
    words = [it["text"] for it in content if it["type"] == "text"]
    assert words == [
        "What is this?",
        _PDF_AS_TEXT,
        _AS_TEXT,
        "[The attached file 'c' is not there.]",
        "Well?",
    ]
    (picture,) = (it for it in content if it["type"] == "image_url")
    assert picture["image_url"]["url"] == f"data:image/png;base64,{_IMAGE_64}"
    assert picture["image_url"]["detail"] == "low"
    assert _PDF_64 not in str(content)


async def test_a_document_without_text_says_so(canned: Canned, accounts: Accounts) -> None:
    canned.will_stream(*whole(DIALECTS["compatible"]))
    turn = said("user", Document("The attached file 'scan.pdf'", " \n", _PDF, 1))
    await heard(accounts.at(canned.base_url, "compatible"), ask(turn))
    content = canned.requests[0]["messages"][0]["content"]
    assert "has no text that can be read" in str(content)


async def test_both_mocks_take_a_picture_and_a_document(
    mock: Unreliable | Scripted, name: str, accounts: Accounts
) -> None:
    mock.will_answer("What is this?", "A lease.")
    reply = await accounts.at(mock.url_of(name), name).generate(ask(_TURN))
    assert reply.text == "A lease."


async def test_the_model_without_a_key_says_what_it_was_shown() -> None:
    reply = await OfflineModel(SystemClock()).generate(ask("Before", _TURN))
    assert reply.text.endswith(
        f"Attached: A picture (image/png, {len(_IMAGE)} bytes). "
        "Attached: The attached file 'a.pdf' (6 characters). "
        "Attached: The attached file 'b.md' (7 characters). "
        "Attached: The attached file 'c' is not there."
    )
