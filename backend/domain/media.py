"""What bytes are, by what they begin with: what anybody says of them proves nothing."""

import codecs
import re
from typing import Literal, TypeAlias

Medium: TypeAlias = Literal["image", "pdf", "text"]
_PDF_BEGINS_WITHIN = 1024
_LOOKED_AT = 4096
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_CONTROLS = re.compile("[\\x00-\\x07\\x0b\\x0e-\\x1a\\x1c-\\x1f]")


def medium_of(body: bytes) -> Medium | None:
    """Return what the bytes may be, or none for what no model is given."""
    if body.startswith(_IMAGES) or (body[:4] == b"RIFF" and body[8:12] == b"WEBP"):
        return "image"
    if b"%PDF-" in body[:_PDF_BEGINS_WITHIN]:
        return "pdf"
    beginning = body[:_LOOKED_AT]
    return None if text_of(beginning, is_cut=len(body) > len(beginning)) is None else "text"


def text_of(body: bytes, *, is_cut: bool = False) -> str | None:
    """Return the bytes as text, or none for what is none.

    Args:
        body: The file, or its beginning.
        is_cut: More follows: half a character at the end is left out.
    """
    encoding = next((it for bom, it in _BOMS.items() if body.startswith(bom)), "utf-8")
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(body, final=not is_cut)
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text
