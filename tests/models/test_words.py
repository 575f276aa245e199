"""However a server cuts its text, the pieces make the same words."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backend.integrations.models.words import Words, whole_characters


@given(st.text(), st.lists(st.integers(0, 200)))
def test_text_that_is_cut_between_utf16_units_is_the_same_text(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le")
    edges = [0, *sorted(2 * cut for cut in cuts if 2 * cut < len(units)), len(units)]
    pieces = [
        units[start:end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(edges)
    ]
    words = Words()
    assert "".join(words.next(0, piece) for piece in pieces) == text


@given(st.lists(st.text(st.characters(categories=["Cs", "L", "So"]))))
def test_every_piece_can_be_stored(pieces: list[str]) -> None:
    words = Words()
    assert all(
        words.next(number % 3, piece).encode() is not None for number, piece in enumerate(pieces)
    )


@given(st.text())
def test_whole_text_is_left_alone(text: str) -> None:
    assert whole_characters(text) == text
