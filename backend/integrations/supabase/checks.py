"""Whether a database is as this release needs it, by what it says of itself."""

from collections.abc import Callable, Iterator, Sequence

from backend.domain.checks import Check, fails, holds, warns
from backend.integrations.supabase import bundle
from backend.integrations.supabase.diagnosis import Diagnosis
from backend.integrations.supabase.policies import promised

_MOST_SKEW_S = 2.0
_REALTIME = "realtime/*.sql"
_STORAGE = "storage/*.sql"


def check_schema(said: Diagnosis) -> Check:
    """Return whether the database has all of this release's migrations; more are no harm."""
    name = "schema"
    advice = "Run `assistants migrate`, or `supabase db push`."
    wanted = bundle.migrations()
    if said.schema_version is None:
        return fails(name, "no history of migrations", advice)
    if said.schema_version < wanted[-1].version:
        found = f"version {said.schema_version}, older than this release's {wanted[-1].version}"
        return fails(name, found, advice)
    if lacking := [step for step in wanted if step.version not in said.schema_versions]:
        return fails(name, f"version {lacking[0].version} was never applied", advice)
    if said.schema_version == wanted[-1].version:
        return holds(name, f"version {said.schema_version}")
    found = f"version {said.schema_version}, newer than this release's {wanted[-1].version}"
    return holds(name, f"{found}: that works")


def check_policies(said: Diagnosis) -> Check:
    """Return whether every table is guarded, and by the policies of this release alone."""
    name = "policies"
    advice = "Somebody changed the database by hand: compare it with supabase/policies."
    if said.unguarded:
        return fails(name, f"no row-level security on {', '.join(said.unguarded)}", advice)
    there = {(policy.table, policy.name) for policy in said.policies}
    wanted = promised(bundle.folder())
    if lost := sorted(wanted - there):
        return fails(name, f"missing: {lost[0][1]}", advice)
    tables = {table for table, _ in wanted}
    if foreign := sorted(it for it in there - wanted if it[0] in tables):
        return fails(name, f"unknown: {foreign[0][1]}", advice)
    return holds(name, f"{len(wanted)} policies, row-level security on every table")


def check_pin(said: Diagnosis, issuer: str | None) -> Check:
    """Return whether only tokens of our issuer count.

    Args:
        said: By the database.
        issuer: That the service takes tokens of.
    """
    name = "pinned issuer"
    advice = "Run `assistants migrate --pin-issuer` with CLERK_ISSUER set."
    if "pinned_issuer" in said.model_fields_set and said.pinned_issuer != said.token_issuer:
        found = f"the settings say {said.token_issuer}, and policies go by {said.pinned_issuer}"
        return fails(name, found, advice)
    if said.token_issuer is None:
        found = "none: whatever token the project accepts counts in the tables"
        return warns(name, found, advice)
    if issuer and said.token_issuer != issuer:
        found = f"{said.token_issuer}, and CLERK_ISSUER is {issuer}: no user sees any row"
        return fails(name, found, advice)
    return holds(name, said.token_issuer)


def check_clock(said: Diagnosis) -> Check:
    """Return whether this machine and the database agree on what time it is."""
    found = f"{said.skew_s:.1f} s from the database's"
    if said.skew_s <= _MOST_SKEW_S:
        return holds("clock", found)
    return fails("clock", found, "Synchronise this machine's clock (NTP).")


def check_assistant(
    said: Diagnosis, served: frozenset[str], missing_key: Callable[[Sequence[str]], str]
) -> list[Check]:
    """Return whether a session gets an assistant, and whether its model can answer here.

    Args:
        said: By the database.
        served: Prefixes of the models that this process serves.
        missing_key: What to set so that models are served.
    """
    name = "default assistant"
    if said.default_model is None:
        advice = (
            "Run `assistants migrate --seed`, or name one of public.assistants in"
            " engine.settings.default_assistant_id; without, each session must name its own."
        )
        return [fails(name, "there is none", advice)]
    found = holds(name, f"answers by {said.default_model}")
    if not _is_served(said.default_model, served):
        found = fails(
            name, f"nobody here serves {said.default_model}", missing_key([said.default_model])
        )
    return [found, *_unserved_models(said, served, missing_key)]


