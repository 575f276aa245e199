"""TLS over a connection to an address that was checked: the certificate is the name's."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backend.errors import ToolRefused, ToolUnavailable
from backend.integrations.web.client import GuardedHttp
from backend.integrations.web.reach import reach_of
from backend.ports.http import HttpRequest
from tests.tools.web_server import WebServer, web_server

NAME = "api.test"


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for the name, which signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    began = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(began)
        .not_valid_after(began + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, secret = folder / "public.pem", folder / "secret.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return public, secret


@pytest_asyncio.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WebServer]:
    """Yield a server with a certificate that this process trusts."""
    public, secret = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(public, secret)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    async with web_server(tls) as made:
        yield made


async def here(name: str, port: int) -> Sequence[str]:
    del name, port
    return ["127.0.0.1"]


def client(*hosts: str) -> GuardedHttp:
    return GuardedHttp(reach_of(hosts, hosts), resolving=here)


async def test_the_certificate_is_that_of_the_name_and_not_of_the_address(
    server: WebServer,
) -> None:
    server.will("/", {})
    async with client(NAME, "other.test", "127.0.0.1") as http:
        asked = HttpRequest("GET", f"https://{NAME}:{server.port}/")
        assert (await http.send(asked)).status == 200
        for host in ("other.test", "127.0.0.1"):
            with pytest.raises(ToolUnavailable):
                await http.send(HttpRequest("GET", f"https://{host}:{server.port}/"))
    assert len(server.asked) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with client(NAME) as http:
        with pytest.raises(ToolUnavailable):
            await http.send(HttpRequest("GET", f"https://{NAME}:{server.port}/"))
    assert server.asked == []


async def test_nobody_is_led_from_tls_to_an_address_without_it(server: WebServer) -> None:
    async with web_server() as plain, client(NAME) as http:
        plain.will("/", {})
        server.will_redirect("/", f"http://{NAME}:{plain.port}/")
        with pytest.raises(ToolRefused, match="without TLS"):
            await http.send(HttpRequest("GET", f"https://{NAME}:{server.port}/"))
        assert plain.connections == 0
