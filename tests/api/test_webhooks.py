"""The webhook's receiver: it believes whoever knows the secret, and takes only a hint from them."""

import base64
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from backend.errors import DatabaseUnavailable, SettingsInvalid
from tests.support.webhooks import (
    MESSAGE,
    PAYLOAD,
    PREVIOUS,
    SECRET,
    STRANGER,
    Service,
    body_of,
    refused,
    signed,
)


async def test_a_signed_webhook_wakes_the_workers() -> None:
    service = Service(SECRET)

    answer = await service.post(body_of(), signed(body_of()))

    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert service.woken == 1


@pytest.mark.parametrize("secret", [SECRET, PREVIOUS])
async def test_while_the_secret_is_changed_both_hold(secret: str) -> None:
    service = Service(SECRET, PREVIOUS)

    answer = await service.post(body_of(), signed(body_of(), secret=secret))

    assert (answer.status_code, service.woken) == (202, 1)


@pytest.mark.parametrize(
    "others", ["v1," + "A" * 43 + "= {}", "{} v1,AAAA", "v1a,abc {}", "v2,x {} v9,"]
)
async def test_one_signature_among_several_is_enough(others: str) -> None:
    service = Service(SECRET)
    headers = signed(body_of())
    headers["webhook-signature"] = others.format(headers["webhook-signature"])

    assert (await service.post(body_of(), headers)).status_code == 202


