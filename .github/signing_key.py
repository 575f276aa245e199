# ruff: noqa: INP001 - a script of the workflow
"""Prints a signing key as `signing_keys_path` of supabase/config.toml wants it.

Usage: python .github/signing_key.py key.pem >supabase/signing_keys.json

The key is made where there is none. Tokens that `backend.devkit.tokens.mint` signs with it are
then trusted by `supabase start`.
"""

import json
import sys
from pathlib import Path

from jwt.algorithms import RSAAlgorithm

from backend.devkit.tokens import key_id, load_key

key = load_key(Path(sys.argv[1]))
jwk = json.loads(RSAAlgorithm.to_jwk(key))
# The members and their values are those of `supabase gen signing-key`.
facts = {"kid": key_id(key), "use": "sig", "alg": "RS256", "ext": True}
keys = [{**jwk, **facts, "key_ops": ["sign", "verify"]}]
sys.stdout.write(json.dumps(keys, indent=2))
