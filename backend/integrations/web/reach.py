"""Which hosts may be asked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import httpx2

from backend.errors import ToolRefused

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
_MOST_CHARACTERS = 8000


@dataclass(frozen=True, slots=True)
class Host:
    """One entry of a list: `api.example.com`, `*.example.com`, `10.0.0.5:8080`, `[::1]:8080`."""

    name: str
    port: int | None = None
    """None: any of them."""

    def is_meant(self, name: str, port: int) -> bool:
        """Return whether the entry means this host."""
        if self.port not in (None, port):
            return False
        if self.name.startswith("*."):
            return name.endswith(self.name[1:])
        return name == self.name


def host_from(text: str) -> Host:
    """Return the entry that the text is.

    Raises:
        ValueError: It is none.
    """
    text = text.strip().lower()
    stars = "*." if text.startswith("*.") else ""
    try:
        url = httpx2.URL(f"http://{text.removeprefix(stars)}")
        name = _name_of(url)
    except (httpx2.InvalidURL, ToolRefused):
        raise ValueError(f"{text!r} is no host, such as api.example.com or 10.0.0.5:8080") from None
    if url.raw_path != b"/" or url.userinfo:
        raise ValueError(f"{text!r} is more than a host and its port")
    # A port that is the scheme's own is not seen in a URL.
    return Host(stars + name, url.port or (80 if text.endswith(":80") else None))


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be asked."""

    hosts: tuple[Host, ...] | None
    """None: whatever the internet has, on the ports of the web."""
    private_hosts: tuple[Host, ...] = ()
    """Those that may lie in a private network; they must be among the hosts as well."""

    def parse(self, text: str) -> httpx2.URL:
        """Return the URL if it may be asked for.

        Raises:
            ToolRefused: It may not; the message says why, without the URL.
        """
        if len(text) > _MOST_CHARACTERS:
            raise ToolRefused("The address is too long.")
        try:
            url = httpx2.URL(text)
        except httpx2.InvalidURL:
            raise ToolRefused("This is no address of the web.") from None
        if url.scheme not in _PORTS:
            raise ToolRefused("Only http and https are asked.")
        if url.userinfo or "\\" in text:
            raise ToolRefused("An address holds no user and no backslash.")
        if not 0 < port_of(url) <= _LAST_PORT:
            raise ToolRefused("This is no port.")
        self.check(_name_of(url), port_of(url))
        return url.copy_with(fragment=None)

    def check(self, name: str, port: int) -> None:
        """Return quietly if the host may be asked.

        Raises:
            ToolRefused: It may not.
        """
        if self.hosts is None:
            if port not in _PORTS.values() and not self.may_be_private(name, port):
                raise ToolRefused("This port is none of the web's.")
        elif not any(host.is_meant(name, port) for host in self.hosts):
            raise ToolRefused("This host is not on the operator's list.")

    def may_be_private(self, name: str, port: int) -> bool:
        """Return whether the host may have an address of a private network."""
        return any(host.is_meant(name, port) for host in self.private_hosts)


def reach_of(hosts: Iterable[str] | None, private_hosts: Iterable[str] = ()) -> Reach:
    """Return the reach that these entries are.

    Raises:
        ValueError: One of them is none.
    """
    private = tuple(map(host_from, private_hosts))
    return Reach(None if hosts is None else tuple(map(host_from, hosts)), private)


def port_of(url: httpx2.URL) -> int:
    """Return the port that the URL says or its scheme means."""
    return _PORTS[url.scheme] if url.port is None else url.port


def plain_name(name: str) -> str:
    """Return the name in the form in which names are compared.

    Raises:
        ToolRefused: It is none, or an address in one of the forms that only look for trouble.
    """
    name = name.lower().removesuffix(".")
    if ":" in name:
        return _plain_address(name)
    if not _NAME.fullmatch(name) or ".." in name:
        raise ToolRefused("This is no name of a host.")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 for some.
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise ToolRefused("This is no name of a host.") from None
    return name


def _plain_address(name: str) -> str:
    try:
        address = IPv6Address(name)
    except ValueError:
        raise ToolRefused("This is no name of a host.") from None
    if address.scope_id is not None:
        raise ToolRefused("An address is the same on every machine.")
    return str(address)


def _name_of(url: httpx2.URL) -> str:
    return plain_name(url.raw_host.decode("ascii", "replace"))
