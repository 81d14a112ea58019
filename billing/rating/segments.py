"""The stretches of a billing period in which one price of an item holds: each has its own counters and its share of bounds."""

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime

from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.kernel import clock
from billing.rating import curves
from billing.rating.curves.terms import Scale
from billing.rating.tables import BillingPeriod


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """[start_at, end_at) of a period that is cut into stretches of these lengths; this is the one of that index."""

    start_at: datetime
    end_at: datetime
    lengths_ms: tuple[int, ...]
    index: int

    def scale_of(self, model: str) -> Scale | None:
        """The share of the period for a price of this model; None for the whole, and where no share is taken."""
        if len(self.lengths_ms) == 1 or model not in curves.SCALED:
            return None
        return Scale(lengths_ms=self.lengths_ms, index=self.index)


def find(prices: PriceTable, account_id: str, item: Item, period: BillingPeriod, at: datetime) -> Segment:
    """The segment of the item's prices that holds an instant of the period."""
    edges = prices.edges(account_id, item, period.start_at, period.end_at)
    borders = [period.start_at, *edges, period.end_at]
    index = bisect_right(borders, at) - 1
    return Segment(
        start_at=borders[index],
        end_at=borders[index + 1],
        lengths_ms=tuple(clock.millis_between(*pair) for pair in itertools.pairwise(borders)),
        index=index,
    )
