"""Whether the process of this container is well, as container runtimes ask every few seconds.

The question is a process of its own: it imports little, and needs neither database nor secret.
"""

import json
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path

from backend.errors import SettingsInvalid
from backend.settings import ProbeSettings
from backend.telemetry.liveness import STALE_S, LivenessFile

# Less than container runtimes wait for us.
_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Health:
    """How a process is, and the sentence that says so."""

    is_well: bool
    """False where a restart would help."""
    found: str


def look(settings: ProbeSettings, *, worker: bool | None) -> Health:
    """Return how the process with these settings is.

    Args:
        settings: Of that process.
        worker: Which one is meant. None for the one that is here: a worker where one has left its
            file, else the service.

    Raises:
        SettingsInvalid: With these settings nobody can tell.
    """
    path = settings.worker_liveness_file
    if worker or (worker is None and path and Path(path).exists()):
        return _worker(path)
    return _service(_near(settings.api_host), settings.api_port)


def _worker(path: str) -> Health:
    if not path:
        raise SettingsInvalid("WORKER_LIVENESS_FILE is not set: nobody can tell how a worker is.")
    age_s = LivenessFile(Path(path)).age_s()
    if age_s is None:
        return Health(is_well=False, found=f"No worker has touched {path}.")
    # A clock that was set back must not make a frozen worker young for hours.
    is_well = abs(age_s) <= STALE_S
    return Health(is_well, f"A worker touched {path} {age_s:.0f} s ago.")


def _service(host: str, port: int) -> Health:
    if port == 0:
        raise SettingsInvalid("API_PORT is 0: only the log says where the service listens.")
    try:
        # Unlike urllib's, this connection asks no proxy of the environment.
        with closing(HTTPConnection(host, port, timeout=_PATIENCE_S)) as connection:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            is_well = answer.status == HTTPStatus.OK and _is_ours(answer.read(1000))
    except (OSError, HTTPException) as error:
        what = type(error).__name__
        return Health(is_well=False, found=f"Nothing answers on {host}:{port}: {what}.")
    who = "The service" if is_well else "Something else than our service"
    return Health(is_well, f"{who} answers on {host}:{port}.")


def _is_ours(body: bytes) -> bool:
    try:
        return bool(json.loads(body) == {"status": "alive"})
    except ValueError:
        return False


def _near(host: str) -> str:
    """Return where a service that listens on `host` is found from the same machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - IP's own numbers
