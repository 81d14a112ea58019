"""Cost over time as a chart, and the same numbers as a table."""

from collections.abc import Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from billing.kernel.periods import Grain
from billing.rating.spending import SpendGroup, Spending
from billing.rendering import charts
from portal import filters
from portal.tenant import spending_asked
from portal.tenant.ranges import Range

_LONG_NAMES = 4


def stacked(found: Spending, *, by: Grain, group: str, days: Range, id: str = "usage-chart") -> Markup:
    """One bar for each bucket, stacked by what the cost is grouped by."""
    words, total = spending_asked.word_of(group).lower(), filters.money(found.total_minor, found.currency)

    def money(value: Fraction) -> str:
        return filters.money(int(value), found.currency)

    def axis(value: Fraction) -> str:
        return filters.axis_money(value, found.currency)

    return charts.stacked_bars(
        charts.Chart(
            id=id,
            title=f"Cost by {words}, {filters.days(days.first_on, days.last_on)}",
            description=f"One bar for each {by}, stacked by {words}. In all {total}.",
            labels=bars(found.labels, by),
            series=_series(found, group),
            tick=money,
            axis=axis,
            is_whole=True,
        )
    )


def bars(labels: Sequence[str], by: Grain) -> tuple[str, ...]:
    """The names of a chart's bars; many months have short ones."""
    is_short = by == "month" and len(labels) > _LONG_NAMES
    return tuple(short_month(label) if is_short else label_of(label, by) for label in labels)


def columns(found: Spending, *, by: Grain, group: str) -> dict[str, Any]:
    """The chart's own numbers: a column for each series, a row for each bucket, newest last."""
    series = charts.fold(_series(found, group))
    return {
        "names": [one.name for one in series],
        "rows": [
            {"label": label_of(label, by), "values": [one.values[i] for one in series], "total": found.by_bucket[i]}
            for i, label in enumerate(found.labels)
        ],
        "totals": [int(sum(Fraction(value) for value in one.values)) for one in series],
    }


def name_of(row: SpendGroup, group: str) -> str:
    """What a row is called; usage without a project or a tag says so."""
    return spending_asked.name_of(group, row.key, row.label)


def label_of(label: str, by: Grain) -> str:
    """A bucket's name in words: "22 Dec 05:00", "22 Dec", "December 2016"."""
    if by == "hour":
        at = datetime.fromisoformat(label)
        return f"{_day(at.date())} {at:%H:%M}"
    if by == "day":
        return _day(date.fromisoformat(label))
    return filters.month_name(date.fromisoformat(f"{label}-01"))


def short_month(label: str) -> str:
    """A month for a narrow heading: "Dec 16"."""
    return f"{date.fromisoformat(f'{label}-01'):%b} {label[2:4]}"


def _day(on: date) -> str:
    return filters.day_of_year(on)


def _series(found: Spending, group: str) -> tuple[charts.Series, ...]:
    return tuple(charts.Series(name=name_of(row, group), values=row.by_bucket) for row in found.groups)
