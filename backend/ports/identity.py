"""Who a token speaks for."""

from typing import Protocol

from backend.domain.identity import SignedIn


class TokenVerifier(Protocol):
    """Knows the issuer and its keys."""

    async def verify(self, token: str) -> SignedIn:
        """Return whom the token speaks for.

        Args:
            token: As it came, without `Bearer `; hostile until verified.

        Raises:
            Unauthenticated: It does not hold, whatever the reason.
            IdentityUnavailable: No token can be verified now.
        """
        ...
