"""Files that users have attached, by the HTTP API of Supabase Storage."""

import json
import re
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import httpx

from backend.domain.asker import Asker
from backend.errors import NotFound, PayloadTooLarge, StorageUnavailable

_BUCKET = "attachments"
# As policies/storage/objects.sql has it.
_PATH = re.compile(
    r"(?P<owner>[^/]+)/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/(?!\.{1,2}\Z)[^/]{1,255}"
)
_OK, _BAD, _MISSING = 200, 400, 404
_NO_FILE = frozenset({"400", "404"})
_LONGEST_REFUSAL_BYTES = 4096


class SupabaseStorage:
    """Reads the bucket of attachments with the service's own key.

    The key may read every file, so whose it is, is decided here: the first folder of its path is its
    owner's id, as the policies of the bucket have it.
    """

    def __init__(
        self, url: str, *, secret_key: str, timeout_s: float = 20.0, connections: int = 8
    ) -> None:
        """Nothing is connected yet.

        Args:
            url: The project's, without a path.
            secret_key: `sb_secret_…`, or a legacy service_role key.
            timeout_s: For a connection, and for each pause.
            connections: The most at a time.
        """
        self._where = urlsplit(url).netloc.rpartition("@")[2]
        self._client = httpx.AsyncClient(
            base_url=f"{url.rstrip('/')}/storage/v1/object/{_BUCKET}/",
            headers={
                "apikey": secret_key,
                "authorization": f"Bearer {secret_key}",
                # What a few bytes could be blown up to is nothing to find out here.
                "accept-encoding": "identity",
            },
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=connections),
            follow_redirects=False,
            # Without TLS nobody is asked by way of a proxy that the environment names.
            mounts={"http://": None},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def read(self, file_id: str, asker: Asker, *, max_bytes: int) -> bytes:
        """Return the file's bytes.

        Raises:
            NotFound: There is no such file, or it is another user's: the two look the same.
            PayloadTooLarge: It is larger.
            StorageUnavailable: It may be had later.
        """
        path = _PATH.fullmatch(file_id)
        if path is None or path["owner"] != asker.user_id:
            raise NotFound("There is no such file.")
        try:
            return await self._read(file_id, max_bytes)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = f"No answer from Storage at {self._where} ({type(error).__name__})."
            raise StorageUnavailable(said) from None

    async def _read(self, path: str, max_bytes: int) -> bytes:
        # A segment is quoted whole, so that none of its characters is a part of the address.
        address = "/".join(quote(segment, safe="") for segment in path.split("/"))
        async with self._client.stream("GET", address) as response:
            if await _says_missing(response):
                raise NotFound("There is no such file.")
            if response.status_code != _OK:
                said = f"Storage at {self._where} answers {response.status_code}."
                raise StorageUnavailable(said)
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > max_bytes:
                    raise PayloadTooLarge("The file is too large.")
            return bytes(body)


async def _says_missing(response: httpx.Response) -> bool:
    # Storage says 400 for a file that is not there and for a name that none can have, and the true
    # status in words; it says 400 for a key that does not hold, too.
    if response.status_code != _BAD:
        return response.status_code == _MISSING
    said = b""
    async for piece in response.aiter_raw():
        said += piece
        if len(said) > _LONGEST_REFUSAL_BYTES:
            return False
    try:
        told = json.loads(said)
    except ValueError:
        return False
    return isinstance(told, dict) and str(told.get("statusCode")) in _NO_FILE
