"""Several keys take turns; one that is refused makes room for the next, before the first word."""

from collections import Counter
from pathlib import Path

import pytest
import structlog

from backend.errors import (
    ModelQuotaExceeded,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
    SettingsInvalid,
)
from backend.integrations.models.keys import (
    NO_KEY,
    FileKeys,
    FixedKeys,
    KeyRing,
    KeysOf,
    split_keys,
)
from tests.models.accounts import Accounts
from tests.models.asking import ask, heard_until_raised
from tests.models.canned import STREAM_HEAD, Canned, Writer, frames
from tests.models.dialects import DIALECTS, whole
from tests.support.manual_clock import ManualClock

GOOD, BAD, THIRD = "sk-good", "sk-refused", "sk-third"


def refuse(canned: Canned, name: str, status: int = 401, *, refused: str = BAD) -> None:
    """Only this key is refused; the others are answered."""
    answer = frames(*whole(DIALECTS[name], DIALECTS[name].say("Hello")))
    body = b'{"type": "error", "error": {"message": "no", "code": "no"}}'

    async def serve(writer: Writer) -> None:
        if refused in str(canned.requests[-1]["headers"]):
            head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n"
            head += f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
        else:
            writer.write(STREAM_HEAD + answer)

    canned.will(serve)


def used(canned: Canned) -> list[str]:
    """Return the keys of the requests so far."""
    sent = [
        it["headers"].get("authorization", "") + it["headers"].get("x-api-key", "")
        for it in canned.requests
    ]
    return [it.removeprefix("bearer ") for it in sent]


async def test_keys_take_turns(canned: Canned, name: str, accounts: Accounts) -> None:
    refuse(canned, name, refused="nobody's")
    provider = accounts.at(canned.url_of(name), name, keys=(GOOD, BAD, THIRD))
    for _ in range(6):
        await provider.generate(ask("Hi"))
    assert used(canned) == [GOOD, BAD, THIRD] * 2


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_a_refused_key_makes_room_for_the_next_and_rests(
    canned: Canned, name: str, accounts: Accounts, status: int
) -> None:
    refuse(canned, name, status)
    clock = ManualClock()
    keys = (BAD, GOOD)
    provider = accounts.at(canned.url_of(name), name, keys=keys, clock=clock)
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            assert (await provider.generate(ask("Hi"))).text == "Hello"
    assert used(canned) == [BAD, GOOD, GOOD, GOOD]
    (line,) = lines
    assert line["key_number"] == 1
    assert BAD not in str(lines)

    await clock.advance(61)
    for _ in range(2):
        await provider.generate(ask("Hi"))
    assert Counter(used(canned)[4:]) == {BAD: 1, GOOD: 2}


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, ModelRefused), (402, ModelQuotaExceeded), (429, ModelRateLimited)],
)
async def test_when_all_are_refused_each_is_asked_once_and_later_one_of_them(
    canned: Canned, accounts: Accounts, status: int, expected: type[Exception]
) -> None:
    refuse(canned, "openai", status, refused="sk-")
    clock = ManualClock()
    provider = accounts.at(canned.base_url, keys=(GOOD, BAD), clock=clock)
    _, error = await heard_until_raised(provider, ask("Hi"))
    assert type(error) is expected
    assert used(canned) == [GOOD, BAD]
    await heard_until_raised(provider, ask("Hi"))
    assert len(canned.requests) == 3


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_what_is_not_about_the_key_is_not_tried_with_another(
    canned: Canned, name: str, accounts: Accounts, status: int
) -> None:
    refuse(canned, name, status, refused="sk-")
    provider = accounts.at(canned.url_of(name), name, keys=(GOOD, BAD))
    await heard_until_raised(provider, ask("Hi"))
    assert len(canned.requests) == 1


async def test_after_the_first_word_no_other_key_is_tried(
    canned: Canned, name: str, accounts: Accounts
) -> None:
    dialect = DIALECTS[name]
    error = {"type": "error", "error": {"type": "rate_limit_error", "code": "insufficient_quota"}}
    refusal = [b"event: error\n", error] if name == "anthropic" else [error]
    canned.will_stream(*dialect.begin(), *dialect.say("Hel"), *refusal)
    provider = accounts.at(canned.url_of(name), name, keys=(GOOD, BAD))
    events, raised = await heard_until_raised(provider, ask("Hi"))
    assert events
    assert isinstance(raised, (ModelRefused, ModelUnavailable))
    assert len(canned.requests) == 1