def _unserved_models(
    said: Diagnosis, served: frozenset[str], missing_key: Callable[[Sequence[str]], str]
) -> Iterator[Check]:
    """Yield what else names models that nobody here serves."""
    for name, models, who, way_out in (
        ("users' models", said.user_models, "users may choose", "Or change user_models."),
        ("budgets", said.cheaper_models, "above a soft limit answers", "Or change cheaper_model."),
    ):
        if unserved := [model for model in models if not _is_served(model, served)]:
            found = f"{who} {', '.join(unserved)}, which nobody here serves"
            yield warns(name, found, f"{missing_key(unserved)} {way_out}")


def check_webhook(said: Diagnosis, *, has_secret: bool) -> Check:
    """Return whether both sides of the webhook agree on whether there is one.

    Args:
        said: By the database.
        has_secret: WEBHOOK_SECRET is set here.
    """
    name = "webhook"
    parts = said.webhook
    set_up = "Run `assistants webhook https://<service>`"
    if has_secret:
        wanted = {
            "pg_net": parts.pg_net,
            "Vault": parts.vault,
            "assistants_webhook_url": parts.url,
            "assistants_webhook_secret": parts.secret,
        }
        lacking = [part for part, is_there in wanted.items() if not is_there]
        if not lacking:
            return holds(name, "set up on both sides")
        found = f"WEBHOOK_SECRET is set, but the database lacks {', '.join(lacking)}"
        return fails(name, found, f"{set_up}, or unset WEBHOOK_SECRET: polling works without.")
    if parts.url:
        advice = (
            f"{set_up} with --rotate and set WEBHOOK_SECRET, or run `assistants webhook --off`."
        )
        return fails(name, "the database sends it, but WEBHOOK_SECRET is not set here", advice)
    return holds(name, "off: workers listen or poll")


def check_realtime(said: Diagnosis) -> Check:
    """Return whether streams over Realtime are guarded, where there is Realtime."""
    if not said.realtime:
        return holds("realtime", "not there: streams come from `assistants serve`")
    wanted = promised(bundle.folder(), _REALTIME)
    if wanted <= {(policy.table, policy.name) for policy in said.policies}:
        return holds("realtime", "there, with its policies")
    advice = "Paste supabase/policies/realtime/messages.sql into the SQL editor."
    return warns("realtime", "its policies are missing: nobody may follow a session", advice)


def check_attachments(said: Diagnosis) -> Check:
    """Return whether users' files are guarded and limited, where there is Storage."""
    name = "attachments"
    if said.attachments is None:
        return holds(name, "no Storage there")
    there = {(policy.table, policy.name) for policy in said.policies}
    if lost := sorted(promised(bundle.folder(), _STORAGE) - there):
        advice = "Paste supabase/policies/storage/objects.sql into the SQL editor."
        return warns(name, f"missing: {lost[0][1]}", advice)
    if not said.attachments.is_private:
        advice = "Make the bucket `attachments` private: policies do not guard a public one."
        return fails(name, "the bucket is public, or gone", advice)
    if not said.attachments.has_limits:
        advice = "Give the bucket `attachments` a size and types: supabase/policies/storage."
        return warns(name, "the bucket takes files of any size or type", advice)
    return holds(name, "a private bucket with its policies")


def check_workers(said: Diagnosis) -> Check:
    """Return whether somebody answers messages."""
    if said.workers:
        return holds("worker", f"{said.workers} reported lately")
    return fails("worker", "no worker has reported lately", "Start one: `assistants work`.")


def _is_served(model: str, served: frozenset[str]) -> bool:
    prefix, colon, name = model.partition(":")
    return bool(colon and name) and prefix in served
