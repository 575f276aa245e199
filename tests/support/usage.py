"""Calls of models, as workers record them."""

from typing import Any
from uuid import uuid4


def model_call(**fields: Any) -> dict[str, Any]:
    """Return a call of 100 + 10 tokens that cost a cent; fields say what is different."""
    return {
        "id": str(uuid4()),
        "age_s": 0,
        "run_id": None,
        "user_id": None,
        "org_id": None,
        "assistant_id": None,
        "provider": "openai",
        "model": "gpt-5.4",
        "asked_model": None,
        "input_tokens": 100,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 10,
        "reasoning_tokens": 0,
        "is_estimated": False,
        "outcome": "completed",
        "cost_usd": "0.01",
        "duration_ms": 5,
        "first_token_ms": 1,
        **fields,
    }
