"""One process for each file, which is gone a moment later."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import structlog

from backend.ports.files import Kind, Reading

FILE_UNREADABLE = "file.unreadable"
_INMATE = Path(__file__).with_name("inmate.py")
_MOST_AT_ONCE = 2
_TIMEOUT_S = 20.0
_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
_log = structlog.get_logger()


class _TooMuch(Exception):
    """Nobody asked for so long an answer."""


class JailedReader:
    """Reads files in processes that know no secret and can open nothing."""

    def __init__(
        self,
        *,
        at_once: int = _MOST_AT_ONCE,
        timeout_s: float = _TIMEOUT_S,
        script: Path = _INMATE,
    ) -> None:
        """No process runs yet.

        Args:
            at_once: The most processes; each may take a gigabyte.
            timeout_s: For one file, of which 12 s may be CPU.
            script: What runs in the process.
        """
        self._script = script
        self._places = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s

    async def read(self, kind: Kind, body: bytes) -> Reading | None:
        """Return what it holds, or none for what is broken, encrypted or too large."""
        async with self._places:
            answer, code = await self._ask(kind, body)
        line, _, made = answer.partition(b"\n")
        try:
            told = json.loads(line)
        except ValueError:
            _log.info(FILE_UNREADABLE, kind=kind, bytes=len(body), exit_code=code)
            return None
        return _reading(told, made)

    async def _ask(self, kind: Kind, body: bytes) -> tuple[bytes, int | None]:
        process = await asyncio.create_subprocess_exec(
            # Without the environment, which holds secrets, and without the folder it is run in.
            *(sys.executable, "-I", "-B", str(self._script), kind),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await _exchange(process, body)
                return answer, await process.wait()
        except (TimeoutError, _TooMuch):
            return b"", None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _exchange(process: asyncio.subprocess.Process, body: bytes) -> bytes:
    sending, hearing = process.stdin, process.stdout
    if sending is None or hearing is None:
        raise AssertionError("Both are pipes.")

    async def send() -> None:
        # It may have ended before it heard all.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sending.write(body)
            await sending.drain()
        sending.close()

    sent = asyncio.create_task(send())
    try:
        return await _hear(hearing)
    finally:
        sent.cancel()


async def _hear(stream: asyncio.StreamReader) -> bytes:
    heard = bytearray()
    while piece := await stream.read(65_536):
        heard += piece
        if len(heard) > _LARGEST_ANSWER_BYTES:
            raise _TooMuch
    return bytes(heard)


def _reading(told: Any, made: bytes) -> Reading:
    return Reading(
        body=made,
        media_type=str(told.get("media_type", "")),
        text=str(told.get("text", "")),
        pages=int(told.get("pages", 0)),
        is_cut=told.get("is_cut") is True,
    )
