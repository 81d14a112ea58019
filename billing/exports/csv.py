"""CSV that leaves: streamed, with a manifest, and safe to open in a spreadsheet.

How a single value is written, and disarmed, is `billing.rendering.csv_cells`; here are files and whole columns.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from itertools import islice
from typing import Any, cast

from billing.rendering.csv_cells import Cell, cell, decimal_text, line
from billing.rendering.csv_cells import decimal as _decimal
from billing.rendering.csv_cells import instant as _instant
from billing.rendering.csv_cells import text as _text

__all__ = ["Cell", "Column", "Export", "Manifest", "Quotients", "cell", "column_texts", "decimal_text", "line"]

_CHUNK_ROWS = 1_000
# The same of a whole column at once, its cells parted by NUL: what finds nothing here finds nothing in any cell.
_SPECIAL_AMONG = re.compile(r"[\",;\s']|(?:^|\0)[=+\-@|%\uff1d\uff0b\uff0d\uff20]")

_HARMLESS = {ord(sign): None for sign in "_/.:"}  # beside letters and digits: ids, codes and hashes need no search


@dataclass(frozen=True, kw_only=True)
class Quotients:
    """A column of fractions of whole numbers, written without making a Fraction for each."""

    numerators: Sequence[int]
    denominators: Sequence[int]


Column = Sequence[Cell] | Quotients


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
    """One CSV file to be: iterate it once for its bytes, then read the manifest. Memory holds 1,000 rows at most.

    Its content comes as `rows`, or as `blocks` of up to 1,000 rows, each block a column for every name in `columns`.
    """

    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]] = ()
    blocks: Iterable[Sequence[Column]] | None = None
    sum_column: str | None = None
    manifest: Manifest = field(init=False)

    def __post_init__(self) -> None:
        if self.sum_column is not None and self.sum_column not in self.columns:
            raise ValueError(f"no column {self.sum_column}")
        self.manifest = Manifest(columns=tuple(self.columns), sum_column=self.sum_column)

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        index = None if self.sum_column is None else list(self.columns).index(self.sum_column)
        text = line(self.columns)
        for block in self.blocks if self.blocks is not None else _blocks(self.rows):
            texts = [column_texts(column) for column in block]
            self.manifest.count += len(texts[0])
            if index is not None:
                self.manifest.total += _sum(block[index])
            chunk = (text + "\r\n".join(map(",".join, zip(*texts, strict=True))) + "\r\n").encode()
            text = ""
            digest.update(chunk)
            yield chunk
        chunk = text.encode()  # the heads alone, of a file without rows
        digest.update(chunk)
        self.manifest.sha256 = digest.hexdigest()
        self.manifest.is_complete = True
        if chunk:
            yield chunk


def column_texts(column: Column) -> list[str]:
    """A column's values as they stand in the file: each as `cell` writes it, in a fraction of the time of a call per cell."""
    if isinstance(column, Quotients):
        return [
            str(numerator // denominator) if numerator % denominator == 0 else _decimal(numerator, denominator)
            for numerator, denominator in zip(column.numerators, column.denominators, strict=True)
        ]
    kinds = set(map(type, column))
    kinds.discard(type(None))
    if kinds == {str}:
        return _texts(column)
    if kinds == {int}:
        return ["" if value is None else str(value) for value in column]
    if kinds == {datetime}:
        return [_instant(value) if isinstance(value, datetime) else "" for value in column]
    return [cell(value) for value in column]


def _blocks(rows: Iterable[Sequence[Cell]]) -> Iterator[Sequence[Column]]:
    remaining = iter(rows)
    while block := list(islice(remaining, _CHUNK_ROWS)):
        yield list(zip(*block, strict=True))


def _texts(column: Sequence[Any]) -> list[str]:
    texts = ["" if value is None else value for value in column]
    distinct = set(texts)
    if "".join(distinct).translate(_HARMLESS).isalnum() or not _SPECIAL_AMONG.search("\0".join(distinct)):
        return texts
    written = {text: _text(text) for text in distinct}
    return [written[text] for text in texts]


def _sum(column: Column) -> Fraction:
    if isinstance(column, Quotients):
        return sum(map(Fraction, column.numerators, column.denominators), Fraction(0))
    if set(map(type, column)) == {int}:
        return Fraction(sum(cast("Sequence[int]", column)))
    return sum(map(_number, column), Fraction(0))


def _number(value: Cell) -> Fraction:
    if value is None:
        return Fraction(0)
    if isinstance(value, str | date):
        raise TypeError("only numbers can be summed")
    return Fraction(value)