async def test_embeddings_take_the_next_key_too(canned: Canned, accounts: Accounts) -> None:
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    data = [{"object": "embedding", "index": 0, "embedding": [3.0, 4.0]}]
    found = {"object": "list", "model": "m", "data": data, "usage": usage}
    provider = accounts.at(canned.base_url, keys=(BAD, GOOD))
    canned.will_send(401, {"error": {"message": "no"}})
    with pytest.raises(ModelRefused):
        await provider.embed(["a"], model="m")
    assert used(canned) == [BAD, GOOD]
    canned.will_send(200, found)
    assert (await provider.embed(["a"], model="m")).vectors == [[0.6, 0.8]]


async def test_a_file_of_keys_is_read_again_without_a_restart(
    canned: Canned, accounts: Accounts, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{BAD}\n", "utf-8")
    refuse(canned, "anthropic", refused="nobody's")
    keys = FileKeys(secret, "ANTHROPIC_API_KEY_FILE")
    provider = accounts.at(canned.url, "anthropic", keys=keys)
    await provider.generate(ask("Hi"))
    secret.write_text(f"{GOOD}\n{THIRD}\n", "utf-8")
    for _ in range(2):
        await provider.generate(ask("Hi"))
    assert used(canned)[0] == BAD
    assert sorted(used(canned)[1:]) == [GOOD, THIRD]


async def test_a_file_that_is_swapped_by_its_folder_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes does it: a link to a folder is replaced."""
    for version, key in (("v1", BAD), ("v2", GOOD)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "key").write_text(key, "utf-8")
    link = tmp_path / "current"
    link.symlink_to("v1")
    keys = FileKeys(link / "key", "OPENAI_API_KEY_FILE")
    assert await keys.current() == (BAD,)
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(link)
    assert await keys.current() == (GOOD,)


@pytest.mark.parametrize("trouble", ["gone", "empty", "binary"])
async def test_a_file_that_cannot_be_used_leaves_the_keys_of_before(
    tmp_path: Path, trouble: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(GOOD, "utf-8")
    keys = FileKeys(secret, "OPENAI_API_KEY_FILE")
    if trouble == "gone":
        secret.unlink()
    else:
        secret.write_bytes({"empty": b" \n", "binary": b"sk-\xff\x00"}[trouble])
    with structlog.testing.capture_logs() as lines:
        assert [await keys.current() for _ in range(3)] == [(GOOD,)] * 3
    assert [line["event"] for line in lines] == ["keys.unreadable"]
    assert GOOD not in str(lines)
    secret.write_text(THIRD, "utf-8")
    assert await keys.current() == (THIRD,)


def test_a_file_that_is_not_there_at_the_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"OPENAI_API_KEY_FILE: .* cannot be read"):
        FileKeys(tmp_path / "none", "OPENAI_API_KEY_FILE")


async def test_keys_that_rest_come_back_in_their_time_and_one_is_always_dealt() -> None:
    clock = ManualClock()
    ring = KeyRing(FixedKeys(["a", "b"]), clock)
    await ring.deal()
    ring.leave_aside("a", 60)
    assert await ring.deal() == ["b"]
    ring.leave_aside("b", 30)
    assert await ring.deal() == ["b"]
    await clock.advance(45)
    assert await ring.deal() == ["b"]
    await clock.advance(16)
    assert sorted(await ring.deal()) == ["a", "b"]


async def test_a_key_that_was_taken_away_is_forgotten_with_its_rest(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a,b", "utf-8")
    ring = KeyRing(FileKeys(secret, "X"), ManualClock())
    await ring.deal()
    assert ring.leave_aside("a", 60) == 1
    secret.write_text("b", "utf-8")
    assert await ring.deal() == ["b"]
    secret.write_text("b,a", "utf-8")
    assert sorted(await ring.deal()) == ["a", "b"]
    assert ring.leave_aside("a", 60) == 2
    assert ring.leave_aside("gone", 60) == 0


async def test_each_server_has_its_own_keys() -> None:
    keys = FixedKeys(["vllm=a", "gateway=b=", "vllm=c"])
    assert await KeysOf("vllm", keys).current() == ["a", "c"]
    assert await KeysOf("gateway", keys).current() == ["b="]
    assert await KeysOf("ollama", keys).current() == [NO_KEY]


@pytest.mark.parametrize("text", ["a,b", " a ,\n b,", "a\nb\n", "a b a"])
def test_keys_stand_apart_by_commas_spaces_or_lines(text: str) -> None:
    assert split_keys(text, "X") == ("a", "b")


@pytest.mark.parametrize("text", ["", " , ", "sk-é", "sk-\x00"])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"^X: ") as raised:
        split_keys(text, "X")
    assert "sk-" not in str(raised.value)
