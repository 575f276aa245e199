"""Files are taken apart in processes that have little of everything, and are made anew."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pypdf
import pytest
from PIL import Image

from backend.integrations.images import inmate
from backend.integrations.images.jail import JailedReader
from backend.ports.files import Reading
from tests.support.files import a_pdf, an_image, opened

_SECRET = b"52.5200,13.4050 Ada's phone"


def reader() -> JailedReader:
    return JailedReader()


@pytest.mark.parametrize(
    ("kind", "mode", "made"),
    [
        ("PNG", "RGB", "PNG"),
        ("PNG", "RGBA", "PNG"),
        ("PNG", "P", "PNG"),
        ("PNG", "1", "PNG"),
        ("JPEG", "RGB", "JPEG"),
        ("JPEG", "CMYK", "JPEG"),
        ("JPEG", "L", "JPEG"),
        ("GIF", "P", "PNG"),
        ("WEBP", "RGBA", "PNG"),
    ],
)
async def test_an_image_is_made_anew_in_a_kind_that_every_provider_takes(
    kind: str, mode: str, made: str
) -> None:
    found = await reader().read("image", an_image(kind, mode=mode))
    assert found is not None
    image = opened(found.body)
    assert (image.format, image.size) == (made, (4, 3))
    assert found.media_type == f"image/{made.lower()}"


async def test_the_same_file_gives_the_same_bytes() -> None:
    body = an_image("JPEG", size=(300, 200))
    assert await reader().read("image", body) == await reader().read("image", body)


async def test_of_an_animation_the_first_picture_is_shown() -> None:
    pictures = [Image.new("RGB", (4, 3), colour) for colour in ("blue", "red")]
    made = io.BytesIO()
    pictures[0].save(made, "GIF", save_all=True, append_images=pictures[1:])
    found = await reader().read("image", made.getvalue())
    assert found is not None
    image = opened(found.body)
    assert getattr(image, "n_frames", 1) == 1
    assert image.convert("RGB").getpixel((0, 0)) == (0, 0, 255)


async def test_nothing_but_the_pixels_is_left_and_they_stand_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = _SECRET.decode()
    body = an_image("JPEG", size=(40, 30), exif=exif, comment=_SECRET, icc_profile=_SECRET)
    assert body.count(_SECRET) == 3
    found = await reader().read("image", body + _SECRET)
    assert found is not None
    assert _SECRET not in found.body
    assert opened(found.body).size == (30, 40)
    assert not opened(found.body).getexif()


async def test_words_in_a_png_are_left_out() -> None:
    chunk = b"tEXtComment\0" + _SECRET
    told = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    body = an_image()
    found = await reader().read("image", body[:33] + told + body[33:])
    assert found is not None
    assert _SECRET not in found.body


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
async def test_a_large_image_is_made_smaller(kind: str) -> None:
    side = inmate.LONGEST_SIDE
    mode = "P" if kind == "GIF" else "RGB"
    found = await reader().read("image", an_image(kind, size=(2 * side, side), mode=mode))
    assert found is not None
    assert opened(found.body).size == (side, side // 2)


async def test_a_noisy_image_without_a_photographers_format_stays_small() -> None:
    noise = Image.effect_noise((2048, 2048), 200).convert("RGBA")
    made = io.BytesIO()
    noise.save(made, "PNG")
    found = await reader().read("image", made.getvalue())
    assert found is not None
    assert (found.media_type, len(found.body) < len(made.getvalue())) == ("image/jpeg", True)


def a_bomb() -> bytes:
    """Return a PNG of half a megabyte that wants a gigabyte and more."""
    return an_image(size=(20_000, 20_000), mode="L")


def a_lie() -> bytes:
    """Return a small PNG whose header speaks of a huge one."""
    body = an_image()
    header = struct.pack(">II", 60_000, 60_000) + body[24:29]
    return body[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + body[33:]


@pytest.mark.parametrize(
    "body",
    [a_bomb(), a_lie(), an_image()[:50], an_image("BMP"), an_image("TIFF"), b"", b"\x89PNG\r\n"],
    ids=["a bomb", "a lie", "half a file", "a BMP", "a TIFF", "nothing", "a beginning"],
)
async def test_what_is_no_image_or_too_large_a_one_gives_nothing(body: bytes) -> None:
    assert await reader().read("image", body) is None


async def test_a_document_gives_its_words_page_by_page() -> None:
    found = await reader().read("pdf", a_pdf("Café", "Two"))
    assert found is not None
    assert (found.text, found.pages, found.is_cut) == ("Café\n\nTwo", 2, False)


async def test_a_document_that_is_not_locked_for_readers_is_read() -> None:
    for password, words in (("", "One"), ("secret", None)):
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(a_pdf("One")))
        writer.encrypt(password, "owner", algorithm="AES-256")
        made = io.BytesIO()
        writer.write(made)
        found = await reader().read("pdf", made.getvalue())
        assert (found and found.text) == words


async def test_a_long_document_is_cut() -> None:
    found = await reader().read("pdf", a_pdf(*["Word"] * (inmate.MOST_PAGES + 1)))
    assert found is not None
    assert (found.pages, found.is_cut) == (inmate.MOST_PAGES + 1, True)
    assert found.text.count("Word") == inmate.MOST_PAGES


@pytest.mark.parametrize(
    "body", [b"", b"%PDF-1.7\n", b"%PDF-1.7\n" + b"\0" * 9999, a_pdf("x")[:99]]
)
async def test_what_is_no_document_gives_nothing(body: bytes) -> None:
    found = await reader().read("pdf", body)
    assert found is None or found.text == ""


async def test_a_file_that_takes_too_long_gives_nothing() -> None:
    assert await JailedReader(timeout_s=0).read("image", an_image()) is None


@pytest.mark.parametrize(
    "script",
    [
        "import sys\nwhile True: sys.stdout.write('x' * 65536)",
        "import sys\nsys.stdout.write('{}')",
        "print('no json')",
        "print('{}')\nraise SystemExit(1)",
        "import time, sys\nsys.stdout.close()\ntime.sleep(60)",
    ],
    ids=["a flood", "no end of line", "no JSON", "a failure", "silence"],
)
async def test_a_process_that_was_taken_over_costs_no_more_than_its_file(
    tmp_path: Path, script: str
) -> None:
    taken = tmp_path / "taken.py"
    taken.write_text(script, encoding="utf-8")
    body = b"x" * 5_000_000
    found = await JailedReader(script=taken, timeout_s=3).read("image", body)
    assert found in (None, Reading())


_ESCAPES = {
    "a file": "open('/etc/hostname').read()",
    "a socket": "import socket; socket.socket()",
    "a process": "import subprocess; subprocess.run(['/bin/true'], check=True)",
    "much memory": "bytearray(2_000_000_000)",
}


@pytest.mark.parametrize("attempt", _ESCAPES.values(), ids=_ESCAPES.keys())
def test_whoever_takes_over_the_process_can_open_nothing(attempt: str) -> None:
    taken_over = (
        f"import runpy, sys; sys.path.insert(0, {str(Path(inmate.__file__).parent)!r})\n"
        "import inmate, subprocess, socket\n"
        "def attack(body):\n"
        f"    try:\n        {attempt}\n"
        "    except (OSError, MemoryError):\n        return {'held': True}, b''\n"
        "    return {'held': False}, b''\n"
        "inmate._prepare_images = lambda: attack\n"
        "sys.argv = ['inmate', 'image']\n"
        "inmate.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", taken_over], input=b"", capture_output=True, check=False
    )
    assert done.stdout == b'{"held": true}\n', done.stderr[-300:]


async def test_the_process_sees_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-seen")
    curious = tmp_path / "curious.py"
    told = "json.dumps({'text': repr(dict(os.environ))})"
    curious.write_text(f"import json, os\nprint({told})", encoding="utf-8")
    found = await JailedReader(script=curious).read("image", b"")
    assert found is not None
    assert found.text.startswith("{")
    assert "sk-never-seen" not in found.text
