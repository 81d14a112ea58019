"""One account's counters under candidate prices: the same curves and periods as rating, held in memory and never written."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from billing.catalog import meters
from billing.catalog.items import Item
from billing.catalog.prices import Price, PriceTable
from billing.kernel import periods as calendar
from billing.rating import segments, usage
from billing.rating.curves.per_unit import PerUnit
from billing.rating.curves.terms import Curve
from billing.rating.derivations import MICRO_PER_MINOR, curve_of
from billing.rating.segments import Segment
from billing.rating.tables import BillingPeriod
from billing.storage.columns import micros

Span = tuple[datetime, datetime]


@dataclass(slots=True, kw_only=True)
class Counted:
    """A candidate counter: items whose price is the same stand on one, as in rating."""

    price: Price
    curve: Curve
    rate_numerator: int
    rate_denominator: int  # 0: not a straight line
    quantity_base: int = 0
    cost_micro: int = 0


@dataclass(slots=True, kw_only=True)
class Tried:
    """One item over one stretch of time: its candidate counter, and what both sides come to there.

    Without a counter the candidate has no price: its usage would wait. Amounts are millionths of a minor unit.
    """

    item: Item
    start_micros: int
    end_micros: int
    counter: Counted | None
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
        self._found: dict[tuple[Item, int], list[Tried]] = {}
        self._counters: dict[tuple[str, datetime, datetime], Counted] = {}

    @property
    def tried(self) -> list[Tried]:
        """Every counter that was asked for."""
        return [each for found in self._found.values() for each in found]

    def find(self, item: Item, start_micros: int, priced_micros: int) -> Tried:
        """Where usage of an item that starts at the instant is counted, at the price of the other instant (`price_locks`).

        Both in microseconds since 1970.
        """
        found = self._found.setdefault((item, 0 if priced_micros == start_micros else priced_micros), [])
        for each in found:
            if each.start_micros <= start_micros < each.end_micros:
                return each
        made = self._make(item, usage.instant(start_micros), usage.instant(priced_micros))
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

    def _make(self, item: Item, start_at: datetime, priced_at: datetime) -> Tried:
        first, last = self.span_at(start_at)
        period = BillingPeriod(billing_account_id=self._account_id, start_at=first, end_at=last)  # of no session
        segment = segments.find(self._prices, self._account_id, item, period, start_at)
        start, end = segment.start_at, segment.end_at
        price = self._prices.price_at(self._account_id, item, priced_at)
        if price is not None and self._only is not None and not self._is_said(item):
            price = None
        if price is not None and price.item != item:  # a price of any variant is cut where its own changes are
            segment = segments.find(self._prices, self._account_id, price.item, period, start_at)
            start, end = max(start, segment.start_at), min(end, segment.end_at)
        return Tried(
            item=item,
            start_micros=micros(start),
            end_micros=micros(end),
            counter=None if price is None else self._counter(price, first, segment),
        )

    def _counter(self, price: Price, period_at: datetime, segment: Segment) -> Counted:
        key = (price.id, period_at, segment.start_at)
        if key not in self._counters:
            curve = curve_of(price, segment.scale_of(price.model))
            rate = curve.per_base * MICRO_PER_MINOR if isinstance(curve, PerUnit) else Fraction(0)
            self._counters[key] = Counted(
                price=price,
                curve=curve,
                rate_numerator=rate.numerator,
                rate_denominator=rate.denominator if isinstance(curve, PerUnit) else 0,
            )
        return self._counters[key]

    def _is_said(self, item: Item) -> bool:
        """Whether a book that is tried in the place of every plan's says a price; fees and closing charges stay the plan's."""
        said = self._only or frozenset()
        return item in said or item.of_any_variant in said or meters.kind_of(item.meter_code) != meters.USAGE


def _start(span: Span) -> datetime:
    return span[0]
