"""Reading the European Central Bank's table of reference rates: its CSV of one day or of its whole history. Pure.

Newest day first, a trailing empty column, N/A where a currency was not published, units of the currency for one euro
(ecb.europa.eu, "Euro foreign exchange reference rates"). Bad rows are named and the rest is read.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from billing.kernel.errors import Invalid

FIRST_ON = date(1999, 1, 4)
MAX_BYTES = 10_000_000
_MAX_ROWS = 20_000
_CURRENCY = re.compile(r"[A-Z]{3}")
_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_ABSENT = frozenset({"", "N/A", "-"})


@dataclass(frozen=True, kw_only=True)
class Day:
    """The rates of one day: {currency: decimal text}; `line` is its line in the file, from 1."""

    line: int
    published_on: date
    rates: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A row that says nothing we can keep: its line, its first cell, and a stable reason with the cell that is wrong."""

    line: int
    day: str
    reason: str  # not_a_day, in_future, too_early, wrong_width, not_a_rate, no_rates, twice, differs
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a file says, oldest day first, and the rows of it that were refused."""

    days: tuple[Day, ...]
    bad: tuple[BadRow, ...]


def read(content: bytes, *, today: date) -> Table:
    """The days of a file. Raises Invalid(field="file") for what is no such table at all: reason rates_not_text, no_rate_header, too_large."""
    if len(content) > MAX_BYTES:
        raise Invalid(field="file", limit_bytes=MAX_BYTES, reason="too_large")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid(field="file", reason="rates_not_text") from None
    if "\0" in text:
        raise Invalid(field="file", reason="rates_not_text")
    try:
        rows = list(csv.reader(text.splitlines()))
    except csv.Error:
        raise Invalid(field="file", reason="rates_not_text") from None
    if not rows or not rows[0] or rows[0][0].strip() != "Date":
        raise Invalid(field="file", reason="no_rate_header")
    if len(rows) > _MAX_ROWS:
        raise Invalid(field="file", limit=_MAX_ROWS, reason="too_many_rate_rows")
    currencies = _header(rows[0])
    days: dict[date, Day] = {}
    bad: list[BadRow] = []
    for line, cells in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        made = _day(line, cells, currencies, today)
        if isinstance(made, Day) and made.published_on in days:
            before = days[made.published_on]
            if before.rates != made.rates:
                bad.append(BadRow(line=line, day=cells[0].strip()[:40], reason="twice", detail=f"line {before.line}"))
        elif isinstance(made, Day):
            days[made.published_on] = made
        else:
            bad.append(made)
    return Table(days=tuple(days[on] for on in sorted(days)), bad=tuple(bad))


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells[1:]]
    while names and not names[-1]:
        names.pop()
    if not names or not all(_CURRENCY.fullmatch(name) for name in names) or len(set(names)) != len(names):
        raise Invalid(field="file", reason="no_rate_header")
    return names


def _day(line: int, cells: list[str], currencies: list[str], today: date) -> Day | BadRow:
    said = cells[0].strip()[:40]
    on = _date(said)
    if on is None:
        return BadRow(line=line, day=said, reason="not_a_day")
    if on > today:
        return BadRow(line=line, day=said, reason="in_future")
    if on < FIRST_ON:
        return BadRow(line=line, day=said, reason="too_early")
    values = [cell.strip() for cell in cells[1:]]
    if len(values) < len(currencies) or any(values[len(currencies) :]):
        return BadRow(line=line, day=said, reason="wrong_width", detail=str(len(values)))
    rates: dict[str, str] = {}
    for currency, value in zip(currencies, values, strict=False):
        if value in _ABSENT:
            continue
        if not _RATE.fullmatch(value) or Fraction(value) == 0:
            return BadRow(line=line, day=said, reason="not_a_rate", detail=f"{currency} {value[:40]}")
        rates[currency] = value
    if not rates:
        return BadRow(line=line, day=said, reason="no_rates")
    return Day(line=line, published_on=on, rates=rates)


def _date(said: str) -> date | None:
    """2026-10-30 as in the history, 30 October 2026 as in the file of one day."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", said):
        try:
            return date.fromisoformat(said)
        except ValueError:
            return None
    try:
        return datetime.strptime(said, "%d %B %Y").date()  # noqa: DTZ007  a calendar day has no zone
    except ValueError:
        return None
