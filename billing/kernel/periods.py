"""Half-open windows of time and the calendar buckets that cut them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from billing.kernel.clock import get_zone
from billing.kernel.errors import Invalid

Grain = Literal["hour", "day", "month", "year"]


@dataclass(frozen=True, kw_only=True)
class Period:
    """[start_at, end_at): both aware UTC, end after start."""

    start_at: datetime
    end_at: datetime

    def __post_init__(self) -> None:
        if self.start_at.tzinfo is None or self.end_at.tzinfo is None:
            raise Invalid(field="period", reason="naive_time")
        if self.end_at <= self.start_at:
            raise Invalid(
                field="period", start=self.start_at.isoformat(), end=self.end_at.isoformat(), reason="end_before_start"
            )

    @property
    def seconds(self) -> int:
        """Whole seconds: Berlin's March 2026 has 743 hours of them."""
        delta = self.end_at - self.start_at
        return delta.days * 86_400 + delta.seconds

    def contains(self, instant: datetime) -> bool:
        """Whether the instant lies in it; the end does not."""
        return self.start_at <= instant < self.end_at


def month_of(instant: datetime, zone: str) -> Period:
    """The calendar month, in a zone, that holds the instant."""
    local = instant.astimezone(get_zone(zone))
    return month(f"{local.year:04d}-{local.month:02d}", zone)


def month(label: str, zone: str) -> Period:
    """The calendar month "2016-12" in a zone. Raises Invalid(field="period") for any other text."""
    tz = get_zone(zone)
    try:
        first = date.fromisoformat(f"{label}-01")
        following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        return Period(start_at=_midnight(first, tz), end_at=_midnight(following, tz))
    except (ValueError, OverflowError):  # the first and the last month of the calendar reach beyond it
        raise Invalid(field="period", value=label[:40], reason="not_a_month") from None


def label_of(instant: datetime, grain: Grain, zone: str) -> str:
    """The bucket's name: `2016`, `2016-12`, `2016-12-22` or, for hours, `2016-12-22T05:00Z` (always UTC)."""
    if grain == "hour":
        return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:00Z")
    local = instant.astimezone(get_zone(zone))
    return local.date().isoformat()[: {"day": 10, "month": 7, "year": 4}[grain]]


def next_edge(instant: datetime, grain: Grain, zone: str) -> datetime:
    """The first bucket border after the instant, as UTC."""
    if grain == "hour":
        return instant.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    tz = get_zone(zone)
    day = instant.astimezone(tz).date()
    if grain == "day":
        following = day + timedelta(days=1)
    elif grain == "month":
        following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    else:
        following = date(day.year + 1, 1, 1)
    return _midnight(following, tz)


def split(start_at: datetime, end_at: datetime, grain: Grain, zone: str) -> Iterator[tuple[datetime, datetime]]:
    """The window cut at every bucket border; an empty window gives nothing. Pieces tile it exactly."""
    while start_at < end_at:
        edge = min(next_edge(start_at, grain, zone), end_at)
        yield start_at, edge
        start_at = edge


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    """The first instant of a local day, as UTC.

    Where clocks jump over midnight (Beirut, Havana), `fold=0` reads the gap with the offset before it, which is the very
    instant of the jump: the day's first instant.
    """
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)
