"""The matcher's arithmetic against a model in fractions: sums of an hour depend on what was used, never on how it was told."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.metering.reserved_matching import Booked, book, fill, moved

_USED = st.dictionaries(st.sampled_from(["", "a", "b", "c"]), st.integers(-50, 10**9), max_size=4)
_CAPACITIES = st.lists(st.integers(0, 10**9), min_size=1, max_size=3)


def test_a_capacity_is_shared_in_proportion_by_the_largest_remainder() -> None:
    assert fill({"a": 4, "b": 2}, 3) == {"a": 2, "b": 1}
    assert fill({"a": 1, "b": 1, "c": 1}, 2) == {"a": 1, "b": 1}
    assert fill({"a": 5}, 9) == {"a": 5}
    assert fill({"a": 5, "b": -5}, 9) == {}
    assert fill({"a": 5, "b": -2}, 9) == {"a": 3}
    assert fill({}, 9) == {}


@given(used=_USED, capacities=_CAPACITIES, is_over=st.booleans())
@settings(max_examples=300)
def test_reserved_and_unused_are_what_an_exact_model_says(
    used: dict[str, int], capacities: list[int], is_over: bool
) -> None:
    made = book(used, capacities, is_over=is_over)
    whole = max(Fraction(sum(used.values())), Fraction(0))
    assert sum(each.reserved_base for each in made) == min(whole, sum(map(Fraction, capacities)))
    for capacity, each in zip(capacities, made, strict=True):
        assert each.unused_base == (capacity - each.reserved_base if is_over else 0)
        assert 0 <= each.reserved_base <= capacity
    for project, base in used.items():
        assert sum(each.reserved.get(project, 0) for each in made) <= max(base, 0)


@given(steps=st.lists(_USED, min_size=1, max_size=6), capacities=_CAPACITIES)
@settings(max_examples=200)
def test_differences_booked_step_by_step_come_to_what_one_look_at_the_end_books(
    steps: list[dict[str, int]], capacities: list[int]
) -> None:
    used: dict[str, int] = {}
    booked = [Booked() for _ in capacities]
    totals: list[tuple[dict[str, int], int]] = [({}, 0) for _ in capacities]
    for place, step in enumerate(steps):
        for project, base in step.items():
            used[project] = used.get(project, 0) + base
        after = book(used, capacities, is_over=place > 0)
        for index, (before, target) in enumerate(zip(booked, after, strict=True)):
            shares, unused = moved(before, target)
            sums, idle = totals[index]
            for project, base in shares.items():
                sums[project] = sums.get(project, 0) + base
            totals[index] = (sums, idle + unused)
        booked = after
    for each, (sums, idle) in zip(book(used, capacities, is_over=len(steps) > 1), totals, strict=True):
        assert {project: base for project, base in sums.items() if base} == each.reserved
        assert idle == each.unused_base
