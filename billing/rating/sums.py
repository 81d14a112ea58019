"""Exact sums of wide integers in the database. PostgreSQL adds its numerics; SQLite, which keeps them as text, adds two halves.

SQLite's integers end at 2^63: numbers of up to 18 digits are added as thousand millions and the rest, each sum far from the end;
wider ones form groups of equal numbers, whose count multiplies them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, null, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

_HALF = 10**9
_SAFE_DIGITS = 18


class ExactSum:
    """The sum of one Quantity column in a grouped query: its columns, what to group by besides, and how its values are read."""

    def __init__(self, session: Session, column: Any) -> None:
        self._is_text = session.connection().dialect.name == "sqlite"
        if not self._is_text:
            self.columns: tuple[ColumnElement[Any], ...] = (type_coerce(func.sum(column), NullType()),)
            self.group_by: tuple[ColumnElement[Any], ...] = ()
            return
        text = type_coerce(column, Text)
        is_wide = func.length(text) > _SAFE_DIGITS
        number = cast(text, BigInteger)
        wide = case((is_wide, text), else_=null())
        self.columns = (
            wide,
            func.sum(case((is_wide, 0), else_=number.op("/")(_HALF))),
            func.sum(case((is_wide, 0), else_=number.op("%")(_HALF))),
        )
        self.group_by = (wide,)

    @property
    def width(self) -> int:
        """How many values of a row are this sum's."""
        return len(self.columns)

    def read(self, values: Sequence[Any], count: int) -> int:
        """The sum, from its values in a row; `count` is how many rows the group has."""
        if not self._is_text:
            return int(values[0])
        wide, high, low = values
        return int(wide) * count if wide is not None else int(high) * _HALF + int(low)
