"""How much of an hour's usage is reserved, by who used it, and what stays unused. Pure: it depends on sums alone, never on their order."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from billing.kernel.rounding import largest_remainder

Shares = dict[str, int]
"""Base units by taker: `project id/allocation id`, each empty for none; and `/instant` where the usage stands on the price before it."""

NOBODY = "/"


def taker_of(project_id: str | None, allocation_id: str | None) -> str:
    """Who takes from a capacity."""
    return f"{project_id or ''}/{allocation_id or ''}"


def behind(taker: str, change: str) -> str:
    """The same taker of usage that lies behind a change of price and stands on the price before it; the change's instant as text."""
    return f"{taker}/{change}"


def owners_of(taker: str) -> tuple[str, str]:
    """(project id, allocation id) of a taker, empty for none."""
    project_id, allocation_id, *_ = taker.split("/")
    return project_id, allocation_id


def change_of(taker: str) -> str | None:
    """The instant of `behind`, or None."""
    return next(iter(taker.split("/")[2:]), None)


@dataclass(frozen=True, kw_only=True)
class Booked:
    """What one reservation holds of one cell of time: usage moved to it, and what nobody used."""

    reserved: Shares = field(default_factory=dict)
    unused_base: int = 0

    @property
    def reserved_base(self) -> int:
        """Over all takers."""
        return sum(self.reserved.values())


def fill(used: Mapping[str, int], capacity_base: int) -> Shares:
    """What a capacity takes of the usage: all of it, or in proportion to what each taker used (largest remainder).

    Usage below zero takes nothing; a taker whose corrections exceed its usage leaves what it gave back to the others' sum.
    """
    takers = sorted(taker for taker, base in used.items() if base > 0)
    taken = min(max(sum(used.values()), 0), capacity_base)
    if not takers or taken <= 0:
        return {}
    parts = largest_remainder(taken, [used[taker] for taker in takers])
    return {taker: part for taker, part in zip(takers, parts, strict=True) if part}


def book(used: Mapping[str, int], capacities_base: list[int], *, is_over: bool) -> list[Booked]:
    """What each of several reservations of one item holds of a cell, the first filled first.

    `is_over`: the cell's time has passed, so that what is left of a capacity is unused. reserved + unused = capacity then, and
    reserved + on demand = used always.
    """
    left = dict(used)
    made = []
    for capacity_base in capacities_base:
        reserved = fill(left, capacity_base)
        for taker, base in reserved.items():
            left[taker] -= base
        unused_base = capacity_base - sum(reserved.values()) if is_over else 0
        made.append(Booked(reserved=reserved, unused_base=unused_base))
    return made


def moved(before: Booked, after: Booked) -> tuple[Shares, int]:
    """The difference that is still to be booked: (reserved by taker, unused); takers without one are left out."""
    takers = sorted({*before.reserved, *after.reserved})
    shares = {taker: after.reserved.get(taker, 0) - before.reserved.get(taker, 0) for taker in takers}
    return {taker: base for taker, base in shares.items() if base}, after.unused_base - before.unused_base
