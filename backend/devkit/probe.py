"""Is a server on the loopback address ready."""

import http.client

from backend.devkit.ports import LOOPBACK


def answers(port: int, path: str) -> bool:
    """Return whether GET of this path is answered with a 2xx now."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status // 100 == 2  # noqa: PLR2004 - the class of success
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
