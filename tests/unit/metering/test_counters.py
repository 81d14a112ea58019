"""What a counter's readings amount to, in whatever order they come."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.counters import Counters, risen
from billing.metering.sources.port import EventFacts, Refused

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Nothing:
    """Stands for a database that holds no readings."""

    def execute(self, _query: object) -> "Nothing":
        return self

    def all(self) -> list[object]:
        return []


def reading(minute: int, value: int) -> EventFacts:
    at = NOON + timedelta(minutes=minute)
    return EventFacts("s", f"e{minute}", "bac_1", "egress_gib", value, at, at, series="eth0")


def total(readings: list[EventFacts]) -> int:
    counters = Counters(Nothing(), readings)  # type: ignore[arg-type]
    taken = [counters.take(one) for one in readings]
    added = [found[1] for found in taken if found is not None]
    assert all(amount >= 0 for amount in added)
    return sum(added)


def test_100_350_50_are_300_in_every_order() -> None:
    readings = [reading(0, 100), reading(1, 350), reading(2, 50)]
    assert {total(list(order)) for order in permutations(readings)} == {300}


@pytest.mark.parametrize(("before", "after", "amount"), [(100, 350, 250), (350, 50, 50), (5, 5, 0), (7, 0, 0)])
def test_a_lower_reading_means_that_the_counter_began_anew(before: int, after: int, amount: int) -> None:
    assert risen(before, after) == amount


@given(values=st.lists(st.integers(0, 50), min_size=2, max_size=9), order=st.randoms())
def test_no_order_of_readings_loses_or_doubles_usage(values: list[int], order: object) -> None:
    readings = [reading(minute, value) for minute, value in enumerate(values)]
    in_order = sum(risen(first, second) for first, second in pairwise(values))
    shuffled = list(readings)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert total(readings) == total(shuffled) == in_order


def test_the_same_reading_again_adds_nothing_and_another_at_its_instant_is_refused() -> None:
    readings = [reading(0, 100), reading(1, 350)]
    counters = Counters(Nothing(), readings)  # type: ignore[arg-type]
    for one in readings:
        counters.take(one)
    assert counters.knows(readings[1])
    assert counters.take(readings[1]) is None
    with pytest.raises(Refused):
        counters.take(reading(1, 351))
