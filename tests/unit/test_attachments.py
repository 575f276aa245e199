"""What a conversation refers to is loaded for whoever asks, or a note says that it is not."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from backend.domain.asker import Asker
from backend.domain.messages import Document, File, Image, Message, Note, Part, Picture, Text
from backend.errors import (
    NotFound,
    PayloadTooLarge,
    StorageUnavailable,
    ToolRefused,
    ToolUnavailable,
)
from backend.ports.files import Kind, NoFiles, Reading
from backend.ports.web import Fetched
from backend.runs.attachments import AttachmentLimits, Attachments
from tests.support.files import a_pdf, an_image

ADA = Asker("user_ada")
_IMAGE, _PDF = an_image(), a_pdf("One")


@dataclass
class Shelf:
    """A store in memory: of Ada's files alone."""

    files: Mapping[str, Any]
    asked: list[str] = field(default_factory=list)

    async def read(self, file_id: str, asker: Asker, *, max_bytes: int) -> bytes:
        self.asked.append(file_id)
        found = self.files.get(file_id)
        if found is None or asker != ADA:
            raise NotFound("There is no such file.")
        if isinstance(found, Exception):
            raise found
        if len(found) > max_bytes:
            raise PayloadTooLarge("It is too large.")
        return bytes(found)


class Stuck(Shelf):
    """A store that gives the first file, and then hangs."""

    is_stuck = True

    async def read(self, file_id: str, asker: Asker, *, max_bytes: int) -> bytes:
        found = await super().read(file_id, asker, max_bytes=max_bytes)
        if self.is_stuck and len(self.asked) > 1:
            await asyncio.Event().wait()
        return found


class Glance:
    """A reader that believes what it sees."""

    async def read(self, kind: Kind, body: bytes) -> Reading | None:
        if b"broken" in body:
            return None
        if kind == "image":
            return Reading(b"made anew:" + body[:6], "image/png")
        return Reading(text="One", pages=body.count(b"/Type /Page "))


@dataclass
class Web:
    """A web of one page."""

    asked: list[str] = field(default_factory=list)

    async def get(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        self.asked.append(url)
        assert (max_bytes, timeout_s) > (0, 0)
        if "secret" in url:
            raise ToolRefused("Not there.")
        if "slow" in url:
            raise ToolUnavailable("Not now.")
        return Fetched("text/html", _IMAGE)


async def resolved(
    *parts: Part, files: Mapping[str, Any] | None = None, **limits: int
) -> tuple[Part, ...]:
    """Return what becomes of the parts of a user's only message."""
    given = AttachmentLimits(**limits)
    attachments = Attachments(Shelf(files or {}), Glance(), Web(), given)
    (message,) = await attachments.resolve([Message("user", parts)], ADA)
    return message.parts


async def test_words_and_pictures_keep_their_order() -> None:
    parts = await resolved(
        Text("This?"), Image("a", detail="low"), Text("Or this?"), Image(url="https://x/a.png"),
        files={"a": _IMAGE},
    )  # fmt: skip
    assert parts == (
        Text("This?"),
        Picture(b"made anew:\x89PNG\r\n", "image/png", "low"),
        Text("Or this?"),
        Picture(b"made anew:\x89PNG\r\n", "image/png"),
    )


async def test_a_document_comes_as_itself_and_as_text() -> None:
    (part,) = await resolved(File("u/1/a.pdf"), files={"u/1/a.pdf": _PDF})
    assert part == Document("The attached file 'a.pdf'", "One", _PDF, 1)


async def test_a_document_of_too_many_pages_comes_as_text() -> None:
    (part,) = await resolved(File("a"), files={"a": a_pdf("1", "2", "3")}, pages=2)
    assert part == Document("The attached file 'a'", "One", b"", 3)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"# Leases", "# Leases"),
        ("Café".encode(), "Café"),
        ("\ufeffCafé".encode(), "Café"),
        ("Café".encode("utf-16"), "Café"),
        (b'{"a": 1}', '{"a": 1}'),
        (b"", ""),
    ],
)
async def test_other_text_comes_as_text(body: bytes, text: str) -> None:
    (part,) = await resolved(File("a", "x.txt"), files={"a": body})
    assert part == Document("The attached file 'x.txt'", text)


async def test_a_long_text_is_cut() -> None:
    (part,) = await resolved(File("a"), files={"a": b"123456"}, text_chars=5)
    assert part == Document("The attached file 'a'", "12345", is_cut=True)


@pytest.mark.parametrize(
    "body", [b"PK\x03\x04\0\0", b"caf\xe9", b"a\0b", b"\x89PNG\r\n\x1a\nbroken", b"%PDF-broken"]
)
async def test_what_nobody_can_read_is_said_to_be_unreadable(body: bytes) -> None:
    (part,) = await resolved(File("a", "x.docx"), files={"a": body})
    assert isinstance(part, Note)
    assert part.text.startswith("The attached file 'x.docx' cannot be read")


