"""What bytes are, by what they begin with: what anybody says of them proves nothing."""

import codecs
from typing import Literal, TypeAlias

Medium: TypeAlias = Literal["image", "pdf", "text"]
_PDF_BEGINS_WITHIN = 1024
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_CONTROLS = frozenset(map(chr, range(32))) - frozenset("\t\n\r\f\x1b\b")


def medium_of(body: bytes) -> Medium | None:
    """Return what the bytes may be, or none for what no model is given."""
    if body.startswith(_IMAGES) or (body[:4] == b"RIFF" and body[8:12] == b"WEBP"):
        return "image"
    if b"%PDF-" in body[:_PDF_BEGINS_WITHIN]:
        return "pdf"
    return None if text_of(body) is None else "text"


def text_of(body: bytes) -> str | None:
    """Return the bytes as text, or none for what is none."""
    encoding = next((it for bom, it in _BOMS.items() if body.startswith(bom)), "utf-8")
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.intersection(text) else text
