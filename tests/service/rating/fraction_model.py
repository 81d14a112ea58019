"""What an account owes, worked out with `fractions.Fraction` alone: no curve, rater or posting of the product is used here.

Usage is a list; prices are lists of starts; a counter's exact cost is written out per model. The tests compare it with the books.
"""

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from math import floor

Start = tuple[
    datetime, str, tuple[tuple[int | None, Fraction], ...]
]  # from, model, (bound or None, price in minor units)
Key = tuple[str, datetime, datetime, str]  # SKU, period start, price start, project or ""


def half_up(value: Fraction) -> int:
    """To the nearest integer, halves away from zero."""
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(-value + Fraction(1, 2))


def shares(bound: int, lengths: list[Fraction]) -> list[int]:
    """A bound over the segments of a period: half up, never more than is left, the rest to the last."""
    left, given = bound, []
    for length in lengths[:-1]:
        given.append(min(left, half_up(Fraction(bound) * length / sum(lengths))))
        left -= given[-1]
    return [*given, left]


def cost(
    model: str, rows: tuple[tuple[int | None, Fraction], ...], quantity: int, lengths: list[Fraction], place: int
) -> Fraction:
    """The exact cost, in minor units, of what one counter has seen in the segment of that place."""
    bounds = [None if bound is None else shares(bound, lengths)[place] for bound, _ in rows]
    prices = [price for _, price in rows]
    if model == "per_unit":
        return quantity * prices[0]
    if model == "flat":
        return prices[0] * lengths[place] / sum(lengths) if quantity else Fraction(0)
    if model == "package":
        size = rows[0][0] or 1
        return -(-quantity // size) * prices[0]
    if model == "allowance":
        return max(0, quantity - (bounds[0] or 0)) * prices[0]
    if model == "volume":
        reached = next(price for bound, price in zip(bounds, prices, strict=True) if bound is None or quantity <= bound)
        return quantity * reached
    below, total = 0, Fraction(0)
    for bound, price in zip(bounds, prices, strict=True):  # graduated
        upper = quantity if bound is None else min(quantity, max(bound, below))
        total += max(0, upper - below) * price
        below = max(below, upper if bound is None else max(bound, below))
    return total


@dataclass
class Held:
    """One future invoice line over its generations: what earlier ones came to exactly, and what the ledger holds of each."""

    settled: Fraction = Fraction(0)
    closed_minor: int = 0
    open_minor: int = 0


@dataclass
class Account:
    """Usage, prices and what the ledger must hold, step by step. `periods` are (start, end)."""

    periods: list[tuple[datetime, datetime]]
    prices: dict[str, list[Start]]
    queue: list[tuple[str, datetime, int, str]] = field(default_factory=list)  # taken in and not rated
    totals: dict[Key, int] = field(default_factory=dict)
    last_rated: dict[str, list[datetime]] = field(default_factory=dict)
    held: dict[Key, Held] = field(default_factory=dict)
    layout: dict[str, list[Start]] = field(default_factory=dict)  # prices as rating last saw them
    touched: set[Key] = field(default_factory=set)

    def use(self, sku: str, at: datetime, quantity: int, project: str) -> None:
        """Take usage in."""
        self.queue.append((sku, at, quantity, project))

    def would_be_refused(self, sku: str, start: datetime) -> bool:
        """Whether a price from that instant on would change what rated usage costs."""
        later = [each for each, *_ in self.prices[sku] if each > start]
        end = min(later) if later else None
        return any(start <= at and (end is None or at < end) for at in self.last_rated.get(sku, []))

    def change(self, sku: str, start: Start) -> None:
        """Another price from an instant on."""
        self.prices[sku] = sorted([*self.prices[sku], start], key=lambda each: each[0])

    def rate(self) -> None:
        """Count what waits; from now on the shares of periods are those of the prices known now."""
        before = {key: self.exact(key) for key in self.totals}
        self.layout = {sku: list(starts) for sku, starts in self.prices.items()}
        for sku, at, quantity, project in self.queue:
            key = self._key(sku, at, project)
            self.totals[key] = self.totals.get(key, 0) + quantity
            self.last_rated.setdefault(sku, []).append(at)
            self.touched.add(key)
        self.queue = []
        self.touched |= {key for key, exact in before.items() if self.exact(key) != exact}

    def post(self) -> None:
        """Bring every counter up to date: its exact amount less what earlier generations came to, rounded once."""
        for key in self.touched:
            held = self.held.setdefault(key, Held())
            held.open_minor = half_up(self.exact(key) - held.settled)
        self.touched = set()

    def close(self) -> None:
        """Give all open charges to a document: later usage makes the next generation."""
        for key, held in self.held.items():
            held.settled = self.exact(key)
            held.closed_minor, held.open_minor = held.closed_minor + held.open_minor, 0

    @property
    def owed_minor(self) -> int:
        """What the ledger holds of it all."""
        return sum(held.closed_minor + held.open_minor for held in self.held.values())

    def _key(self, sku: str, at: datetime, project: str) -> Key:
        start, model, _ = self._in_force(sku, at)
        period_start = next(first for first, last in self.periods if first <= at < last)
        return sku, period_start, start, project if model == "per_unit" else ""

    def _in_force(self, sku: str, at: datetime) -> Start:
        return next(start for start in reversed(self.layout[sku]) if start[0] <= at)

    def exact(self, key: Key) -> Fraction:
        """What the counter has come to, in minor units."""
        sku, period_start, start, _ = key
        period_end = dict(self.periods)[period_start]
        borders = [period_start, *(at for at, *_ in self.layout[sku] if period_start < at < period_end), period_end]
        seconds = [Fraction(int((end - begin).total_seconds())) for begin, end in pairwise(borders)]
        _, model, rows = next(each for each in self.layout[sku] if each[0] == start)
        return cost(model, rows, self.totals[key], seconds, borders.index(max(start, period_start)))
