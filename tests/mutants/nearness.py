"""In which order checks are asked about a mutant: whoever speaks of the same comes first."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.mutants.mutant import Mutant
from tests.mutants.wall import Check

# After so many of one test with other parameters, others come forward.
_OF_EACH = 3


class Nearness:
    """The checks, and what was learnt about them from the mutants before."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks
        self._kills: Counter[str] = Counter()
        self._said: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, check in enumerate(checks):
            for word in check.words | check.source:
                self._said[word].append((number, 2.0 if word in check.words else 1.0))

    def ordered(self, mutant: Mutant) -> Iterator[Check]:
        """Yield every check, the most promising first."""
        scores = dict.fromkeys(range(len(self._checks)), 0.0)
        for word in sorted(mutant.words & self._said.keys()):
            said = self._said[word]
            # A rare word says more than a frequent one.
            rarity = math.log(len(self._checks) / len(said))
            for number, weight in said:
                scores[number] += weight * rarity
        for number, check in enumerate(self._checks):
            scores[number] *= 1 + math.log1p(self._kills[check.function])
        return (self._checks[number] for number in self._spread(scores))

    def learn(self, check: Check) -> None:
        """The check has found a mutant out."""
        self._kills[check.function] += 1

    def _spread(self, scores: dict[int, float]) -> list[int]:
        taken: Counter[str] = Counter()
        spread = {}
        for number in sorted(range(len(self._checks)), key=lambda it: -scores[it]):
            function = self._checks[number].function
            spread[number] = scores[number] / (1 + taken[function] // _OF_EACH)
            taken[function] += 1
        return sorted(spread, key=lambda it: -spread[it])
