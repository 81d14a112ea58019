"""CSV that leaves: streamed, with a manifest, and safe to open in a spreadsheet.

Spreadsheets run a cell that begins with = + - @, a tab or a carriage return, after a separator even in the middle of one
(DDE). Text cells that could run get a leading apostrophe, which spreadsheets take as "this is text" and do not show; numbers
are written as numbers and never touched, so that sums still work. RFC 4180: CRLF, quotes doubled.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from billing.kernel.clock import to_rfc3339

Cell = str | int | Decimal | Fraction | datetime | date | None

_CHUNK_ROWS = 1_000
# The wide forms of = + - @ run as well where an input method turns them into the plain ones.
_RUNS = re.compile(r"^[\s\"']*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]")
_SPECIAL = re.compile(rf'[",;\s\']|{_RUNS.pattern}')


@dataclass(kw_only=True)
class Manifest:
    """What a file holds, filled in while it is written: rows, the exact sum of one column, the SHA-256 of its bytes."""

    columns: tuple[str, ...]
    sum_column: str | None
    count: int = 0
    total: Fraction = Fraction(0)
    sha256: str = ""
    is_complete: bool = False

    def to_json(self) -> dict[str, object]:
        """For a file beside the export: {"columns", "count", "sum_column", "sum", "sha256"}, the sum as plain decimal text."""
        return {
            "columns": list(self.columns),
            "count": self.count,
            "sum_column": self.sum_column,
            "sum": decimal_text(self.total) if self.sum_column else None,
            "sha256": self.sha256,
        }


@dataclass(kw_only=True)
class Export:
    """One CSV file to be: iterate it once for its bytes, then read the manifest. Memory holds 1,000 rows at most."""

    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    sum_column: str | None = None
    manifest: Manifest = field(init=False)

    def __post_init__(self) -> None:
        if self.sum_column is not None and self.sum_column not in self.columns:
            raise ValueError(f"no column {self.sum_column}")
        self.manifest = Manifest(columns=tuple(self.columns), sum_column=self.sum_column)

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        index = None if self.sum_column is None else list(self.columns).index(self.sum_column)
        lines = [line(self.columns)]
        for row in self.rows:
            self.manifest.count += 1
            if index is not None:
                self.manifest.total += _number(row[index])
            lines.append(line(row))
            if len(lines) >= _CHUNK_ROWS:
                chunk = "".join(lines).encode()
                lines.clear()
                digest.update(chunk)
                yield chunk
        chunk = "".join(lines).encode()
        digest.update(chunk)
        self.manifest.sha256 = digest.hexdigest()
        self.manifest.is_complete = True
        if chunk:
            yield chunk


def line(cells: Sequence[Cell]) -> str:
    """One row with its line end."""
    return ",".join([cell(value) for value in cells]) + "\r\n"


def cell(value: Cell) -> str:
    """One value as it stands in the file. Numbers stay numbers, instants are RFC 3339, text that could run is disarmed."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _text(value)
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
    numerator = abs(value.numerator) * 10**places * 2 + value.denominator
    digits = str(numerator // (2 * value.denominator)).rjust(places + 1, "0")
    whole, fraction = digits[:-places], digits[-places:].rstrip("0").ljust(least, "0")
    sign = "-" if value < 0 and (whole.strip("0") or fraction.strip("0")) else ""
    return sign + whole + (f".{fraction}" if fraction else "")


def _text(value: str) -> str:
    if not _SPECIAL.search(value):
        return value
    if _RUNS.search(value):
        value = "'" + value
    return '"' + value.replace('"', '""') + '"'


def _number(value: Cell) -> Fraction:
    if value is None:
        return Fraction(0)
    if isinstance(value, str | date):
        raise TypeError("only numbers can be summed")
    return Fraction(value)
