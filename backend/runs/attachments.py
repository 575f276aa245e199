"""What the files and images of a conversation hold, in place of where they lie."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from weakref import WeakValueDictionary

from backend.domain.asker import Asker
from backend.domain.media import medium_of, text_of
from backend.domain.messages import Document, File, Image, Message, Note, Part, Picture
from backend.errors import NotFound, PayloadTooLarge, ToolRefused, ToolUnavailable
from backend.ports.files import FileReader, FileStore
from backend.ports.web import Fetcher

_Reference: TypeAlias = Image | File
_Loaded: TypeAlias = Picture | Document | Note
_LONGEST_NAME = 120
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class AttachmentLimits:
    """How much of what users attach a model is given; what is newer goes first."""

    per_message: int = 10
    per_request: int = 20
    file_bytes: int = 20 * 1024 * 1024
    """As it is stored, or as it comes from the web."""
    request_bytes: int = 20 * 1024 * 1024
    """Of all together, as the model is given them."""
    fetched_bytes: int = 100 * 1024 * 1024
    """Of all together, as they are stored."""
    text_chars: int = 200_000
    """Of one file."""
    pages: int = 100
    """Of a document that is given as such; one that is longer is given as its text."""
    fetch_timeout_s: float = 10.0
    total_s: float = 120.0
    """For all of them, with the waiting for one's turn; what is not there by then is left out."""


class Attachments:
    """Loads what users have attached."""

    def __init__(
        self,
        files: FileStore,
        reader: FileReader,
        fetcher: Fetcher | None = None,
        limits: AttachmentLimits = AttachmentLimits(),
    ) -> None:
        """Nothing is loaded yet.

        Args:
            files: What users have stored.
            reader: Takes images and documents apart.
            fetcher: For images at a URL; without one, none is fetched.
            limits: How much.
        """
        self._files = files
        self._reader = reader
        self._fetcher = fetcher
        self._limits = limits
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def resolve(self, messages: Sequence[Message], asker: Asker) -> list[Message]:
        """Return the conversation with pictures, documents and notes in place of references.

        What cannot be given to the model is a note that says so. Called once for a run: the same
        files give the same bytes, so that a provider's cache of the conversation holds.

        Args:
            messages: Oldest first.
            asker: Whose files may be read: those of others look like files that do not exist.

        Raises:
            StorageUnavailable: A file may be had later.
        """
        wanted = self._chosen(messages)
        if not wanted:
            return [self._filled(message, {}) for message in messages]
        loaded: dict[_Reference, _Loaded] = {}
        scope = asyncio.timeout(self._limits.total_s)
        try:
            async with scope:
                await self._load_all(wanted, asker, loaded)
        except TimeoutError:
            if not scope.expired():
                raise
        return [self._filled(message, loaded) for message in messages]

    async def _load_all(
        self, wanted: Sequence[_Reference], asker: Asker, loaded: dict[_Reference, _Loaded]
    ) -> None:
        left, to_fetch = self._limits.request_bytes, self._limits.fetched_bytes
        # Held here, or nobody would know of it.
        turn = self._turns.setdefault(asker.user_id, asyncio.Semaphore())
        for reference in wanted:
            if left <= 0 or to_fetch <= 0:
                break
            # One file at a time for each user, and few in all: whoever attaches much waits for it
            # alone, and memory holds no more than these.
            async with turn, self._places:
                part, fetched = await self._load(reference, asker)
            to_fetch -= fetched
            left -= _size(part)
            if left >= 0:
                loaded[reference] = part

    def _chosen(self, messages: Sequence[Message]) -> list[_Reference]:
        """Return which references are loaded, the newest first, each once."""
        chosen: dict[_Reference, None] = {}
        for message in reversed(messages):
            chosen.update(dict.fromkeys([*_references(message)][: self._limits.per_message]))
        return list(chosen)[: self._limits.per_request]

    def _filled(self, message: Message, loaded: Mapping[_Reference, _Loaded]) -> Message:
        if not any(_references(message)):
            return message
        return replace(message, parts=tuple(_part(part, loaded) for part in message.parts))

    async def _load(self, reference: _Reference, asker: Asker) -> tuple[_Loaded, int]:
        """Return what the model is given, and how many bytes were fetched for it."""
        name = _name(reference)
        try:
            body = await self._body(reference, asker)
        except NotFound:
            return Note(f"{name} is not there."), 0
        except PayloadTooLarge:
            return Note(f"{name} is too large to be read."), self._limits.file_bytes
        except (ToolRefused, ToolUnavailable):
            return Note(f"{name} could not be fetched."), 0
        return await self._read(reference, name, body), len(body)

    async def _body(self, reference: _Reference, asker: Asker) -> bytes:
        most = self._limits.file_bytes
        if reference.file_id is not None:
            return await self._files.read(reference.file_id, asker, max_bytes=most)
        url = reference.url if isinstance(reference, Image) else None
        if self._fetcher is None or url is None:
            raise ToolRefused("Nothing is fetched here.")
        seconds = self._limits.fetch_timeout_s
        return (await self._fetcher.get(url, max_bytes=most, timeout_s=seconds)).body

    async def _read(self, reference: _Reference, name: str, body: bytes) -> _Loaded:
        medium = medium_of(body)
        unreadable = Note(f"{name} cannot be read: it is broken, locked, or of another kind.")
        if medium == "text" and isinstance(reference, File):
            return await asyncio.to_thread(self._text, name, body) or unreadable
        if medium == "image" or (medium == "pdf" and isinstance(reference, File)):
            found = await self._reader.read(medium, body)
            if found is None:
                return unreadable
            if medium == "image":
                detail = reference.detail if isinstance(reference, Image) else None
                return Picture(found.body, found.media_type, detail)
            pdf = body if found.pages <= self._limits.pages else b""
            return Document(name, found.text, pdf, found.pages, is_cut=found.is_cut)
        return unreadable

    def _text(self, name: str, body: bytes) -> Document | None:
        # A character has four bytes at most: no more is looked at than is kept.
        most = self._limits.text_chars
        beginning = body[: 4 * most + 4]
        is_cut = len(body) > len(beginning)
        text = text_of(beginning, is_cut=is_cut)
        if text is None:
            return None
        return Document(name, text[:most], is_cut=is_cut or len(text) > most)


def _references(message: Message) -> Iterator[_Reference]:
    if message.role == "user":
        yield from (part for part in message.parts if isinstance(part, Image | File))


def _part(part: Part, loaded: Mapping[_Reference, _Loaded]) -> Part:
    if not isinstance(part, Image | File):
        return part
    return loaded.get(part) or Note(
        f"{_name(part)} is left out: there are too many files, or they took too long."
    )


def _name(reference: _Reference) -> str:
    """Return what the model is told that this is; nothing of a URL or a folder."""
    if isinstance(reference, Image):
        return "An attached image"
    given = reference.name or reference.file_id.rpartition("/")[2]
    return f"The attached file {' '.join(given.split())[:_LONGEST_NAME]!r}"


def _size(part: _Loaded) -> int:
    match part:
        case Picture(body):
            return len(body)
        case Document():
            return max(len(part.pdf), len(part.text))
        case Note():
            return 0
