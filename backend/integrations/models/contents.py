"""What a user's turn holds beside words: pictures, documents, and what is to be said of them."""

from collections.abc import Iterator, Sequence

from pydantic_ai.messages import BinaryContent, UserContent

from backend.domain.messages import Document, Message, Note, Picture, Text

_DETAILS = frozenset({"auto", "low", "high"})


def content_of(turn: Message, *, reads_pdf: bool) -> str | Sequence[UserContent]:
    """Return the turn's words, or, where there is more, all of it in its order; empty for nothing.

    Args:
        turn: Of a user.
        reads_pdf: The model is given documents as they are.
    """
    if not any(isinstance(part, Picture | Document | Note) for part in turn.parts):
        return turn.text
    return list(_contents(turn, reads_pdf=reads_pdf))


def _contents(turn: Message, *, reads_pdf: bool) -> Iterator[UserContent]:
    for part in turn.parts:
        match part:
            case Text(text) if text.strip():
                yield text
            case Picture(body, media_type, detail):
                wanted = {"detail": detail} if detail in _DETAILS else None
                yield BinaryContent(body, media_type=media_type, vendor_metadata=wanted)
            case Document(name, pdf=pdf) if pdf and reads_pdf:
                yield f"{name}:"
                yield BinaryContent(pdf, media_type="application/pdf")
            case Document():
                yield _told(part)
            case Note(text):
                yield f"[{text}]"


def _told(document: Document) -> str:
    if not document.text.strip():
        return f"[{document.name} has no text that can be read.]"
    rest = "\n[The rest is left out.]" if document.is_cut else ""
    return f"{document.name}:\n<file>\n{document.text}\n</file>{rest}"
