"""Half-open windows of usage: where they are cut, and how much lies in each piece. Pure.

A window's quantity is its rate per millisecond times its milliseconds, an integer, so that pieces sum to the whole however a
window is cut.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from billing.kernel import clock, periods

MAX_WINDOW = timedelta(days=3653)  # ten years, with the leap days they can have
MAX_QUANTITY_UNITS = 2**40  # of the priced unit, in one record

Window = tuple[datetime, datetime]


def cut(start_at: datetime, end_at: datetime, edges: Iterable[datetime]) -> list[Window]:
    """[start_at, end_at) cut at every edge that lies inside it; an empty window gives nothing. The pieces tile it exactly."""
    inside = sorted({edge for edge in edges if start_at < edge < end_at})
    borders = [start_at, *inside, end_at]
    return [(first, second) for first, second in pairwise(borders) if first < second]


def month_edges(start_at: datetime, end_at: datetime, zone: str) -> list[datetime]:
    """The first instants of the months of `zone` inside the window: where billing periods may begin."""
    return _grain_edges(start_at, end_at, "month", zone)


def hour_edges(start_at: datetime, end_at: datetime) -> list[datetime]:
    """The full UTC hours inside the window: where accrual cuts."""
    return _grain_edges(start_at, end_at, "hour", "UTC")


def _grain_edges(start_at: datetime, end_at: datetime, grain: periods.Grain, zone: str) -> list[datetime]:
    edges = []
    edge = periods.next_edge(start_at, grain, zone)
    while edge < end_at:
        edges.append(edge)
        edge = periods.next_edge(edge, grain, zone)
    return edges


def quantity(rate_per_ms: int, start_at: datetime, end_at: datetime) -> int:
    """Base units of a window that uses `rate_per_ms` base units in each of its milliseconds."""
    return rate_per_ms * clock.millis_between(start_at, end_at)


def share(quantity_base: int, whole: Window, piece: Window) -> int:
    """The part of a window's given quantity that falls into one piece of it, in base units.

    Differences of the floored running total, so that the parts of any tiling sum to the whole and none differs from its exact
    share by a base unit or more.
    """
    length = clock.millis_between(*whole)
    before = quantity_base * clock.millis_between(whole[0], piece[0]) // length
    through = quantity_base * clock.millis_between(whole[0], piece[1]) // length
    return through - before


class MonthEdges:
    """The month borders of one zone, found once and kept: bulk paths ask for the same few months again and again."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._start_at: datetime | None = None
        self._end_at: datetime | None = None

    def inside(self, start_at: datetime, end_at: datetime) -> Sequence[datetime]:
        """As `month_edges`."""
        if self._start_at is None or self._end_at is None or not self._start_at <= start_at < self._end_at:
            month = periods.month_of(start_at, self._zone)
            self._start_at, self._end_at = month.start_at, month.end_at
        if end_at <= self._end_at:
            return ()
        return month_edges(start_at, end_at, self._zone)


class Buckets:
    """Calendar buckets of one grain and zone over a range, for sorting many windows into few buckets."""

    def __init__(self, grain: periods.Grain, zone: str, start_at: datetime, end_at: datetime) -> None:
        """Buckets from the one that holds `start_at` up to the one that holds the last instant before `end_at`."""
        self.borders = [start_at]
        while self.borders[-1] < end_at:
            self.borders.append(periods.next_edge(self.borders[-1], grain, zone))
        if len(self.borders) == 1:
            self.borders.append(periods.next_edge(start_at, grain, zone))
        self.labels = [periods.label_of(border, grain, zone) for border in self.borders[:-1]]

    def index_of(self, instant: datetime) -> int:
        """Which bucket holds the instant."""
        return bisect_right(self.borders, instant) - 1

    def last_index_of(self, start_at: datetime, end_at: datetime) -> int:
        """The last bucket that the window touches; an empty window touches the bucket of its instant."""
        return self.index_of(start_at) if end_at <= start_at else bisect_left(self.borders, end_at) - 1
