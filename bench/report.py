"""What was measured, beside what it may cost."""

from typing import Any

from bench import policies

_BUDGETS = {
    "insert_to_model_ms.p50": "≤ 5",
    "insert_to_model_ms.p99": "≤ 25",
    "ratio_p50": "≤ 2 of bare",
    "runs_per_s_1": "≥ 60",
    "growth": "≥ 1.7",
    "growth_slow_model": "≥ 1.7",
    "worker_cpu_ms_per_run": "≤ 10",
    "postgres_cpu_ms_per_run": "≤ 4",
    "claim_ms_heads_running": "≤ 5",
    "claim_ms_heads_ready": "≤ 5",
    "claim_ms_burst": "≤ 5",
    "claim_ms_deferred": "≤ 5",
    "claim_ms_all_backing_off": "≤ 5",
    "first_word_ms.p50": "≤ 10",
    "words_per_s": "≥ 5000",
    "words_at_half_ms.p99": "≤ 250",
    "open_streams_mb": "≤ 300 at 2,000",
    **{
        f"policies.{size}.{what}.{ratio}": "≤ 1.1"
        for size in policies.SIZES
        for what in policies.STATEMENTS
        for ratio in ("ratio", "http_ratio")
    },
}


def table(found: dict[str, Any]) -> str:
    """Return one line a number: its name, what was found, its budget if it has one."""
    rows = [
        (name, f"{value:.2f}" if isinstance(value, float) else str(value), _BUDGETS.get(name, ""))
        for name, value in _flat(found).items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {budget}" for name, value, budget in rows
    )


def _flat(found: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            flat[prefix + name] = value
    return flat
