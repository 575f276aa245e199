"""Files that users have stored, and what can be made of them."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from backend.domain.asker import Asker
from backend.errors import NotFound

Kind: TypeAlias = Literal["image", "pdf"]


class FileStore(Protocol):
    """Knows what users have stored."""

    async def read(self, file_id: str, asker: Asker, *, max_bytes: int) -> bytes:
        """Return the file's bytes.

        Args:
            file_id: From a message; hostile.
            asker: Who may read their own files, and no other.
            max_bytes: Of the file.

        Raises:
            NotFound: There is no such file, or it is another user's: the two look the same.
            PayloadTooLarge: It is larger.
            StorageUnavailable: It may be had later.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file turned out to hold."""

    body: bytes = field(default=b"", repr=False)
    """An image, made anew."""
    media_type: str = ""
    text: str = field(default="", repr=False)
    """Of a document."""
    pages: int = 0
    is_cut: bool = False
    """The document's text goes on."""


class FileReader(Protocol):
    """Takes hostile bytes apart where they can do no harm."""

    async def read(self, kind: Kind, body: bytes) -> Reading | None:
        """Return what it holds, or none for what is broken, encrypted or too large."""
        ...


class NoFiles:
    """A store with nothing in it, for a service that has no access to one."""

    async def read(self, file_id: str, asker: Asker, *, max_bytes: int) -> bytes:
        """Say that there is no such file."""
        del file_id, asker, max_bytes
        raise NotFound("There is no such file.")
