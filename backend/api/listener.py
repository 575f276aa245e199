"""The socket that the service listens on."""

import errno
import socket

from backend.errors import SettingsInvalid

STALLED_S = 30.0


def bind(host: str, port: int, *, stalled_s: float = STALLED_S) -> socket.socket:
    """Return a socket that is bound and does not listen yet; `::` takes IPv4 as well.

    Args:
        host: A name or an address of this machine.
        port: 0 for any that is free.
        stalled_s: The kernel drops a connection whose other end takes nothing for so long, where
            the platform knows how to; streams would otherwise hold on to readers that vanished.

    Raises:
        SettingsInvalid: The port is taken or not ours, or the host is not this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsInvalid("API_HOST is no name or address of this machine.") from None
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Accepted connections inherit it.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stalled_s * 1000))
        made.bind(address)
        # Only listening finds out whether another socket listens there that allows sharing.
        made.listen()
    except OSError as error:
        made.close()
        raise SettingsInvalid(_advice(error, port)) from None
    return made


def _advice(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"API_PORT: something else listens on port {port}; choose another one."
    if error.errno == errno.EACCES:
        return f"API_PORT: this user may not listen on port {port}; choose one above 1023."
    return "API_HOST is no address of this machine."
