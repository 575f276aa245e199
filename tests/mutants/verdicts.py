"""All mutants of one kind are tried; what survives must be known to change nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.mutants.equivalent import EQUIVALENT
from tests.mutants.kinds import KINDS, Kind
from tests.mutants.trial import Trial

if TYPE_CHECKING:
    from tests.mutants.wall import Check

# A mutant that is thought to change nothing is shown to this many of the nearest checks.
_FEW = 40
# A survivor takes seconds: a build that fails, fails soon.
_ENOUGH = 10


class Verdicts:
    """What became of the mutants of one kind."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name = name
        self._kind = kind
        self.made = 0
        self.killed = 0
        self.by_rules = 0
        self.equivalent = 0
        self.asked = 0
        self.killers: dict[str, Check] = {}
        """What each mutant died of."""
        self.faults: list[str] = []
        """What fails the build."""

    async def collect(self, trial: Trial) -> None:
        """Every mutant of the kind has been tried, or ten faults were found."""
        mutants = await self._kind.make(trial.connections["seeded"])
        if len(mutants) < self._kind.at_least:
            self.faults.append(f"only {len(mutants)} were made: is the generator broken?")
        for mutant in mutants:
            self.made += 1
            is_known = mutant.name in EQUIVALENT
            killer = await (trial.killer_of(mutant, _FEW) if is_known else trial.killer_of(mutant))
            if killer is not None:
                self.killed += 1
                self.killers[mutant.name] = killer
                self.by_rules += killer.is_rule
                if is_known:
                    self.faults.append(f"not equivalent: {mutant.name} died of {killer.name}")
            elif is_known:
                self.equivalent += 1
            else:
                self.faults.append(f"survived: {mutant.name}")
            if len(self.faults) == _ENOUGH:
                break
        liars = await trial.liars()
        self.faults += [f"fails where nothing is broken: {check.name}" for check in liars]
        self.asked = trial.asked

    def __str__(self) -> str:
        died = f"{self.killed} killed ({self.by_rules} by rules about the catalogue)"
        asked = f"{self.asked} times a check was asked"
        return f"{self.name}: {self.made} mutants, {died}, {self.equivalent} equivalent, {asked}"


async def demand_deaths(
    trial: Trial, kind: str, record_property: Callable[[str, object], None]
) -> None:
    """Every mutant of this kind dies, but for those that are known to change nothing."""
    verdicts = Verdicts(kind, KINDS[kind])
    await verdicts.collect(trial)
    record_property("mutants", str(verdicts))

    assert not verdicts.faults, "\n".join(verdicts.faults)
