"""Streamed text in whole characters, and apart where a provider says several texts in one answer."""

_BETWEEN_TEXTS = "\n\n"


class Words:
    """What was said so far, as far as the next piece depends on it."""

    def __init__(self) -> None:
        self._text: int | None = None
        self._half = ""

    def next(self, text: int, piece: str) -> str:
        """Return what may be said now; a character whose other half is to come is kept.

        Args:
            text: Which text of the answer the piece belongs to.
            piece: Servers that count in UTF-16 cut some characters in two.
        """
        piece = self._half + piece
        self._half = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        piece = whole_characters(piece.removesuffix(self._half))
        if not piece:
            return ""
        apart = "" if self._text in (None, text) else _BETWEEN_TEXTS
        self._text = text
        return apart + piece


def whole_characters(text: str) -> str:
    """Return the text with halves of characters joined, and lone ones replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
