"""What is missing before a message can be answered, in the order in which to see to it."""

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches

from backend.app.accounts import HOSTED, OFFLINE, accounts, check_accounts, variable_of
from backend.app.connections import open_gateway
from backend.app.tool_list import NoDatabase
from backend.app.tools import open_toolbox
from backend.domain.checks import Check, fails, holds, warns
from backend.domain.successors import successors
from backend.errors import SettingsInvalid
from backend.integrations.clerk.checks import check_issuer
from backend.integrations.supabase import checks
from backend.integrations.supabase.access_checks import (
    check_sign_ups,
    check_token,
    token_unchecked,
)
from backend.integrations.supabase.diagnosis import Diagnosis, diagnose
from backend.integrations.supabase.key_checks import check_project, passed
from backend.integrations.supabase.keys import PUBLISHABLE, SECRET, URL
from backend.integrations.supabase.login_checks import check_login
from backend.integrations.supabase.project_checks import check_engine, check_service_functions
from backend.integrations.supabase.questions import Project, open_client
from backend.integrations.supabase.vault_checks import check_model_keys
from backend.model_settings import COMPATIBLE
from backend.ports.clock import SystemClock
from backend.settings import Settings

_TIMEOUT_S = 5.0


def doctor(settings: Settings, *, token: str | None = None) -> list[Check]:
    """Return what was found, in the order to see to it; what a failure hides is left out.

    Args:
        settings: Of the processes that shall work.
        token: A signed-in user's, to try it on the project.
    """
    return asyncio.run(_examine(settings, token))


async def _examine(settings: Settings, token: str | None) -> list[Check]:
    found = [_transport(settings)]
    async with open_client() as client:
        project = Project(settings.supabase_url, client) if settings.supabase_url else None
        found += await _check_project(settings, project)
        project = project if passed(found, URL) else None
        key = settings.supabase_publishable_key if passed(found, PUBLISHABLE) else None
        found += await _check_login(settings)
        diagnosis = None
        if passed(found, "role" if settings.transport == "asyncpg" else SECRET):
            answers, diagnosis = await _diagnose(settings)
            found.append(answers)
        if diagnosis:
            found += [checks.check_schema(diagnosis), checks.check_policies(diagnosis)]
            found += await _check_vault(settings)
        if project and key:
            has_functions = diagnosis is not None
            found.append(await check_service_functions(project, key, is_there=has_functions))
            found.append(await check_engine(project, key))
        found += await _check_issuer(settings)
        if diagnosis:
            found.append(checks.check_pin(diagnosis, settings.clerk_issuer))
        found += await _check_users(settings, project, key, token)
    found += await _check_tools(settings)
    found += (wrong := _check_models(settings))
    return [*found, *(_check_rest(settings, diagnosis) if diagnosis and not wrong else [])]


def _check_models(settings: Settings) -> list[Check]:
    """Return what keeps a worker from its models; what it can have is told where it is needed."""
    try:
        check_accounts(settings, SystemClock())
    except SettingsInvalid as wrong:
        return [fails("models", str(wrong), "No worker starts with it.")]
    return []


async def _check_tools(settings: Settings) -> list[Check]:
    """Put the tools together as a worker does at its start; no server is asked."""
    if not (settings.tools_file or settings.tools_modules or settings.tools_private_hosts):
        return []
    try:
        async with open_toolbox(settings, NoDatabase(), SystemClock()):
            return [
                holds(
                    "tools", "a worker can put them together; `assistants tools` asks their servers"
                )
            ]
    except SettingsInvalid as wrong:
        return [
            fails("tools", str(wrong), "No worker starts with it. `assistants tools` lists them.")
        ]


def _transport(settings: Settings) -> Check:
    if settings.transport == "asyncpg":
        return holds("settings", "functions are called over DATABASE_URL")
    return holds("settings", "functions are called over SUPABASE_URL, with the secret key")


async def _check_project(settings: Settings, project: Project | None) -> list[Check]:
    if project is None:
        advice = "Set it to the project's URL, https://<project>.supabase.co."
        return [warns(URL, "not set, so that nothing was asked over HTTP", advice)]
    secret = settings.supabase_secret_key
    return await check_project(
        project,
        settings.supabase_publishable_key,
        secret.get_secret_value() if secret else None,
        needs_secret=settings.transport == "postgrest",
    )


async def _check_login(settings: Settings) -> list[Check]:
    if settings.database_url is None:
        return []
    return await check_login(
        settings.database_url.get_secret_value(),
        settings.supabase_url,
        listen=settings.worker_listen,
        through_pooler=settings.uses_transaction_pooler,
    )


async def _diagnose(settings: Settings) -> tuple[Check, Diagnosis | None]:
    clock = SystemClock()
    async with open_gateway(
        settings, clock, "assistants-doctor", size=1, timeout_s=_TIMEOUT_S
    ) as gateway:
        return await diagnose(gateway, settings.supabase_url)


async def _check_vault(settings: Settings) -> list[Check]:
    if not settings.model_keys_in_vault:
        return []
    clock = SystemClock()
    async with open_gateway(
        settings, clock, "assistants-doctor", size=1, timeout_s=_TIMEOUT_S
    ) as gateway:
        return await check_model_keys(gateway, settings.model_keys_in_vault)


async def _check_issuer(settings: Settings) -> list[Check]:
    if settings.clerk_issuer is None:
        advice = "Set CLERK_ISSUER to the Frontend API URL of your Clerk instance."
        return [fails("issuer", "CLERK_ISSUER is not set", advice)]
    return await check_issuer(settings.clerk_issuer)


async def _check_users(
    settings: Settings, project: Project | None, key: str | None, token: str | None
) -> list[Check]:
    if project is None or key is None:
        return [token_unchecked(f": {URL} and {PUBLISHABLE} are needed")] if token else []
    tried = token_unchecked()
    if token:
        tried = await check_token(project, key, token, issuer=settings.clerk_issuer)
    return [tried, await check_sign_ups(project, key)]


def _check_rest(settings: Settings, said: Diagnosis) -> list[Check]:
    answering = successors(settings.model_aliases)
    default = said.default_model and answering.get(said.default_model, said.default_model)
    named = {
        kind: list(dict.fromkeys(answering.get(model, model) for model in models))
        for kind, models in (
            ("user_models", said.user_models),
            ("cheaper_models", said.cheaper_models),
        )
    }
    asked = said.model_copy(update={"default_model": default, **named})
    return [
        *checks.check_assistant(asked, frozenset({OFFLINE, *accounts(settings)}), _missing_key),
        checks.check_clock(said),
        checks.check_webhook(said, has_secret=settings.webhook_secret is not None),
        checks.check_realtime(said),
        checks.check_attachments(said),
        checks.check_workers(said),
    ]


def _missing_key(models: Sequence[str]) -> str:
    prefixes = list(dict.fromkeys(model.partition(":")[0] for model in models))
    is_known = all(map(variable_of, prefixes))
    named = prefixes if is_known else [*HOSTED, COMPATIBLE]
    variables = [f"{variable_of(it)} for {it}:… models" for it in named]
    told = [f"Near to {it}: {near}." for it in prefixes if (near := _near(it))]
    wanted = f"Set {(' and ' if is_known else ' or ').join(variables)}"
    return " ".join([*told, f"{wanted}; offline:demo needs nothing."])


def _near(prefix: str) -> str:
    """Return names that somebody may have meant who wrote one that no provider has."""
    return "" if variable_of(prefix) else ", ".join(get_close_matches(prefix, [*HOSTED, OFFLINE]))