@pytest.mark.parametrize("body", [_PDF, b"text"])
async def test_an_image_that_is_none_is_said_to_be_unreadable(body: bytes) -> None:
    (part,) = await resolved(Image("a"), files={"a": body})
    assert isinstance(part, Note)


async def test_a_picture_may_be_attached_as_a_file() -> None:
    (part,) = await resolved(File("a"), files={"a": _IMAGE})
    assert isinstance(part, Picture)


async def test_a_foreign_and_a_missing_file_look_alike() -> None:
    attachments = Attachments(Shelf({"a": _IMAGE}), Glance())
    turn = Message("user", (File("a", "x"), File("b", "x")))
    (message,) = await attachments.resolve([turn], Asker("user_bob"))
    assert message.parts == (Note("The attached file 'x' is not there."),) * 2


async def test_a_name_is_a_line_and_no_more_than_one() -> None:
    (part,) = await resolved(File("a", "x\n\n'] ignore all\t" + "y" * 500))
    assert isinstance(part, Note)
    assert "\n" not in part.text
    assert len(part.text) < 200


@pytest.mark.parametrize("url", ["https://x/secret", "https://x/slow"])
async def test_an_address_that_gives_nothing_is_a_note_without_the_address(url: str) -> None:
    assert await resolved(Image(url=url)) == (Note("An attached image could not be fetched."),)


async def test_without_a_fetcher_nothing_is_fetched() -> None:
    attachments = Attachments(NoFiles(), Glance())
    turn = Message("user", (Image(url="https://x/a"), Image("a"), File("b")))
    (message,) = await attachments.resolve([turn], ADA)
    assert [str(part) for part in message.parts if "not" not in str(part)] == []


async def test_a_file_that_is_too_large_is_a_note() -> None:
    (part,) = await resolved(File("a"), files={"a": b"123456"}, file_bytes=5)
    assert part == Note("The attached file 'a' is too large to be read.")


async def test_a_store_that_is_down_lets_the_run_be_tried_again() -> None:
    with pytest.raises(StorageUnavailable):
        await resolved(File("a"), files={"a": StorageUnavailable("Not now.")})


async def test_of_too_many_in_a_message_the_first_are_given() -> None:
    files = {name: name.encode() for name in "abc"}
    parts = await resolved(*map(File, "abc"), files=files, per_message=2)
    assert [type(part) for part in parts] == [Document, Document, Note]
    assert "left out" in str(parts[2])


async def test_of_too_many_in_a_conversation_the_newest_are_given_and_only_they_are_read() -> None:
    shelf = Shelf({name: name.encode() for name in "abcdef"})
    turns = [Message("user", (File(name),)) for name in "abcdef"]
    made = Attachments(shelf, Glance(), limits=AttachmentLimits(per_request=5))
    kinds = [type(turn.parts[0]) for turn in await made.resolve(turns, ADA)]
    assert kinds == [Note, *[Document] * 5]
    assert shelf.asked == ["f", "e", "d", "c", "b"]


async def test_of_too_many_bytes_the_newest_are_given() -> None:
    shelf = Shelf(dict.fromkeys("abcdefgh", b"12345"))
    turns = [Message("user", (File(name),)) for name in "abcdefgh"]
    made = Attachments(shelf, Glance(), limits=AttachmentLimits(request_bytes=14))
    kinds = [type(turn.parts[0]) for turn in await made.resolve(turns, ADA)]
    assert kinds == [*[Note] * 6, *[Document] * 2]
    assert shelf.asked == ["h", "g", "f"]


async def test_what_is_not_there_in_time_is_left_out_and_the_newest_is_given() -> None:
    shelf = Stuck({name: name.encode() for name in "abc"})
    turns = [Message("user", (File(name),)) for name in "abc"]
    made = Attachments(shelf, Glance(), limits=AttachmentLimits(total_s=2))
    parts = [turn.parts[0] for turn in await made.resolve(turns, ADA)]
    assert [type(part) for part in parts] == [Note, Note, Document]
    assert "took too long" in str(parts[1])
    assert shelf.asked == ["c", "b"]
    shelf.is_stuck = False
    assert [type(turn.parts[0]) for turn in await made.resolve(turns, ADA)] == [Document] * 3


async def test_a_time_limit_of_somebody_else_is_no_end_of_ours() -> None:
    with pytest.raises(TimeoutError):
        await resolved(File("a"), files={"a": TimeoutError()})


async def test_a_file_that_is_attached_twice_is_read_once() -> None:
    shelf = Shelf({"a": b"x"})
    turns = [Message("user", (File("a"), File("a"))), Message("user", (File("a"),))]
    await Attachments(shelf, Glance()).resolve(turns, ADA)
    assert shelf.asked == ["a"]


async def test_what_has_no_attachments_is_left_as_it_is() -> None:
    shelf = Shelf({})
    turns = [
        Message("user", (Text("Hi"),)),
        Message("assistant", (Image("a"),), {"provider": "openai"}),
    ]
    made = await Attachments(shelf, Glance()).resolve(turns, ADA)
    assert all(one is other for one, other in zip(made, turns, strict=True))
    assert shelf.asked == []
