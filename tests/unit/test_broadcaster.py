"""The broadcaster sends what runs say about ten times a second, and stands in nobody's way."""

from backend.ports.broadcasts import Answer
from backend.runs.broadcast_pace import TICK_S
from tests.support.manual_clock import settle
from tests.unit.broadcast_bench import Bench, bench, names

__all__ = ["bench"]


async def test_the_first_word_goes_out_at_once(bench: Bench) -> None:
    bench.begin("a")

    bench.say("a")
    await settle()

    assert bench.channel.seqs("a") == [[1]]


async def test_a_session_is_sent_ten_times_a_second_however_often_it_speaks(bench: Bench) -> None:
    bench.begin("a")
    for _ in range(100):
        bench.say("a")
        await bench.clock.advance(0.01)
    await bench.clock.advance(TICK_S)

    sent = bench.channel.seqs("a")
    assert len(sent) == 11
    assert [seq for message in sent for seq in message] == list(range(1, 101))


async def test_many_sessions_are_one_read_and_one_batch(bench: Bench) -> None:
    bench.begin(*names(40))
    await settle()

    for session in names(40):
        bench.say(session)
    await settle()

    assert (bench.log.reads, [len(batch) for batch in bench.channel.sent]) == ([40], [40])


async def test_all_sessions_have_their_turn_when_they_are_more_than_a_batch(bench: Bench) -> None:
    bench.begin(*names(120))
    for session in names(120):
        bench.say(session)
    await bench.clock.advance(5)

    assert [len(batch) for batch in bench.channel.sent] == [50, 50, 20]
    assert all(bench.channel.seqs(session) == [[1]] for session in names(120))


async def test_the_more_sessions_speak_the_more_each_message_carries(bench: Bench) -> None:
    bench.begin(*names(50))
    for _ in range(100):
        for session in names(50):
            bench.say(session)
        await bench.clock.advance(0.1)

    messages = sum(len(batch) for batch in bench.channel.sent)
    assert 450 <= messages <= 600
    await bench.clock.advance(1)
    assert [seq for message in bench.channel.seqs("s0") for seq in message] == list(range(1, 101))


async def test_what_was_said_before_the_claim_is_not_sent_again(bench: Bench) -> None:
    bench.begin("a").close()
    bench.say("a", 5)
    bench.begin("a", next_seq=6)

    bench.say("a")
    await settle()

    assert bench.channel.seqs("a") == [[6]]


async def test_a_session_that_nobody_here_works_for_is_not_read(bench: Bench) -> None:
    bench.log.said["a"] = []
    bench.say("a")
    await bench.clock.advance(1)

    assert bench.log.reads == []


async def test_the_last_word_is_sent_after_the_run_has_ended_and_then_forgotten(
    bench: Bench,
) -> None:
    with bench.begin("a"):
        bench.say("a")
        await settle()
        bench.say("a")
    assert bench.broadcaster.sessions == 1

    await bench.clock.advance(TICK_S)

    assert bench.channel.seqs("a") == [[1], [2]]
    assert bench.broadcaster.sessions == 0


async def test_a_run_that_ends_while_its_words_are_on_their_way_is_not_forgotten_too_early(
    bench: Bench,
) -> None:
    bench.channel.open.clear()
    bench.channel.answers = [Answer("later", 1, 503)]
    with bench.begin("a"):
        bench.say("a")
        await settle()
    bench.channel.open.set()
    await bench.clock.advance(2)

    assert bench.channel.seqs("a") == [[1], [1]]
    assert bench.broadcaster.sessions == 0


async def test_a_session_with_nothing_to_say_is_forgotten_at_the_end_of_its_run(
    bench: Bench,
) -> None:
    bench.begin("a").close()

    assert bench.broadcaster.sessions == 0


async def test_a_silent_run_is_followed_however_long_its_model_thinks(bench: Bench) -> None:
    bench.begin("a")
    bench.say("a")
    await bench.clock.advance(3600)

    bench.say("a")
    await settle()

    assert bench.channel.seqs("a") == [[1], [2]]


async def test_the_next_run_of_a_session_follows_on_without_a_gap(bench: Bench) -> None:
    bench.channel.open.clear()
    first = bench.begin("a")
    bench.say("a")
    await settle()
    bench.say("a")
    first.close()
    with bench.begin("a", next_seq=3):
        bench.say("a")
        bench.channel.open.set()
        await bench.clock.advance(1)

    assert bench.channel.seqs("a") == [[1], [2, 3]]


async def test_the_end_of_one_run_does_not_end_the_following_of_the_next(bench: Bench) -> None:
    first, second = bench.begin("a"), bench.begin("a")
    first.close()
    bench.say("a")
    await settle()

    assert bench.channel.seqs("a") == [[1]]
    second.close()
    assert bench.broadcaster.sessions == 0


async def test_hints_for_what_was_sent_already_cost_ten_reads_a_second(bench: Bench) -> None:
    bench.begin("a")
    bench.say("a")
    for _ in range(100):
        bench.broadcaster.hear("a")
        await bench.clock.advance(0.01)

    assert len(bench.log.reads) <= 11


async def test_a_long_page_is_sent_to_its_end(bench: Bench) -> None:
    bench.log.page = 10
    bench.begin("a")
    bench.say("a", 25)
    await bench.clock.advance(1)

    assert [len(message) for message in bench.channel.seqs("a")] == [10, 10, 5]


async def test_a_page_that_is_full_when_the_run_has_ended_is_not_the_last(bench: Bench) -> None:
    bench.log.page = 10
    with bench.begin("a"):
        bench.say("a", 25)
    await bench.clock.advance(1)

    assert [len(message) for message in bench.channel.seqs("a")] == [10, 10, 5]
    assert bench.broadcaster.sessions == 0


async def test_a_session_that_is_gone_is_forgotten(bench: Bench) -> None:
    with bench.begin("a", "b"):
        del bench.log.said["a"]
        bench.say("b")
        bench.broadcaster.hear("a")
    await bench.clock.advance(1)

    assert (bench.channel.seqs("b"), bench.broadcaster.sessions) == ([[1]], 0)
