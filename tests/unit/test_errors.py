"""The tree of errors is the one that its module draws, and each says what to do."""

import re

import backend.errors
from backend.errors import AssistantsError, DependencyFailed, Rejected


def tree(root: type[AssistantsError]) -> set[type[AssistantsError]]:
    return {root}.union(*(tree(child) for child in root.__subclasses__()))


def test_every_error_stands_in_the_drawing() -> None:
    drawn = set(re.findall(r"^[│├└─ ]*(\w+) {2,}", backend.errors.__doc__ or "", re.MULTILINE))
    assert drawn == {error.__name__ for error in tree(AssistantsError)}


def test_codes_are_unique_words_that_a_row_may_hold() -> None:
    leaves = tree(AssistantsError) - {AssistantsError}
    codes = [error.code for error in leaves]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z0-9_]{1,64}", code) for code in codes)


def test_what_is_rejected_is_never_retried_and_what_depends_always() -> None:
    assert not any(error.retryable for error in tree(Rejected))
    assert all(error.retryable for error in tree(DependencyFailed))
