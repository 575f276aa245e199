"""What the doctor asks a project over HTTP: does it answer, and does it serve what it should."""

from http import HTTPStatus

from backend.domain.checks import Check, fails, holds, warns
from backend.integrations.supabase.dashboard import page
from backend.integrations.supabase.keys import PUBLISHABLE, URL
from backend.integrations.supabase.questions import Project

DIAGNOSE = "/rest/v1/rpc/service_diagnose"
_ENGINE_TABLE = "/rest/v1/settings?select=id&limit=0"
REFUSED = "42501"
_NO_FUNCTION = frozenset({"PGRST202", "42883"})
_NO_SCHEMA = "PGRST106"
_PAUSED = 540


async def check_answer(project: Project) -> Check:
    """Return whether somebody answers at the URL as a project does."""
    answer = await project.ask("/rest/v1/")
    look = f"Compare it with {page(project.url, 'project')}"
    if answer.status == _PAUSED:
        return fails(URL, "the project is paused", f"Restore it: {page(project.url, 'project')}")
    if answer.status == 0:
        return fails(URL, f"{project.url}: {answer}", f"{look}; a paused project does not answer.")
    if answer.is_trouble:
        return fails(URL, f"{project.url}: {answer}", "Try again; then look at the project's logs.")
    knows_us = answer.is_json and answer.status != HTTPStatus.NOT_FOUND
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST or not knows_us:
        said = f"{project.url} answers, but there is no Data API ({answer})"
        return fails(URL, said, f"{look}; is the Data API switched on?")
    return holds(URL, f"{project.url} answers")


async def check_service_functions(project: Project, key: str, *, is_there: bool) -> Check:
    """Return whether the functions are served, and refused to browsers.

    Args:
        project: Whose.
        key: A browser's.
        is_there: The database is known to have them.
    """
    name = "service functions"
    answer = await project.ask(DIAGNOSE, key=key, body={})
    if answer.code == REFUSED:
        return holds(name, "refused to browsers")
    if answer.is_success:
        advice = (
            f"Put the publishable key into {PUBLISHABLE}; if it is there, revoke execute on"
            " public.service_* from anon, authenticated and public."
        )
        return fails(name, "whoever has the publishable key may call them", advice)
    if answer.code in _NO_FUNCTION and is_there:
        advice = (
            "Does SUPABASE_URL name the project of DATABASE_URL? If so, run"
            f" notify pgrst, 'reload schema'; in {page(project.url, 'sql editor')}."
        )
        return fails(name, f"the Data API does not know them ({answer})", advice)
    if answer.code in _NO_FUNCTION or answer.code == _NO_SCHEMA:
        return missing(name, project.url, answer.code)
    return warns(name, f"not checked: {answer}", "Run `assistants doctor` again.")


async def check_engine(project: Project, key: str) -> Check:
    """Return whether the schema `engine` is out of reach, as it must be."""
    name = "schema engine"
    answer = await project.ask(_ENGINE_TABLE, key=key, schema="engine")
    if answer.code == _NO_SCHEMA:
        return holds(name, "not exposed")
    if answer.code or answer.is_success:
        where = page(project.url, "exposed schemas")
        return fails(name, "exposed by the Data API", f"Remove engine from the schemas at {where}.")
    return warns(name, f"not checked: {answer}", "Run `assistants doctor` again.")


def missing(name: str, url: str | None, code: str) -> Check:
    """Return the finding that our functions are not there, or not served, as the code says."""
    if code == _NO_SCHEMA:
        where = page(url, "exposed schemas")
        return fails(name, f"the Data API does not serve public ({code})", f"Add it at {where}.")
    advice = "Run `assistants migrate`, or `supabase db push`."
    return fails(name, f"the functions of this release are missing ({code})", advice)
