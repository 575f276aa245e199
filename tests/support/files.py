"""Files as users attach them, made on the spot."""

import io
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image


def an_image(
    kind: str = "PNG", *, size: tuple[int, int] = (4, 3), mode: str = "RGB", **more: Any
) -> bytes:
    """Return a red image."""
    made = io.BytesIO()
    Image.new(mode, size, "red" if mode != "P" else 1).save(made, kind, **more)
    return made.getvalue()


def opened(body: bytes) -> Image.Image:
    """Return the image that the bytes hold."""
    return Image.open(io.BytesIO(body))


def a_pdf(*pages: str) -> bytes:
    """Return a document with these words, a line on each page."""
    objects = list(_objects(pages))
    made = io.BytesIO()
    made.write(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(made.tell())
        made.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    table = made.tell()
    made.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    made.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    made.write(b"trailer <</Size %d /Root 1 0 R>>\n" % (len(objects) + 1))
    made.write(b"startxref\n%d\n%%%%EOF\n" % table)
    return made.getvalue()


def _objects(pages: tuple[str, ...]) -> Iterator[bytes]:
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    yield b"<</Type /Catalog /Pages 2 0 R>>"
    yield b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, len(pages))
    yield b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding>>"
    for number, words in enumerate(pages):
        content = zlib.compress(b"BT /F1 24 Tf 72 700 Td (%s) Tj ET" % words.encode("cp1252"))
        yield (
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            b"/Resources <</Font <</F1 3 0 R>>>> /Contents %d 0 R>>" % (5 + 2 * number)
        )
        yield b"<</Length %d /Filter /FlateDecode>>stream\n%s\nendstream" % (len(content), content)
