"""Events keep their numbers and their text, however they are sent."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.ids import MessageId
from backend.runs.event_log import EventLog

MESSAGE = MessageId("m")


def test_deltas_that_wait_together_are_one_event() -> None:
    log = EventLog(next_seq=1)
    log.append("run.started", {})
    for word in ("one ", "two ", "three"):
        log.say(MESSAGE, word)
    started, delta = log.take()
    assert (started["seq"], delta["seq"]) == (1, 2)
    assert delta["data"] == {"message_id": "m", "text": "one two three"}


def test_deltas_of_another_message_are_another_event() -> None:
    log = EventLog(next_seq=5)
    log.say(MESSAGE, "one")
    log.say(MessageId("other"), "two")
    assert [event["seq"] for event in log.take()] == [5, 6]


def test_an_event_that_was_put_back_grows_no_more() -> None:
    log = EventLog(next_seq=1)
    log.say(MESSAGE, "sent")
    taken = log.take()
    log.say(MESSAGE, " later")
    log.put_back(taken)
    texts = [event["data"]["text"] for event in log.take()]  # type: ignore[index,call-overload]
    assert texts == ["sent", " later"]


@given(
    st.lists(
        st.one_of(
            st.text(min_size=1).map(lambda text: ("say", text)),
            st.just(("append", "")),
            st.just(("send", "")),
            st.just(("fail", "")),
        )
    )
)
def test_numbers_are_contiguous_and_the_text_is_whole_whatever_fails(
    steps: list[tuple[str, str]],
) -> None:
    log = EventLog(next_seq=1)
    sent: list[Any] = []
    for step, text in [*steps, ("send", "")]:
        match step:
            case "say":
                log.say(MESSAGE, text)
            case "append":
                log.append("run.noted", {})
            case "send":
                sent += log.take()
            case "fail":
                log.put_back(log.take())
    assert [event["seq"] for event in sent] == list(range(1, len(sent) + 1))
    said = "".join(text for step, text in steps if step == "say")
    assert "".join(event["data"].get("text", "") for event in sent) == said
