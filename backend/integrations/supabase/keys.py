"""Whether the keys of a Supabase project look like what they should be."""

from collections.abc import Mapping

from backend.domain.checks import Check, fails, holds

_PREFIXES = {
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_",
    "SUPABASE_SECRET_KEY": "sb_secret_",
}


def check_keys(url: str | None, keys: Mapping[str, str | None]) -> list[Check]:
    """Return findings about the project's URL and keys; never the keys themselves.

    Args:
        url: Of the project.
        keys: By the name of their variable.
    """
    return [_url(url), *(_key(name, keys.get(name)) for name in _PREFIXES)]


def _url(url: str | None) -> Check:
    name = "SUPABASE_URL"
    if url and url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        return holds(name, url)
    advice = "Set it to the project's URL, https://<project>.supabase.co."
    return fails(name, url or "not set", advice)


def _key(name: str, key: str | None) -> Check:
    prefix = _PREFIXES[name]
    if key and key.startswith(prefix):
        return holds(name, f"{prefix}…")
    advice = f"Copy the key that begins with {prefix} from the project's API settings."
    if key and key.startswith("eyJ"):
        return fails(name, "a legacy JWT key", advice)
    return fails(name, "not set" if not key else "has another shape", advice)
