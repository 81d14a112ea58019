"""Values as cells of a CSV file that is safe to open in a spreadsheet. RFC 4180: CRLF, quotes doubled.

Spreadsheets run a cell that begins with = + - @, a tab or a carriage return, after a separator even in the middle of one
(DDE). Text cells that could run get a leading apostrophe, which spreadsheets take as "this is text" and do not show; numbers
are written as numbers and never touched, so that sums still work.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from billing.kernel.clock import to_rfc3339

Cell = str | int | Decimal | Fraction | datetime | date | None

# The wide forms of = + - @ run as well where an input method turns them into the plain ones.
RUNS = re.compile(r"^[\s\"']*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]")
SPECIAL = re.compile(rf'[",;\s\']|{RUNS.pattern}')


def line(cells: Sequence[Cell]) -> str:
    """One row with its line end."""
    return ",".join([cell(value) for value in cells]) + "\r\n"


def cell(value: Cell) -> str:
    """One value as it stands in the file. Numbers stay numbers, instants are RFC 3339, text that could run is disarmed."""
    if value is None:
        return ""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool):
        raise TypeError("a flag has no number: write a word")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return to_rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    return decimal_text(Fraction(value))


def decimal_text(value: Fraction, *, places: int = 12, least: int = 0) -> str:
    """A plain decimal, at most `places` digits after the point (half up beyond), without zeros at its end beyond `least`."""
    return decimal(value.numerator, value.denominator, places=places, least=least)


def decimal(numerator: int, denominator: int, *, places: int = 12, least: int = 0) -> str:
    """`decimal_text` of a quotient, without making a Fraction."""
    doubled = abs(numerator) * 10**places * 2 + denominator
    digits = str(doubled // (2 * denominator)).rjust(places + 1, "0")
    whole, fraction = digits[:-places], digits[-places:].rstrip("0").ljust(least, "0")
    sign = "-" if numerator < 0 and (whole.strip("0") or fraction.strip("0")) else ""
    return sign + whole + (f".{fraction}" if fraction else "")


def instant(value: datetime) -> str:
    """An aware instant as RFC 3339."""
    if value.tzinfo is UTC and not value.microsecond:  # nearly all: the cheap way to the same text
        return value.isoformat()[:-6] + "Z"
    return to_rfc3339(value)


def text(value: str) -> str:
    """A text cell, quoted where needed and disarmed where a spreadsheet would run it."""
    if not SPECIAL.search(value):
        return value
    if RUNS.search(value):
        value = "'" + value
    return '"' + value.replace('"', '""') + '"'
