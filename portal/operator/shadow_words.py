"""What the pages of shadow ratings show: both sides of a line in money, the bands of the distribution, the cells of a file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from billing.exports import csv
from billing.kernel.rounding import half_up
from billing.rating import shadow_result
from billing.rendering import charts
from portal import filters


@dataclass(frozen=True, kw_only=True)
class Line:
    """Both sides of something, in minor units, each rounded once for reading."""

    label: str
    currency: str
    rows: int
    old_minor: int
    new_minor: int
    delta_minor: int
    percent: str | None
    is_inside: bool = True
    account_id: str = ""
    code: str = ""


def lines(rows: Iterable[Mapping[str, Any]], label: str) -> list[Line]:
    """Rows of a result, named by one of their fields."""
    return [_line(row, str(row[label])) for row in rows]


def accounts(rows: Iterable[Mapping[str, Any]], named: Mapping[str, tuple[str, str]]) -> list[Line]:
    """Rows of accounts, named as they are called now."""
    made = []
    for row in rows:
        code, name = named.get(row["account_id"], (row["code"], row["code"]))
        made.append(_line(row, name, account_id=row["account_id"], code=code))
    return made


def _line(row: Mapping[str, Any], label: str, **more: str) -> Line:
    old_micro, new_micro = int(row["old_micro"]), int(row["new_micro"])
    return Line(
        label=label,
        currency=row["currency"],
        rows=row["rows"],
        old_minor=half_up(old_micro, 10**6),
        new_minor=half_up(new_micro, 10**6),
        delta_minor=half_up(new_micro - old_micro, 10**6),
        percent=shadow_result.percent(old_micro, new_micro),
        is_inside=row.get("is_inside", True),
        **more,
    )


def _percent_of(line: Line) -> Fraction:
    """For sorting: what came from nothing changed most."""
    return Fraction(line.percent) if line.percent is not None else Fraction(10**12)


KEYS: dict[str, Any] = {
    "account": lambda line: (line.label.casefold(), line.account_id),
    "current": lambda line: (line.currency, line.old_minor, line.account_id),
    "candidate": lambda line: (line.currency, line.new_minor, line.account_id),
    "change": lambda line: (abs(line.delta_minor), line.account_id),
    "percent": lambda line: (_percent_of(line), line.account_id),
}


def chart(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """One bar for each band of change, of accounts."""
    labels = tuple(_end(row) for row in rows)
    return charts.stacked_bars(
        charts.Chart(
            id="distribution-chart",
            title="Accounts by how much they change",
            description="One bar for each band of change, falling on the left, rising on the right; it ends at the percent below it.",
            labels=labels,
            series=(charts.Series(name="Accounts", values=tuple(row["accounts"] for row in rows)),),
            tick=lambda value: filters.plural(int(value), "account", "accounts"),
            axis=lambda value: filters.integer(int(value)),
            is_whole=True,
        )
    )


def _end(row: Mapping[str, Any]) -> str:
    """Where a band ends, short enough for the axis: "−20%", "0", "> 50%"."""
    lower, upper = row["from"], row["to"]
    if lower == upper:
        return "0"
    if upper is None or lower is None:
        return f"{'>' if upper is None else '<'} {'' if upper is None else '−'}{str(lower or upper).removeprefix('-')}%"
    return f"−{lower.removeprefix('-')}%" if lower.startswith("-") else f"+{upper}%"


def bar(row: Mapping[str, Any]) -> str:
    """A band's name: "5 to 20%", "over 50%", "no change"."""
    lower, upper = row["from"], row["to"]
    if lower == upper == "0":
        return "No change"
    if upper is None:
        return f"over +{lower}%"
    if lower is None:
        return f"over −{upper.removeprefix('-')}%"
    if lower.startswith("-"):
        return (
            f"−{lower.removeprefix('-')} to −{upper.removeprefix('-')}%"
            if upper != "0"
            else f"−{lower.removeprefix('-')} to 0%"
        )
    return f"+{lower} to +{upper}%" if lower != "0" else f"0 to +{upper}%"


def cells(rows: Iterable[Mapping[str, Any]], named: Mapping[str, tuple[str, str]]) -> Iterable[Sequence[csv.Cell]]:
    """The rows of the CSV, exact."""
    for row in rows:
        old_micro, new_micro = int(row["old_micro"]), int(row["new_micro"])
        percent = shadow_result.percent(old_micro, new_micro)
        code, name = named.get(row["account_id"], (row["code"], row["code"]))
        yield (
            code,
            name,
            row["currency"],
            row["rows"],
            Fraction(old_micro, 10**6),
            Fraction(new_micro, 10**6),
            Fraction(new_micro - old_micro, 10**6),
            None if percent is None else Fraction(percent),
            "yes" if row["is_inside"] else "no",
        )
