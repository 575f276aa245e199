"""A local issuer: serves the key that verifies its tokens, as Clerk's does on the web."""

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from backend.devkit.ports import LOOPBACK
from backend.devkit.tokens import key_id

_STOP_WITHIN_S = 0.1


def jwks_url(issuer_url: str) -> str:
    """Return where an issuer of Clerk's kind publishes its keys."""
    return f"{issuer_url}/.well-known/jwks.json"


class Issuer:
    """The issuer's two public documents, over HTTP on the loopback address."""

    def __init__(self, key: RSAPrivateKey, port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._server = ThreadingHTTPServer((LOOPBACK, port), _handler(_documents(key, self.url)))
        self._server.daemon_threads = True

    def start(self) -> None:
        """Requests are answered from now on, by a thread of this process."""
        serve = partial(self._server.serve_forever, poll_interval=_STOP_WITHIN_S)
        threading.Thread(target=serve, name="issuer", daemon=True).start()

    def stop(self) -> None:
        """The port is free again."""
        self._server.shutdown()
        self._server.server_close()


def _documents(key: RSAPrivateKey, url: str) -> dict[str, bytes]:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwk = {**public, "kid": key_id(key), "use": "sig", "alg": "RS256"}
    discovery = {
        "issuer": url,
        "jwks_uri": jwks_url(url),
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
    }
    return {
        "/.well-known/jwks.json": json.dumps({"keys": [jwk]}).encode(),
        "/.well-known/openid-configuration": json.dumps(discovery).encode(),
    }


def _handler(documents: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            body = documents.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            return

    return Handler
