"""Which IP addresses are the internet's, and which are somebody's own network.

Source:
    IANA's special-purpose address registries for IPv4 and IPv6, as of 2026.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

_NEVER_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this machine
            "169.254.0.0/16",  # link-local: here the clouds keep their credentials
            "168.63.129.16/32",  # Azure's own
            "192.0.0.0/24",  # protocol assignments; Oracle's cloud keeps credentials here
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_PRIVATE_4 = tuple(
    map(
        IPv4Network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",  # carriers', and some clouds' own
            "127.0.0.0/8",
            "172.16.0.0/12",
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays into IPv6
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
        ),
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")
# All within 2000::/3: some of them lead to an IPv4 address that hides in them.
_NOT_PUBLIC_6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48"))
)
_PRIVATE_6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
# Credentials of AWS and of Google's cloud, in the midst of private networks.
_NEVER_6 = (IPv6Network("fd00:ec2::/32"), IPv6Network("fd20:ce::/32"))


def is_reachable(address: str, *, or_private: bool = False) -> bool:
    """Return whether this address may be connected to.

    Args:
        address: Of either family; with a zone, or as IPv4 within IPv6, it is never reachable.
        or_private: Also where it is this machine's or a private network's. Never where clouds keep
            credentials, and nothing link-local.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        is_private = any(found in network for network in _PRIVATE_4)
        is_never = any(found in network for network in _NEVER_4)
        return not is_never and (or_private or not is_private)
    if found.scope_id is not None or any(found in network for network in _NEVER_6):
        return False
    if or_private and any(found in network for network in _PRIVATE_6):
        return True
    return found in _PUBLIC_6 and not any(found in network for network in _NOT_PUBLIC_6)
