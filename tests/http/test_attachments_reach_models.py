"""What a user has attached reaches the model, and what is another's does not."""

from typing import Any

import pytest
from supabase import Client

from tests.http.attachments import PNG, a_path, files
from tests.http.chats import answers, say, start_session, text_of
from tests.support.files import a_pdf, an_image

pytestmark = pytest.mark.usefixtures("crew")

PDF = {"content-type": "application/pdf"}


def told(client: Client, *parts: dict[str, Any]) -> str:
    """Return what the model says to a message with these parts: it tells what it was shown."""
    session = start_session(client)
    say(client, session, [{"type": "text", "text": "Look"}, *parts])
    return text_of(answers(client, session, 1)[0])


def test_a_picture_and_a_document_are_shown(mine: Client, user: str) -> None:
    picture, document = a_path(user), a_path(user, "leases.pdf")
    files(mine).upload(picture, an_image("JPEG", size=(40, 30)), PNG)
    files(mine).upload(document, a_pdf("The rent is 900."), PDF)
    said = told(
        mine,
        {"type": "image", "file_id": picture},
        {"type": "file", "file_id": document, "name": "Mietvertrag.pdf"},
    )
    assert "A picture (image/jpeg, " in said
    assert "The attached file 'Mietvertrag.pdf' (16 characters)" in said


def test_a_foreign_file_looks_like_a_missing_one(
    mine: Client, theirs: Client, path: str, user: str
) -> None:
    del mine
    foreign = told(theirs, {"type": "file", "file_id": path, "name": "x"})
    missing = told(theirs, {"type": "file", "file_id": a_path(user), "name": "x"})
    assert foreign == missing
    assert "The attached file 'x' is not there" in foreign


def test_what_is_no_picture_costs_the_user_no_answer(mine: Client, path: str) -> None:
    said = told(mine, {"type": "image", "file_id": path})
    assert "An attached image cannot be read" in said


def test_no_address_of_the_service_itself_is_fetched(mine: Client) -> None:
    said = told(mine, {"type": "image", "url": "http://127.0.0.1:1/picture.png"})
    assert "An attached image could not be fetched" in said
    assert "127.0.0.1" not in said
