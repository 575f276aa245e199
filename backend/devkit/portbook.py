"""The ports of a stack: the same ones at each start, as long as nobody else took them."""

from pathlib import Path

from backend.devkit import ports
from backend.devkit.private_files import read_json, write_private_json
from backend.errors import LocalStackFailed


class PortBook:
    """Remembers in a file which part had which port."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: set[int] = set()

    def take(self, part: str, wanted: int | None = None) -> int:
        """Return a free port for the part, which no other part got in this run.

        Args:
            part: As it stands in the file.
            wanted: This one or none; without it the remembered one or any.

        Raises:
            LocalStackFailed: Something listens on the wanted port.
        """
        if wanted is not None and not ports.is_free(wanted):
            raise LocalStackFailed(f"Port {wanted} is taken by another program.")
        known = read_json(self._path)
        port = wanted or ports.choose(self.remembered(part))
        while port in self._taken:
            port = ports.choose(None)
        self._taken.add(port)
        write_private_json(self._path, {**known, part: port})
        return port

    def remembered(self, part: str) -> int | None:
        """Return the port that the part had last."""
        return read_json(self._path).get(part)
