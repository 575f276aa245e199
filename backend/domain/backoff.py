"""How long to wait before the next try."""


def backoff_s(attempt: int, *, base_s: float, limit_s: float, jitter: float) -> float:
    """Return seconds that double with each attempt up to a limit, times 0.5 to 1.5.

    Args:
        attempt: 0 for the first wait.
        base_s: The first wait.
        limit_s: The longest wait, before jitter.
        jitter: A random number from 0 to 1; without it everybody comes back at once.
    """
    return float(min(limit_s, base_s * 2.0 ** min(attempt, 30)) * (0.5 + jitter))
