"""SQL scripts, cut into statements where PostgreSQL would cut them."""

import re
from itertools import pairwise

_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* )
    | (?P<block> /\* )
    | (?P<escaped> \b[eE]'(?: [^'\\] | \\. | '' )*' )
    | (?P<quoted> '[^']*' | "[^"]*" )
    | (?P<dollar> (?<![\w$]) \$ (?: [^\W\d]\w* )? \$ )
    | (?P<atomic> \b begin \s+ atomic \b )
    | (?P<case> \b case \b )
    | (?P<end> \b end \b )
    | (?P<semicolon> ; )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")


def statements(script: str) -> list[str]:
    """Return the statements in order, comments kept, without outer whitespace and semicolon.

    Semicolons in quotes, dollar quotes, comments and `begin atomic … end` separate nothing.
    """
    cuts = [0, *_separators(script), len(script)]
    pieces = (script[start:end].strip("; \t\r\n") for start, end in pairwise(cuts))
    return [piece for piece in pieces if piece]


def same_script(one: str, other: str) -> bool:
    """Return whether two scripts differ at most in whitespace and in where they were cut."""
    return _squashed(one) == _squashed(other)


def _squashed(script: str) -> str:
    return re.sub(r"[\s;]+", "", script)


def _separators(script: str) -> list[int]:
    found: list[int] = []
    at = depth = 0
    while token := _TOKEN.search(script, at):
        at = token.end()
        match token.lastgroup:
            case "block":
                at = _end_of_block(script, at)
            case "dollar":
                at = _after(script, token[0], at)
            case "atomic":
                depth = 1
            case "case" if depth:
                depth += 1
            case "end" if depth:
                depth -= 1
            case "semicolon" if not depth:
                found.append(at)
    return found


def _end_of_block(script: str, at: int) -> int:
    depth = 1
    while depth and (edge := _BLOCK_EDGE.search(script, at)):
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return len(script) if depth else at


def _after(script: str, tag: str, at: int) -> int:
    closing = script.find(tag, at)
    return len(script) if closing < 0 else closing + len(tag)
