"""Which days a page looks at: a month of the account, or any days, as the URL says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from billing.kernel import periods
from billing.kernel.clock import get_zone
from billing.rating.spending import MonthRow
from portal.tenant.query import Query

_LONGEST = timedelta(days=366 * 5)


@dataclass(frozen=True, kw_only=True)
class Range:
    """Whole days in a zone, both ends inclusive; `start_at` and `end_at` are the half-open window of them."""

    first_on: date
    last_on: date
    start_at: datetime
    end_at: datetime
    is_chosen: bool

    @property
    def day_count(self) -> int:
        """How many days it holds."""
        return (self.last_on - self.first_on).days + 1

    @property
    def month_label(self) -> str | None:
        """ "2016-12" where it is exactly that month."""
        is_month = self.first_on.day == 1 and self.last_on == _month_end(self.first_on)
        return self.first_on.isoformat()[:7] if is_month else None

    def before(self, zone: str) -> "Range":
        """The range right before it: the month before a month, else as many days."""
        last_on = self.first_on - timedelta(days=1)
        first_on = last_on.replace(day=1) if self.month_label else last_on - timedelta(days=self.day_count - 1)
        return of_days(first_on, last_on, zone)


def of_days(first_on: date, last_on: date, zone: str, *, is_chosen: bool = False) -> Range:
    """The range of these days."""
    return Range(
        first_on=first_on,
        last_on=last_on,
        start_at=_midnight(first_on, zone),
        end_at=_midnight(last_on + timedelta(days=1), zone),
        is_chosen=is_chosen,
    )


def read(query: Query, months: Sequence[MonthRow], *, zone: str, now: datetime) -> Range:
    """The range that the URL asks for by `from` and `to` or by `period`; else the newest month with usage, else the present one."""
    first_on, last_on = query.day("from"), query.day("to")
    label = query.text("period")
    if first_on is not None and last_on is not None and first_on > last_on:
        query.notices.append("The first day lies behind the last one: both were left out.")
        first_on = last_on = None
    if first_on is not None or last_on is not None:
        first_on, last_on = first_on or _month_start(last_on), last_on or _month_end(first_on)
        if last_on - first_on > _LONGEST:
            first_on = last_on - _LONGEST
            query.notices.append("That is more than five years: the last five are shown.")
        return of_days(first_on, last_on, zone, is_chosen=True)
    if label is not None and not _is_month(label):
        query.notices.append("The period is not a month such as 2026-11: it was left out.")
        label = None
    chosen = label or (months[0].label if months else periods.label_of(now, "month", zone))
    return of_month(chosen, zone, is_chosen=label is not None)


def of_month(label: str, zone: str, *, is_chosen: bool = False) -> Range:
    """The range of the month "2016-12"."""
    first_on = date.fromisoformat(f"{label}-01")
    return of_days(first_on, _month_end(first_on), zone, is_chosen=is_chosen)


def _midnight(on: date, zone: str) -> datetime:
    return datetime.combine(on, time(0), get_zone(zone)).astimezone(UTC)


def _is_month(label: str) -> bool:
    try:
        found = date.fromisoformat(f"{label}-01")
    except ValueError:
        return False
    return len(label) == 7 and 1970 <= found.year <= 2200


def _month_start(on: date | None) -> date:
    return (on or date.min).replace(day=1)


def _month_end(on: date | None) -> date:
    return ((on or date.min).replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def month_before(first_on: date) -> date:
    """The first day of the month before."""
    return (first_on - timedelta(days=1)).replace(day=1)
