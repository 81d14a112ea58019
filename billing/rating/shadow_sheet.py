"""One account's counters under candidate prices: the same curves and periods as rating, held in memory and never written."""

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from billing.catalog import meters
from billing.catalog.items import Item
from billing.catalog.prices import Price, PriceTable
from billing.kernel import clock
from billing.kernel import periods as calendar
from billing.rating import curves, usage
from billing.rating.curves.per_unit import PerUnit
from billing.rating.curves.terms import Curve, Scale
from billing.rating.derivations import MICRO_PER_MINOR, curve_of
from billing.storage.columns import micros

Span = tuple[datetime, datetime]


@dataclass(slots=True, kw_only=True)
class Tried:
    """A candidate counter over one stretch of one item's time, and what both sides come to there.

    `price` is None where the candidate has none: its usage would wait. Amounts are millionths of a minor unit.
    """

    item: Item
    start_micros: int
    end_micros: int
    price: Price | None
    curve: Curve | None
    rate_numerator: int
    rate_denominator: int  # 0: not a straight line
    quantity_base: int = 0
    cost_micro: int = 0
    row_count: int = 0
    old_micro: int = 0
    new_micro: int = 0


class Sheet:
    """The candidate counters of one account. `spans` are its stored billing periods, in order."""

    def __init__(
        self,
        prices: PriceTable,
        *,
        account_id: str,
        zone: str,
        spans: Sequence[Span],
        only: frozenset[Item] | None,
    ) -> None:
        self._prices = prices
        self._account_id = account_id
        self._zone = zone
        self._spans = spans
        self._only = only
        self._found: dict[Item, list[Tried]] = {}

    @property
    def tried(self) -> list[Tried]:
        """Every counter that was asked for."""
        return [each for found in self._found.values() for each in found]

    def find(self, item: Item, start_micros: int) -> Tried:
        """The counter of an item's usage that starts at the instant (microseconds since 1970)."""
        found = self._found.setdefault(item, [])
        for each in found:
            if each.start_micros <= start_micros < each.end_micros:
                return each
        made = self._make(item, usage.instant(start_micros))
        found.append(made)
        return made

    def span_at(self, instant: datetime) -> Span:
        """The billing period of an instant: the stored one, else the month that would be opened."""
        place = bisect_right(self._spans, instant, key=_start) - 1
        if place >= 0 and instant < self._spans[place][1]:
            return self._spans[place]
        month = calendar.month_of(instant, self._zone)
        start_at = max(month.start_at, self._spans[place][1]) if place >= 0 else month.start_at
        after = self._spans[place + 1][0] if place + 1 < len(self._spans) else month.end_at
        return start_at, min(month.end_at, after)

    def _make(self, item: Item, start_at: datetime) -> Tried:
        first, last = self.span_at(start_at)
        edges = self._prices.edges(self._account_id, item, first, last)
        borders = [first, *(edge for edge in edges if first < edge < last), last]
        index = bisect_right(borders, start_at) - 1
        price = self._prices.price_at(self._account_id, item, start_at)
        if price is not None and self._only is not None and not self._is_said(item):
            price = None
        curve = None
        rate = Fraction(0)
        if price is not None:
            lengths_ms = tuple(clock.millis_between(*pair) for pair in itertools.pairwise(borders))
            is_scaled = len(lengths_ms) > 1 and not curves.is_per_project(price.model)
            curve = curve_of(price, Scale(lengths_ms=lengths_ms, index=index) if is_scaled else None)
            rate = curve.per_base * MICRO_PER_MINOR if isinstance(curve, PerUnit) else rate
        return Tried(
            item=item,
            start_micros=micros(borders[index]),
            end_micros=micros(borders[index + 1]),
            price=price,
            curve=curve,
            rate_numerator=rate.numerator,
            rate_denominator=rate.denominator if isinstance(curve, PerUnit) else 0,
        )

    def _is_said(self, item: Item) -> bool:
        """Whether a book that is tried in the place of every plan's says a price; fees and closing charges stay the plan's."""
        said = self._only or frozenset()
        return item in said or item.of_any_variant in said or meters.kind_of(item.meter_code) != meters.USAGE


def _start(span: Span) -> datetime:
    return span[0]
