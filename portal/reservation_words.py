"""Reservations as pages show them, to a tenant and to operators alike: what is reserved, how it was used, hour by hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from billing.catalog import reservations
from billing.catalog.meters import METERS
from billing.catalog.reservations import ReservationRow
from billing.kernel import periods
from billing.kernel.errors import Invalid
from billing.metering import reserved_use
from billing.metering.reserved_use import HourRow, Use
from billing.rendering import charts
from billing.storage.database import Session
from portal import filters
from portal.tenant.query import Query, last_page

SIZE = 48
STATES = {"coming": ("Coming", "info"), "running": ("Running", "good"), "ended": ("Ended", "neutral")}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One reservation with its words and its sums; quantities in priced units."""

    row: ReservationRow
    what: str
    capacity: str
    state: tuple[str, str]
    reserved: Fraction
    unused: Fraction
    utilisation: Fraction | None


@dataclass(frozen=True, kw_only=True)
class Hour:
    """One hour in priced units."""

    at: datetime
    reserved: Fraction
    beyond: Fraction
    unused: Fraction
    utilisation: Fraction | None


def rows(session: Session, account_id: str, now: datetime) -> list[Listed]:
    """The account's reservations, newest first."""
    found = reservations.list_reservations(session, account_id)
    used = reserved_use.of_reservations(session, [each.id for each in found])
    return [_listed(each, used.get(each.id), now) for each in found]


def what(meter_code: str, variant: str) -> str:
    """What is reserved, in words: "GPU-hours of h100"."""
    unit = f"{METERS[meter_code].unit}s"
    return f"{unit} of {variant}" if variant else unit


def capacity(units: Fraction, unit: str) -> str:
    """How much at once, in words: "8 GPUs" for 8 GPU-hours in each hour, "100 tokens per hour"."""
    figure, held = filters.quantity(units), unit.removesuffix("-hour")
    if held == unit:
        return f"{figure} {unit}{'' if units == 1 else 's'} per hour"
    return f"{figure} {held}{'' if units == 1 or held == 'GiB' else 's'}"


def detail(session: Session, found: ReservationRow, query: Query, now: datetime) -> dict[str, Any]:
    """What the page of one reservation needs: its sums, one month of days as a chart, and that month's hours, newest first."""
    use = reserved_use.of_reservations(session, [found.id]).get(found.id)
    last = reserved_use.last_hour(session, found.id)
    shown = _month(query, last or now)
    hours = reserved_use.list_hours(session, found.id, from_at=shown.start_at, to_at=shown.end_at)
    page = last_page(query.page(), SIZE, len(hours))
    newest = list(reversed(hours))[(page - 1) * SIZE : page * SIZE]
    label = periods.label_of(shown.start_at, "month", "UTC")
    return {
        "one": _listed(found, use, now),
        "month": date.fromisoformat(f"{label}-01"),
        "before": _shifted(label, -1) if found.starts_at < shown.start_at else None,
        "after": _shifted(label, 1) if last is not None and last > shown.end_at else None,
        "chart": _chart(found, hours) if hours else None,
        "days": _days(found, hours),
        "hours": [_hour(found, each) for each in newest],
        "page": page,
        "size": SIZE,
        "total": len(hours),
    }


def _listed(row: ReservationRow, use: Use | None, now: datetime) -> Listed:
    return Listed(
        row=row,
        what=what(row.meter_code, row.variant),
        capacity=capacity(row.capacity, row.unit),
        state=STATES[row.state(now)],
        reserved=_units(row, use.reserved_base if use else 0),
        unused=_units(row, use.unused_base if use else 0),
        utilisation=use.utilisation if use else None,
    )


def _hour(row: ReservationRow, hour: HourRow) -> Hour:
    return Hour(
        at=hour.hour_at,
        reserved=_units(row, hour.reserved_base),
        beyond=_units(row, hour.beyond_base),
        unused=_units(row, hour.unused_base),
        utilisation=hour.utilisation,
    )


def _days(row: ReservationRow, hours: Sequence[HourRow]) -> list[tuple[date, Fraction, Fraction, Fraction]]:
    """(UTC day, reserved, unused, beyond) in priced units."""
    sums: dict[date, list[int]] = {}
    for hour in hours:
        each = sums.setdefault(hour.hour_at.astimezone(UTC).date(), [0, 0, 0])
        each[0] += hour.reserved_base
        each[1] += hour.unused_base
        each[2] += hour.beyond_base
    return [
        (on, _units(row, reserved), _units(row, unused), _units(row, beyond))
        for on, (reserved, unused, beyond) in sums.items()
    ]


def _chart(row: ReservationRow, hours: Sequence[HourRow]) -> Markup:
    """Each day's capacity: what was used of it, what was not."""
    days = _days(row, hours)

    def tick(value: Fraction) -> str:
        return f"{filters.quantity(value)} {row.unit}s"

    return charts.stacked_bars(
        charts.Chart(
            id="reserved-chart",
            title="Reserved capacity by day",
            description="One bar for each day of UTC: the part that was used, and the part that nobody used.",
            labels=tuple(filters.day_of_year(on) for on, _, _, _ in days),
            series=(
                charts.Series(name="Used", values=tuple(reserved for _, reserved, _, _ in days)),
                charts.Series(name="Not used", values=tuple(unused for _, _, unused, _ in days)),
            ),
            tick=tick,
            axis=filters.quantity,
        )
    )


def _units(row: ReservationRow, base: int) -> Fraction:
    return Fraction(base, METERS[row.meter_code].base_per_unit)


def _month(query: Query, newest: datetime) -> periods.Period:
    label = query.text("month")
    if label is not None:
        try:
            return periods.month(label, "UTC")
        except (Invalid, OverflowError):
            query.notices.append("There is no such month: this is the newest one.")
    return periods.month_of(newest, "UTC")


def _shifted(label: str, months: int) -> str:
    year, month = divmod(int(label[:4]) * 12 + int(label[5:]) - 1 + months, 12)
    return f"{year:04d}-{month + 1:02d}"
