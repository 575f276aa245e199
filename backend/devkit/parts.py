"""What the stack's processes are told, and what the stack tells of itself."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.devkit import data_api
from backend.devkit.child import Program
from backend.devkit.data_api import DataApi
from backend.devkit.database import Database
from backend.devkit.folder import StackFolder
from backend.devkit.issuer import jwks_url
from backend.devkit.keys import ProjectKeys
from backend.devkit.ports import LOOPBACK

# Where frontends run while somebody writes them; the first one is in the local issuer's tokens.
_FRONTENDS = "http://localhost:5173,http://127.0.0.1:5173,http://localhost:3000"
_CHECKOUT = str(Path(__file__).parents[2])


@dataclass
class Parts:
    """The parts of one stack; asked at each start of a process, because ports may change."""

    folder: StackFolder
    database: Database
    keys: ProjectKeys
    workplace: Path | None = None
    """Where relative paths in the settings of service and workers begin; None: in the data folder."""
    ports: dict[str, int] = field(default_factory=dict)
    """Of `data_api`, `issuer` and `service`."""

    def url(self, part: str) -> str:
        """Return where the part answers; without a slash at the end."""
        return f"http://{LOOPBACK}:{self.ports[part]}"

    def data_api(self) -> Program:
        """Return the program of the Data API; its configuration is written."""
        told = DataApi(
            port=self.ports["data_api"],
            database_url=self.database.authenticator_url,
            catalogue_url=self.database.owner_url,
            issuer_url=self.url("issuer"),
            jwks_url=jwks_url(self.url("issuer")),
            keys=self.keys,
        )
        return Program(told.write(self.folder), data_api.environment(os.environ))

    def service(self, command: list[str]) -> Program:
        """Return the program of the HTTP service."""
        place = {"API_HOST": LOOPBACK, "API_PORT": str(self.ports["service"])}
        return Program(command, {**self._service_environment(), **place}, self.workplace)

    def worker(self, command: list[str]) -> Program:
        """Return the program of a worker."""
        return Program(command, self._service_environment(), self.workplace)

    def describe(self) -> dict[str, Any]:
        """Return what `stack.json` says besides the processes."""
        return {
            "supabase_url": self.url("data_api"),
            "publishable_key": self.keys.publishable_key,
            "secret_key": self.keys.secret_key,
            "database_url": self.database.service_url,
            "admin_database_url": self.database.owner_url,
            "api_url": self.url("service"),
            "web_url": None,
            "issuer_url": self.url("issuer"),
            "data": str(self.folder.path),
        }

    def _service_environment(self) -> dict[str, str]:
        # Whoever answers messages gets the keys of models, and never the owner's login.
        inherited = {
            name: text for name, text in os.environ.items() if name != "ADMIN_DATABASE_URL"
        }
        return {
            **inherited,
            # Runs from a checkout that was never installed, too.
            "PYTHONPATH": os.pathsep.join(filter(None, [_CHECKOUT, inherited.get("PYTHONPATH")])),
            "DATABASE_URL": self.database.service_url,
            "SUPABASE_URL": self.url("data_api"),
            "SUPABASE_PUBLISHABLE_KEY": self.keys.publishable_key,
            "SUPABASE_SECRET_KEY": self.keys.secret_key,
            "CLERK_ISSUER": self.url("issuer"),
            "ALLOWED_ORIGINS": inherited.get("ALLOWED_ORIGINS", _FRONTENDS),
            "LOG_FOLDER": str(self.folder.logs),
        }
