"""The trial itself: it finds what is there, misses what nobody looks at, and leaves nothing."""

from typing import Any

import pytest

from tests.mutants import outside, test_policies, test_rights, test_rules
from tests.mutants.conditions import without_one
from tests.mutants.equivalent import EQUIVALENT
from tests.mutants.ground import Ground
from tests.mutants.kinds import KINDS, Kind
from tests.mutants.mutant import Mutant, mutant
from tests.mutants.trial import Trial
from tests.mutants.verdicts import Verdicts
from tests.mutants.wall import Check, all_tests, checks

_READ = "members read the sessions of their tenant"
_OPENED = mutant(
    "chat_sessions select", f'alter policy "{_READ}" on public.chat_sessions using (true)'
)


def test_every_kind_is_tried() -> None:
    tried = [*test_policies.KINDS, *test_rights.KINDS, *test_rules.KINDS]

    assert sorted(tried) == sorted(KINDS)


async def test_every_mutant_that_is_excused_is_made(trial: Trial) -> None:
    seeded = trial.connections["seeded"]
    made = {mutant.name for kind in KINDS.values() for mutant in await kind.make(seeded)}

    assert EQUIVALENT.keys() - made == set()


def test_everything_that_is_left_outside_exists() -> None:
    tests = all_tests()

    assert outside.TESTS.keys() - {test for _, test in tests} == set()
    for end in outside.MODULES:
        assert any(module.endswith(end) for module, _ in tests), end


async def test_a_wall_without_the_right_check_lets_a_mutant_live(
    trial: Trial, ground: Ground
) -> None:
    blind = [it for it in checks() if it.name.startswith("test_tool_outputs")]

    assert await trial.killer_of(_OPENED) is not None
    assert blind
    assert await Trial(ground, trial.connections, blind).killer_of(_OPENED) is None


async def test_a_survivor_and_a_kind_with_few_mutants_are_faults(
    trial: Trial, ground: Ground
) -> None:
    async def make(_: Any) -> list[Mutant]:
        return [mutant("harmless", "select")]

    verdicts = Verdicts("few", Kind(make, 2))
    await verdicts.collect(Trial(ground, trial.connections, checks()[:20]))

    assert verdicts.faults == [
        "only 1 were made: is the generator broken?",
        "survived: harmless",
    ]


async def test_a_check_that_fails_anyway_kills_nothing(trial: Trial, ground: Ground) -> None:
    failing = [it for it in checks() if "test_updated_at_follows_a_change" in it.name]

    assert failing
    assert await Trial(ground, trial.connections, failing).killer_of(_OPENED) is None


async def test_what_a_mutant_died_of_last_is_asked_first_and_others_where_it_is_wrong(
    trial: Trial, ground: Ground
) -> None:
    async def asked_for(killer: str) -> int:
        again = Trial(ground, trial.connections, checks(), {_OPENED.name: killer})
        assert await again.killer_of(_OPENED) is not None
        return again.asked

    killer = await trial.killer_of(_OPENED)
    assert killer is not None
    blind = next(it for it in checks() if it.name.startswith("test_tool_outputs"))

    # Once as it is broken, and once as it was.
    assert await asked_for(killer.id) == 2
    assert await asked_for(blind.id) > 2
    assert await asked_for("renamed") >= 2


async def test_a_check_that_no_longer_holds_in_the_end_is_a_fault(
    trial: Trial, ground: Ground
) -> None:
    holds = iter([False, True, False])

    async def moody(chat: Any) -> None:
        assert chat
        assert next(holds)

    async def make(_: Any) -> list[Mutant]:
        return [mutant("harmless", "select")]

    check = Check("test_x::moody", moody, "chat", "seeded", {}, frozenset(), frozenset())
    verdicts = Verdicts("few", Kind(make, 1))
    await verdicts.collect(Trial(ground, trial.connections, [check]))

    assert verdicts.faults == ["fails where nothing is broken: test_x::moody"]


def test_no_two_checks_are_called_the_same() -> None:
    ids = [check.id for check in checks()]

    assert len(ids) == len(set(ids))


async def test_a_trial_leaves_nothing_behind(trial: Trial) -> None:
    dropped = mutant("", f'drop policy "{_READ}" on public.chat_sessions')
    await trial.killer_of(dropped)

    sql = "select count(*) from pg_policies where policyname = $1"
    assert await trial.connections["seeded"].fetchval(sql, _READ) == 1


async def test_a_mutant_that_cannot_be_made_is_an_error_and_no_death(trial: Trial) -> None:
    with pytest.raises(Exception, match="does not exist"):
        await trial.killer_of(mutant("", "drop table public.nothing"))


@pytest.mark.parametrize(
    ("expression", "rests"),
    [
        ("(a = 1)", []),
        ("((a = 1) AND (b = 2))", ["((b = 2))", "((a = 1))"]),
        (
            "((a = 1) AND ((b = ' AND ') OR (c = f(1, 2))))",
            ["((a = 1) AND ((c = f(1, 2))))"],
        ),
    ],
)
def test_a_condition_is_left_out_at_each_level(expression: str, rests: list[str]) -> None:
    found = [rest for _, rest in without_one(expression)]

    assert set(rests) <= set(found)
    assert bool(rests) is bool(found)
