"""Hosts that are asked without TLS: this machine, and its own network."""

import ipaddress


def is_near(host: str) -> bool:
    """Return whether the host is this machine or in its own network, such as another container."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Resolvers take a bare number for an address anywhere.
        return "." not in host and host[:1].isalpha()
    return address.is_private or address.is_loopback