async def test_a_delivery_that_is_repeated_is_accepted_again() -> None:
    service = Service(SECRET)
    headers = signed(body_of())

    answers = [await service.post(body_of(), headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 202]


async def test_a_full_supabase_payload_and_the_shortest_are_taken_alike() -> None:
    service = Service(SECRET)
    full = body_of(
        {**PAYLOAD, "record": {"id": MESSAGE, "content": [{"text": "x"}], "metadata": {}}}
    )
    short = body_of(
        {"type": "INSERT", "schema": "public", "table": "messages", "record": {"id": MESSAGE}}
    )

    for body in (full, short):
        assert (await service.post(body, signed(body))).status_code == 202


@pytest.mark.parametrize("age_s", [-295, 295])
async def test_clocks_may_differ_by_five_minutes(age_s: int) -> None:
    answer = await Service(SECRET).post(body_of(), signed(body_of(), age_s=age_s))

    assert answer.status_code == 202


@pytest.mark.parametrize("age_s", [-86_400, -305, 305, 86_400])
async def test_what_is_older_or_newer_is_refused(age_s: int) -> None:
    await refused(
        Service(SECRET),
        body_of(),
        signed(body_of(), age_s=age_s),
        status=401,
        code="signature_invalid",
    )


async def test_whoever_does_not_know_the_secret_is_refused() -> None:
    headers = signed(body_of(), secret=STRANGER)

    message = await refused(
        Service(SECRET, PREVIOUS), body_of(), headers, status=401, code="signature_invalid"
    )

    assert headers["webhook-signature"] not in message


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_a_request_that_was_changed_on_its_way_is_refused(name: str) -> None:
    headers = signed(body_of())
    changed = {
        "webhook-id": "msg_2",
        "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1),
        "webhook-signature": "v1," + "A" * 43 + "=",
    }

    await refused(
        Service(SECRET),
        body_of(),
        {**headers, name: changed[name]},
        status=401,
        code="signature_invalid",
    )


async def test_a_body_that_was_written_anew_is_refused() -> None:
    again = json.dumps(PAYLOAD, indent=1).encode()

    await refused(Service(SECRET), again, signed(body_of()), status=401, code="signature_invalid")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("times", [0, 2])
async def test_each_header_is_there_once(name: str, times: int) -> None:
    headers = signed(body_of())
    sent = [pair for pair in headers.items() if pair[0] != name] + [(name, headers[name])] * times

    message = await refused(Service(SECRET), body_of(), sent, status=401, code="signature_invalid")

    assert name in message


@pytest.mark.parametrize("identity", ["", "a.b", "a b", "ä", "a\n", "a,b", "a" * 65])
async def test_a_malformed_id_is_refused_even_if_it_is_signed(identity: str) -> None:
    await _refused_as_sent(signed(body_of(), identity=identity))


@pytest.mark.parametrize(
    "shape", ["", "{}.0", "{}e0", "+{}", "-{}", " {}", "{} ", "1e400", "nan", "inf", "²", "00{}0"]
)
async def test_a_timestamp_that_is_no_plain_number_is_refused(shape: str) -> None:
    headers = signed(body_of())

    await _refused_as_sent(
        {**headers, "webhook-timestamp": shape.format(headers["webhook-timestamp"])}
    )


@pytest.mark.parametrize(
    "shape",
    [
        *("", "v1", "v1,", ",", "v1,?", "v1,ä", "v1,a,b", "v1,AAA", "V{}", "v1=AAAA", "x {}"),
        *(" {}", "{} ", "{}  {}", "{}\n", "{},{}", "{}" + " v1,AAAA" * 5, "{} v1," + "A" * 200),
    ],
)
async def test_malformed_signatures_are_refused(shape: str) -> None:
    headers = signed(body_of())
    signature = headers["webhook-signature"]

    await _refused_as_sent({**headers, "webhook-signature": shape.replace("{}", signature)})


async def _refused_as_sent(headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await refused(Service(SECRET), body_of(), raw, status=401, code="signature_invalid")


async def test_an_id_with_dots_cannot_shift_what_was_signed() -> None:
    body = b"1." + body_of()
    headers = signed(body, identity="a")
    shifted = {**headers, "webhook-id": f"a.{headers['webhook-timestamp']}"}

    await refused(
        Service(SECRET),
        body_of(),
        {**shifted, "webhook-timestamp": "1"},
        status=401,
        code="signature_invalid",
    )


_NO_JSON = {
    "nothing": b"",
    "words": b"hello secret words",
    "half": body_of()[:-1],
    "more": body_of() + b"{}",
    "a name twice": body_of().replace(b'"type": "INSERT"', b'"type": "INSERT", "type": "INSERT"'),
    "NaN": body_of({**PAYLOAD, "old_record": float("nan")}),
    "1e400": body_of().replace(b"null", b"1e400"),
    "a number without end": body_of().replace(b"null", b"1" * 5000),
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "a byte order mark": b"\xef\xbb\xbf" + body_of(),
    "a NUL": body_of() + b"\0",
}


@pytest.mark.parametrize("what", _NO_JSON)
async def test_what_is_signed_and_no_json_is_refused(what: str) -> None:
    body = _NO_JSON[what]

    message = await refused(Service(SECRET), body, signed(body), status=400, code="request_invalid")

    assert message == "The body is not JSON."


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", body_of().decode().encode("utf-16"), b"\x1f\x8b\x08"]
)
async def test_bytes_that_are_no_text_hold_no_signature(body: bytes) -> None:
    await refused(Service(SECRET), body, signed(b"{}"), status=401, code="signature_invalid")


_RECORDS: list[Any] = [None, [], MESSAGE, {}, {"ID": MESSAGE}]
_NO_IDS: list[Any] = [
    *(None, 1, "", "secret words", [MESSAGE], {"a": 1}, MESSAGE.upper(), f"{{{MESSAGE}}}"),
    *(MESSAGE.replace("-", ""), f"urn:uuid:{MESSAGE}", f"{MESSAGE}\n", f"{MESSAGE}' or 1=1"),
]


@pytest.mark.parametrize(
    "payload",
    [
        *(None, 1, "secret words", [], [PAYLOAD], {}),
        *({**PAYLOAD, "type": kind} for kind in ("UPDATE", "DELETE", "insert", None, ["INSERT"])),
        *({**PAYLOAD, "table": table} for table in ("chat_sessions", "runs", "", None)),
        *({**PAYLOAD, "schema": schema} for schema in ("auth", "engine", None)),
        *({**PAYLOAD, "record": record} for record in _RECORDS),
        *({**PAYLOAD, "record": {"id": identity}} for identity in _NO_IDS),
    ],
)
async def test_what_is_signed_and_not_about_a_new_message_is_refused(payload: Any) -> None:
    body = body_of(payload)

    message = await refused(Service(SECRET), body, signed(body), status=422, code="input_invalid")

    assert "secret words" not in message
    assert MESSAGE not in message


async def test_a_service_without_a_secret_takes_no_webhook() -> None:
    message = await refused(
        Service(), body_of(), signed(body_of()), status=404, code="webhook_not_configured"
    )

    assert "WEBHOOK_SECRET" in message


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", "whsec_short", "whsec_" + "ä" * 44, "a" * 44, f"{SECRET[:9]}!{SECRET[9:]}"),
        *(SECRET.removeprefix("whsec_"), "whsec_" + base64.b64encode(bytes(23)).decode()),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
)
def test_a_secret_that_is_none_stops_the_start_and_is_not_quoted(secret: str) -> None:
    with pytest.raises(SettingsInvalid, match="WEBHOOK_SECRET") as raised:
        Service(SECRET, secret)

    shown = str(raised.value).replace("whsec_", "")
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in shown


async def test_a_secret_may_hold_line_breaks() -> None:
    key = base64.encodebytes(bytes(64)).decode()
    service = Service(f"whsec_{key}")

    answer = await service.post(body_of(), signed(body_of(), secret=STRANGER))

    assert answer.status_code == 202


async def test_where_no_worker_can_be_told_the_answer_says_so() -> None:
    async def fail() -> None:
        raise DatabaseUnavailable("It is away.")

    service = Service(SECRET, wake=fail)

    await refused(service, body_of(), signed(body_of()), status=503, code="database_unavailable")


async def test_nothing_of_a_request_is_logged_but_the_id_of_a_message_that_is_believed() -> None:
    body = body_of({**PAYLOAD, "record": {"id": MESSAGE, "content": "secret words"}})
    service = Service(SECRET)

    with capture_logs() as logged:
        await service.post(body, signed(body))
        await service.post(body, signed(body, secret=STRANGER))

    assert logged == [{"event": "webhook.accepted", "log_level": "debug", "message_id": MESSAGE}]
