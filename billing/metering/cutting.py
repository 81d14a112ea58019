"""Where the usage of an account is cut: at borders of its months and of its prices, so that each record has one counter."""

from datetime import UTC, datetime

from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.metering import windows

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)


class Cutter:
    """Cuts windows of many accounts; the borders of each are looked up once."""

    def __init__(self, prices: PriceTable) -> None:
        self._prices = prices
        self._months: dict[str, windows.MonthEdges] = {}
        self._changes: dict[tuple[str, Item], list[datetime]] = {}

    def cut(self, account_id: str, zone: str, item: Item, start_at: datetime, end_at: datetime) -> list[windows.Window]:
        """The window in pieces, months taken in the account's zone; an empty window gives nothing."""
        if start_at >= end_at:
            return []
        months = self._months.get(zone)
        if months is None:
            months = self._months[zone] = windows.MonthEdges(zone)
        changes = self._changes.get((account_id, item))
        if changes is None:
            changes = self._prices.edges(account_id, item, _FIRST, _LAST)
            self._changes[account_id, item] = changes
        edges = months.inside(start_at, end_at)
        if not edges and not changes:
            return [(start_at, end_at)]
        return windows.cut(start_at, end_at, [*edges, *changes])
