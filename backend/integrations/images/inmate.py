"""Runs alone in a process of its own, by path: bytes of a file in, what it holds out.

Asked with `image` or `pdf`; answers with a line of JSON and, for an image, its new bytes. Before it
looks at a single byte it gives up the right to more memory and time, and to open anything: a file,
a socket, a process. It knows nothing of the package that it lies in.
"""

import codecs
import contextlib
import io
import json
import logging
import resource
import sys
import time
from typing import Any

LARGEST_PIXELS = 40_000_000
LONGEST_SIDE = 2048
LONGEST_TEXT = 200_000
MOST_PAGES = 500
_MEMORY_BYTES = 1_073_741_824
_CPU_S = 12
_READING_S = 6.0
"""Of CPU, for the text of a document; what it has then is the answer."""
_LARGEST_PNG_BYTES = 3_000_000
_QUALITY = 88
_ORIENTATION = 0x0112
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


def main() -> None:
    """Answer for the bytes on standard input."""
    limit = resource.setrlimit
    limit(resource.RLIMIT_CORE, (0, 0))
    limit(resource.RLIMIT_FSIZE, (0, 0))
    limit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    if sys.platform == "linux":
        limit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    read = _prepare_images() if sys.argv[1] == "image" else _prepare_documents()
    body = sys.stdin.buffer.read()
    limit(resource.RLIMIT_NOFILE, (0, 0))
    told, made = read(body)
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + made)
    sys.stdout.buffer.flush()


def _prepare_images() -> Any:
    """Return what reads an image, once all that it may load has been loaded."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - while a file can still be opened

    # The header is believed for as long as it takes to refuse it.
    Image.MAX_IMAGE_PIXELS = None

    def read(body: bytes) -> tuple[dict[str, Any], bytes]:
        image = Image.open(io.BytesIO(body), formats=_FORMATS)
        if image.width * image.height > LARGEST_PIXELS:
            raise ValueError("too many pixels")
        is_photo = image.format == "JPEG"
        # A photo is decoded no larger than it is needed.
        image.draft(None, (LONGEST_SIDE, LONGEST_SIDE))
        image.load()
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("P", "1"):
            # Else their colours would not be mixed.
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        return _made_anew(upright, is_photo=is_photo)

    turned = Image.Exif()
    turned[_ORIENTATION] = 6
    for form in _FORMATS:
        for mode in ("RGB", "P"):
            sample = io.BytesIO()
            some = Image.new(mode if form != "JPEG" else "CMYK", (2, 1))
            more = (
                {"save_all": True, "append_images": [some]} if form == "GIF" else {"exif": turned}
            )
            some.save(sample, form, **more)
            read(sample.getvalue())
    return read


def _made_anew(image: Any, *, is_photo: bool) -> tuple[dict[str, Any], bytes]:
    """Return the pixels in a new file, and nothing else of the old one."""
    from PIL import Image  # noqa: PLC0415 - it is loaded

    if not is_photo:
        pixels = image.convert("RGBA" if image.has_transparency_data else "RGB")
        made = io.BytesIO()
        _bare(pixels).save(made, "PNG")
        if made.tell() <= _LARGEST_PNG_BYTES:
            return {"media_type": "image/png"}, made.getvalue()
        image = Image.new("RGB", pixels.size, "white")
        image.paste(pixels, mask=pixels if pixels.mode == "RGBA" else None)
    made = io.BytesIO()
    _bare(image.convert("RGB")).save(made, "JPEG", quality=_QUALITY)
    return {"media_type": "image/jpeg"}, made.getvalue()


def _bare(image: Any) -> Any:
    """Return the image without what its file said beside the pixels."""
    image.info = {}
    return image


def _prepare_documents() -> Any:
    """Return what reads a document, once all that it may load has been loaded."""
    import encodings  # noqa: PLC0415 - while a file can still be opened
    import importlib  # noqa: PLC0415
    import pkgutil  # noqa: PLC0415

    import pypdf  # noqa: PLC0415

    logging.disable()
    for module in pkgutil.walk_packages(pypdf.__path__, "pypdf."):
        # Some need packages that are not there; then nothing can use them.
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)
    for encoding in pkgutil.iter_modules(encodings.__path__):
        with contextlib.suppress(ImportError, LookupError):
            codecs.lookup(encoding.name)

    def read(body: bytes) -> tuple[dict[str, Any], bytes]:
        document = pypdf.PdfReader(io.BytesIO(body))
        if document.is_encrypted and not document.decrypt(""):
            raise ValueError("encrypted")
        count = len(document.pages)
        text, is_cut = _text_of(document)
        return {"text": text, "pages": count, "is_cut": is_cut}, b""

    return read


def _text_of(document: Any) -> tuple[str, bool]:
    texts: list[str] = []
    length = 0
    for number, page in enumerate(document.pages):
        if number >= MOST_PAGES or time.process_time() > _READING_S or length > LONGEST_TEXT:
            return "\n\n".join(texts)[:LONGEST_TEXT], True
        try:
            said = page.extract_text().strip()
        except Exception:  # noqa: BLE001 - one broken page costs no other
            said = ""
        texts.append(said)
        length += len(said)
    whole = "\n\n".join(texts).strip().encode("utf-8", "replace").decode()
    return whole[:LONGEST_TEXT], len(whole) > LONGEST_TEXT


if __name__ == "__main__":
    main()
