"""Whether the Data API takes the project's keys, and for whom."""

from backend.domain.checks import Check, any_failed, fails, holds, warns
from backend.integrations.supabase.dashboard import page
from backend.integrations.supabase.keys import PUBLISHABLE, SECRET, check_key, check_url
from backend.integrations.supabase.project_checks import DIAGNOSE, REFUSED, check_answer
from backend.integrations.supabase.questions import Answer, Project

# The key's own signature does not hold, or it is too old: only of keys that are JWTs.
_BAD_KEY = frozenset({"PGRST300", "PGRST301", "PGRST302", "PGRST303"})


async def check_project(
    project: Project, publishable: str | None, secret: str | None, *, needs_secret: bool
) -> list[Check]:
    """Return whether somebody answers at the URL, and what is wrong with the keys, never themselves.

    Args:
        project: Asked only where its URL is one.
        publishable: The browsers' key.
        secret: The server's.
        needs_secret: Nothing works without it.
    """
    url = check_url(project.url) or await check_answer(project)
    found = [url]
    for name, key, is_needed in (
        (PUBLISHABLE, publishable, False),
        (SECRET, secret, needs_secret),
    ):
        if key is None:
            advice = f"Copy it from {page(project.url, 'api keys')}"
            found.append((fails if is_needed else warns)(name, "not set", advice))
        else:
            found += await _check_key(project, name, key, is_reached=url.ok)
    return found


async def _check_key(project: Project, name: str, key: str, *, is_reached: bool) -> list[Check]:
    shape = check_key(name, key, project.url)
    found = [shape] if shape else []
    if any_failed(found) or not is_reached:
        return found
    answer = await project.ask(DIAGNOSE, key=key, body={})
    tried = _judged(name, project, answer)
    # A legacy key that works is still a legacy key.
    return found if found and tried.ok else [tried]


def _judged(name: str, project: Project, answer: Answer) -> Check:
    keys = page(project.url, "api keys")
    if answer.is_trouble:
        said = f"not checked: the Data API answers {answer}"
        return fails(name, said, f"Look at {page(project.url, 'project')}; then try again.")
    if (not answer.code and not answer.is_success) or answer.code in _BAD_KEY:
        copy = f"Copy it from {keys}: of this project, and not revoked."
        return fails(name, f"refused ({answer})", copy)
    if name == SECRET and answer.code == REFUSED:
        said = "accepted, but without the service role's rights"
        return fails(name, said, f"Copy the secret key from {keys}; then run `assistants migrate`.")
    return holds(name, "accepted")


def passed(found: list[Check], name: str) -> bool:
    """Return whether this was checked, and is usable at least."""
    return any(check.name == name and check.level != "fail" for check in found)
