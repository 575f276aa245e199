"""What every answer tells a browser not to do with it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# HSTS is missing on purpose: we speak plain HTTP behind whatever ends TLS, and that one knows
# whether the host is meant to be reached by HTTPS alone.
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


class SecurityHeaders:
    """Adds the headers that an answer does not have yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                there = {name.lower() for name, _ in given}
                message["headers"] = given + [it for it in SECURITY_HEADERS if it[0] not in there]
            await send(message)

        await self._app(scope, receive, send_guarded)
