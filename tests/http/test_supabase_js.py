"""The same wall and the same flow in front of supabase-js."""

import json
import os
import subprocess
from pathlib import Path

from tests.support.stack import Stack

SCRIPT = Path(__file__).with_name("chats.test.mjs")


def test_supabase_js_is_served_and_walled_off_alike(stack: Stack, node: Path, user: str) -> None:
    facts = {
        "url": stack.facts["supabase_url"],
        "key": stack.facts["publishable_key"],
        "mine": stack.token(user),
        "theirs": stack.token(f"{user}_other"),
    }
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", SCRIPT],
        env={**os.environ, "STACK": json.dumps(facts)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout
