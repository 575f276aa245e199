"""Who gets in: users with Clerk's tokens, and whoever signs up with the project itself."""

import re
from http import HTTPStatus

from backend.domain.checks import Check, fails, holds, warns
from backend.integrations.supabase.dashboard import page
from backend.integrations.supabase.keys import unverified
from backend.integrations.supabase.questions import Answer, Project

_TOKEN = "users' tokens"  # noqa: S105 - the name of a check
_SIGN_UPS = "sign-ups"
_SESSIONS = "/rest/v1/chat_sessions?select=id&limit=0"
_INTEGRATION = "https://dashboard.clerk.com/setup/supabase"
_SENDABLE = re.compile(r"[!-~]{20,8000}")
_EXPIRED = "PGRST303"
_UNTRUSTED = frozenset({"PGRST300", "PGRST301", "PGRST302"})
_REFUSED = "42501"


def token_unchecked(why: str = "") -> Check:
    """Return that nobody has tried a user's token, and how to."""
    advice = (
        "Sign in to your frontend, copy `await window.Clerk.session.getToken()` from the browser's"
        " console, and paste it within a minute into `assistants doctor --token -`."
    )
    return warns(_TOKEN, f"not checked{why}", advice)


async def check_token(project: Project, key: str, token: str, *, issuer: str | None) -> Check:
    """Return whether the project trusts this user's token, and as what.

    Args:
        project: Which must trust its issuer.
        key: The publishable one.
        token: A signed-in user's, fresh; it is sent to the project and never shown.
        issuer: Of CLERK_ISSUER, whom the service trusts.
    """
    claims = unverified(token)
    if claims is None or not _SENDABLE.fullmatch(token):
        return fails(_TOKEN, "what was given is no token", token_unchecked().advice)
    if issuer and claims.get("iss") != issuer:
        advice = "Set CLERK_ISSUER to the Frontend API URL of the instance that issues the tokens."
        return fails(_TOKEN, "the token is of another issuer than CLERK_ISSUER", advice)
    if claims.get("role") != "authenticated":
        advice = f"Activate the Supabase integration of Clerk: {_INTEGRATION}"
        return fails(_TOKEN, 'the token lacks "role": "authenticated"', advice)
    answer = await project.ask(_SESSIONS, key=key, token=token)
    return _judged(project, answer)


def _judged(project: Project, answer: Answer) -> Check:
    if answer.is_success:
        return holds(_TOKEN, "the project trusts Clerk's tokens")
    if answer.code == _EXPIRED:
        return fails(
            _TOKEN, "the token has expired: it lives for a minute", token_unchecked().advice
        )
    if answer.code in _UNTRUSTED or (answer.status == HTTPStatus.UNAUTHORIZED and not answer.code):
        advice = (
            f"Add Clerk with its domain at {page(project.url, 'third-party auth')}; for"
            " `supabase start` in config.toml under [auth.third_party.clerk]."
        )
        return fails(_TOKEN, f"the project does not trust Clerk ({answer})", advice)
    if answer.code == _REFUSED:
        said = "the project takes the token for nobody's, or lacks grants"
        advice = f"Activate the Supabase integration of Clerk: {_INTEGRATION}; then migrate."
        return fails(_TOKEN, said, advice)
    return fails(_TOKEN, f"not checked: {answer}", "Run `assistants doctor` again.")


async def check_sign_ups(project: Project, key: str) -> Check:
    """Return whether people other than Clerk's users can become `authenticated`."""
    answer = await project.ask("/auth/v1/settings", key=key)
    if answer.status == HTTPStatus.NOT_FOUND:
        return holds(_SIGN_UPS, "there is no Auth server")
    settings = answer.body if isinstance(answer.body, dict) else {}
    match settings.get("disable_signup") if answer.is_success else None:
        case True:
            return holds(_SIGN_UPS, "closed: users come from Clerk alone")
        case False:
            said = "open: anybody can sign up past Clerk and let your models answer"
            where = page(project.url, "sign-ups")
            return warns(_SIGN_UPS, said, f"Switch off new users' sign-ups at {where}")
        case _:
            advice = f"Look at {page(project.url, 'sign-ups')}"
            return warns(_SIGN_UPS, f"not checked: {answer}", advice)
