"""Which addresses and which hosts may be asked."""

import pytest

from backend.errors import ToolRefused
from backend.integrations.web.addresses import is_reachable
from backend.integrations.web.reach import reach_of

ALWAYS = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:82b::200e"]
WHERE_ALLOWED = [
    "127.0.0.1",
    "10.1.2.3",
    "172.31.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12::1",
]
NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378::",
    "2001:db8::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "127.1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", ALWAYS)
def test_the_internet_may_be_asked(address: str) -> None:
    assert is_reachable(address)


@pytest.mark.parametrize("address", WHERE_ALLOWED)
def test_a_private_network_may_be_asked_where_that_is_allowed(address: str) -> None:
    assert not is_reachable(address)
    assert is_reachable(address, or_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_where_clouds_keep_credentials_nobody_asks(address: str) -> None:
    assert not is_reachable(address)
    assert not is_reachable(address, or_private=True)


LISTED = reach_of(["api.example.com", "*.example.org", "shop.example:8443", "[2001:db8::1]:80"])
ANYTHING = reach_of(None)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/a?b=c",
        "http://API.example.com./",
        "https://api.example.com:9000/",
        "https://a.b.example.org/",
        "https://shop.example:8443/",
        "http://[2001:db8:0::1]/",
    ],
)
def test_hosts_on_the_list_may_be_asked(url: str) -> None:
    assert str(LISTED.parse(f"{url}#part")) == url.lower().replace("2001:db8:0:", "2001:db8:0:")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://evil-example.org/",
        "https://example.org/",
        "https://api.example.com.evil.net/",
        "https://evil.net/api.example.com",
        "https://shop.example/",
        "https://user@api.example.com/",
        "https://api.example.com@evil.net/",
        "https://evil.net\\@api.example.com/",
        "https://api.example.com\\.evil.net/",
        "https://api.example.com%2eevil.net/",
        "https://api.example.com%00.evil.net/",
        "ftp://api.example.com/",
        "file:///etc/passwd",
        "gopher://api.example.com/",
        "javascript:alert(1)",
        "//api.example.com/",
        "https:///path",
        "https://",
        "",
        "https://api.example.com:99999999/",
        "https://api.example.com/\r\nHost: evil.net",
        "https://api.example.com/" + "a" * 9000,
    ],
)
def test_whatever_is_not_on_the_list_is_refused(url: str) -> None:
    with pytest.raises(ToolRefused):
        LISTED.parse(url)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "1.2.3.4.5", "[fe80::1%25eth0]"],
)
def test_an_address_in_a_strange_form_is_refused_even_where_all_hosts_may_be_asked(
    host: str,
) -> None:
    with pytest.raises(ToolRefused):
        ANYTHING.parse(f"http://{host}/")


def test_only_the_ports_of_the_web_are_asked_where_all_hosts_may_be() -> None:
    assert ANYTHING.parse("https://example.com/")
    assert ANYTHING.parse("http://example.com:443/")
    with pytest.raises(ToolRefused):
        ANYTHING.parse("http://example.com:6379/")


@pytest.mark.parametrize(
    "entry", ["", "https://a.example", "a.example/path", "u@a.example", "a b", "*", "127.1", "a:x"]
)
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="host"):
        reach_of([entry])
