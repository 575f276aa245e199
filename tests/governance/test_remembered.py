"""A file that was read is not read again as long as there is room for what it held."""

import asyncio

from backend.governance.remembered import Remembered
from backend.ports.files import Kind, Reading


class Counting:
    """Makes of each file its bytes twice."""

    def __init__(self) -> None:
        self.read_ones: list[tuple[Kind, bytes]] = []

    async def read(self, kind: Kind, body: bytes) -> Reading | None:
        self.read_ones.append((kind, body))
        await asyncio.sleep(0)
        return None if body == b"broken" else Reading(2 * body, "image/png", kind)


async def test_the_same_file_is_read_once_and_held_the_same() -> None:
    counting = Counting()
    reader = Remembered(counting)

    found = [await reader.read("image", b"one") for _ in range(3)]

    assert found == [Reading(b"oneone", "image/png", "image")] * 3
    assert counting.read_ones == [("image", b"one")]


async def test_another_kind_and_another_file_are_something_else() -> None:
    counting = Counting()
    reader = Remembered(counting)

    for kind, body in (("image", b"one"), ("pdf", b"one"), ("image", b"other")) * 2:
        assert await reader.read(kind, body) == Reading(2 * body, "image/png", kind)  # type: ignore[arg-type]

    assert len(counting.read_ones) == 3


async def test_what_could_not_be_read_is_looked_at_again() -> None:
    counting = Counting()
    reader = Remembered(counting)

    assert [await reader.read("pdf", b"broken") for _ in range(2)] == [None, None]
    assert len(counting.read_ones) == 2


async def test_what_was_asked_for_longest_ago_makes_room() -> None:
    counting = Counting()
    reader = Remembered(counting, most_bytes=5000)
    one, two, three = (bytes([it]) * 700 for it in range(3))

    for body in (one, two, one, three, one, two):
        await reader.read("image", body)

    assert [body for _, body in counting.read_ones] == [one, two, three, two]


async def test_what_is_larger_than_all_room_is_given_and_takes_nobodys_place() -> None:
    counting = Counting()
    reader = Remembered(counting, most_bytes=3000)

    for body in (b"x" * 2000, b"y", b"x" * 2000, b"y"):
        assert await reader.read("image", body)

    assert [body[:1] for _, body in counting.read_ones] == [b"x", b"y", b"x"]


async def test_two_who_come_together_leave_as_much_room_as_one() -> None:
    counting = Counting()
    reader = Remembered(counting, most_bytes=5000)

    await asyncio.gather(*(reader.read("image", b"x" * 700) for _ in range(5)))
    counting.read_ones.clear()
    for body in (b"y" * 700, b"x" * 700):
        await reader.read("image", body)

    assert counting.read_ones == [("image", b"y" * 700)]
