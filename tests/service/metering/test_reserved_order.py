"""Usage told in any order, in any pieces, late, corrected or twice, gives the same reserved hours (Law 1), against exact fractions."""

import random
from datetime import timedelta
from fractions import Fraction

import pytest

from billing.catalog.reservations import HOUR
from billing.storage.database import Database
from tests.service.metering.test_reserved_hours import NOW, TEN, Ran, match, modes, opened, reserve, tell, wanted

_HOURS = 4
_CAPACITY = 3


def model(told: list[Ran]) -> dict[str, Fraction]:
    """GPU-hours by mode, exact: each hour's usage up to the capacity is reserved, what it lacks is unused."""
    sums = {"on_demand": Fraction(0), "reserved": Fraction(0), "unused": Fraction(0)}
    for hour in range(_HOURS):
        start, end = TEN + hour * HOUR, TEN + (hour + 1) * HOUR
        used = Fraction(0)
        for one in told:
            inside = min(one.at + timedelta(minutes=one.minutes), end) - max(one.at, start)
            minutes = max(Fraction(inside // timedelta(minutes=1)), Fraction(0))
            used += one.sign * Fraction(one.gpus) * minutes / 60
        reserved = min(max(used, Fraction(0)), Fraction(_CAPACITY))
        sums["reserved"] += reserved
        sums["unused"] += _CAPACITY - reserved
        sums["on_demand"] += used - reserved
    return {mode: total for mode, total in sums.items() if total}


def history(chance: random.Random) -> list[Ran]:
    told = []
    for _ in range(chance.randint(0, 7)):
        at = TEN + timedelta(minutes=chance.randrange(0, _HOURS * 60 - 1))
        longest = int((TEN + _HOURS * HOUR - at) / timedelta(minutes=1))
        one = Ran(
            chance.choice([1, 2, 4, Fraction(1, 7), Fraction(1, 2)]),
            at=at,
            minutes=chance.randint(1, longest),
            project=chance.choice([None, "a", "b"]),
        )
        told.append(one)
        if chance.random() < 0.25:  # withdrawn as a whole, by a record of negative quantity over the same window
            told.append(Ran(one.gpus, at=one.at, minutes=one.minutes, project=one.project, sign=-1))
    return told


@pytest.mark.parametrize("seed", range(3))
def test_hours_do_not_depend_on_when_and_in_which_order_usage_is_told(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    told = history(chance)
    found = []
    for number in range(2):
        account_id = opened(database, code=f"account-{number}")
        is_first = chance.random() < 0.5
        if is_first:
            reserve(database, account_id, wanted(str(_CAPACITY), ends_at=TEN + _HOURS * HOUR))
        waiting = chance.sample(told, len(told))
        clock = TEN
        while waiting:
            count = chance.randint(1, len(waiting))
            tell(database, account_id, *waiting[:count])
            waiting = waiting[count:]
            clock += timedelta(minutes=chance.randint(0, 90))
            match(database, account_id, now=clock)
        if not is_first:
            reserve(database, account_id, wanted(str(_CAPACITY), ends_at=TEN + _HOURS * HOUR))
        match(database, account_id, now=NOW + 9 * HOUR)
        assert match(database, account_id, now=NOW + 9 * HOUR) == 0
        found.append(modes(database, account_id))
    assert found[0] == found[1] == model(told), f"seed {seed}"
