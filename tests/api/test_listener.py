"""The socket: where it listens, and what is said where it cannot."""

import socket

import pytest

from backend.api.listener import bind
from backend.errors import SettingsInvalid


def test_port_zero_is_any_that_is_free() -> None:
    with bind("127.0.0.1", 0) as first, bind("127.0.0.1", 0) as second:
        ports = {first.getsockname()[1], second.getsockname()[1]}
    assert len(ports) == 2
    assert 0 not in ports


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_port_that_is_taken_is_named(host: str) -> None:
    with bind(host, 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(SettingsInvalid, match=f"API_PORT: .* port {port}"):
            bind(host, port)


def test_a_port_is_free_again_at_once() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            first.accept()[0].close()
    bind("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "x" * 300, "a..b", "\udcff"])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(SettingsInvalid, match="API_HOST"):
        bind(host, 0)


def test_all_of_ipv6_takes_ipv4_too() -> None:
    with bind("::", 0) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()


def test_one_address_of_ipv6_is_that_address() -> None:
    with bind("::1", 0) as listener:
        assert listener.getsockname()[0] == "::1"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the platform has none")
def test_accepted_connections_inherit_the_kernels_patience() -> None:
    with (
        bind("127.0.0.1", 0, stalled_s=7) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        patience_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert patience_ms == 7000
