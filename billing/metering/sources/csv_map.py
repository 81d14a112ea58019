"""The column map of a CSV file (TOML): what its columns mean. `docs/usage-import.md` describes it for people.

A map that cannot be followed is refused before a line is read, with the key and the reason.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct, ValidationError, convert

from billing.catalog.meters import METERS, USAGE
from billing.kernel import clock
from billing.kernel.errors import Invalid
from billing.metering.sources import units

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
MAX_BYTES = 65_536


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """Names of columns. `start` alone is an instant; `day` stands for the whole UTC day that holds its time."""

    account: str | None = None
    project: str | None = None
    submitter: str | None = None
    resource: str | None = None
    variant: str | None = None
    mode: str | None = None
    route: str | None = None
    route_kind: str | None = None
    correlation_id: str | None = None
    start: str | None = None
    end: str | None = None
    duration_s: str | None = None
    day: str | None = None


class Constants(Struct, frozen=True, forbid_unknown_fields=True):
    """What is the same on every line."""

    account: str | None = None
    project: str | None = None
    submitter: str | None = None
    resource: str | None = None
    variant: str | None = None
    mode: str | None = None
    route: str | None = None
    route_kind: str | None = None


class Usage(Struct, frozen=True, forbid_unknown_fields=True):
    """One meter: either a `quantity`, or a `rate` that is held from start to end. Both are products of columns and numbers."""

    meter: str
    quantity: str | None = None
    rate: str | None = None
    unit: str = ""


class Map(Struct, frozen=True, forbid_unknown_fields=True):
    """A column map as it is written."""

    name: str
    columns: Columns
    usage: list[Usage]
    id: str | list[str] | None = None
    id_from: Literal["row", "line"] | None = None
    zone: str | None = None
    epoch: str | None = None
    delimiter: str = ","
    constants: Constants = Constants()
    tags: dict[str, str] = {}
    open: dict[str, list[str]] = {}
    ignore: dict[str, list[str]] = {}


@dataclass(frozen=True, kw_only=True)
class Product:
    """A constant times the numbers in some columns."""

    factor: Fraction
    columns: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How one meter's base units come from a line: the product itself, or for `is_held` the product for each hour of its window."""

    meter_code: str
    product: Product
    is_held: bool


def read(text: str) -> Map:
    """The map of a TOML text. Raises Invalid(field="map") with the key and the reason."""
    if len(text) > MAX_BYTES:
        raise Invalid(field="map", limit=MAX_BYTES, reason="map_too_long")
    try:
        made = convert(tomllib.loads(text), Map)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(field="map", value=str(error)[:200], reason="map_not_toml") from None
    except ValidationError as error:
        raise Invalid(field="map", value=str(error)[:200], reason="map_wrong_key") from None
    except (RecursionError, ValueError):  # brackets nested by the thousand, an integer beyond what can be held
        raise Invalid(field="map", value="too deep, or too large a number", reason="map_not_toml") from None
    _check(made)
    return made


def measures(made: Map, header: Sequence[str]) -> list[Measure]:
    """The meters of a map over the columns of a file. Raises Invalid for a column that the file does not have."""
    return [
        Measure(
            meter_code=usage.meter,
            product=_product(usage.quantity or usage.rate or "", header, _unit(usage)),
            is_held=usage.rate is not None,
        )
        for usage in made.usage
    ]


def place(header: Sequence[str], column: str) -> int:
    """Which column that is, from 0. Raises Invalid(reason="map_column_missing")."""
    if header.count(column) != 1:
        raise Invalid(field="map", value=column[:80], reason="map_column_missing")
    return header.index(column)


def _check(made: Map) -> None:
    if not _NAME.fullmatch(made.name):
        raise _wrong("name", made.name)
    if (made.id is None) == (made.id_from is None) or made.id in ([], ""):
        raise _wrong("id", "give either id (a column or several) or id_from (row or line)")
    if len(made.delimiter) != 1 or made.delimiter in '"\r\n':
        raise _wrong("delimiter", made.delimiter)
    if not made.usage:
        raise _wrong("usage", "at least one [[usage]] names a meter")
    for name in Constants.__struct_fields__:
        if getattr(made.columns, name) is not None and getattr(made.constants, name) is not None:
            raise _wrong(name, "is both a column and a constant")
    if made.zone is not None:
        clock.get_zone(made.zone)
    if made.epoch is not None:
        clock.parse_instant(made.epoch, field="epoch")
    _check_times(made.columns)
    has_window = any((made.columns.end, made.columns.duration_s, made.columns.day))
    seen: set[str] = set()
    for usage in made.usage:
        _check_usage(usage, has_window, seen)


def _check_times(columns: Columns) -> None:
    if (columns.start is None) == (columns.day is None):
        raise _wrong("columns", "give either start or day")
    if columns.end is not None and columns.duration_s is not None:
        raise _wrong("columns", "give either end or duration_s")
    if columns.day is not None and (columns.end is not None or columns.duration_s is not None):
        raise _wrong("columns", "a day has neither end nor duration_s")


def _check_usage(usage: Usage, has_window: bool, seen: set[str]) -> None:
    if usage.meter not in METERS or METERS[usage.meter].kind != USAGE:
        raise Invalid(field="map", value=ascii(usage.meter[:40]), reason="unknown_meter")
    if usage.meter in seen:
        raise _wrong("usage", f"{usage.meter} is told twice")
    seen.add(usage.meter)
    if (usage.quantity is None) == (usage.rate is None):
        raise _wrong("usage", f"{usage.meter} needs either quantity or rate")
    if usage.rate is not None and not has_window:
        raise _wrong("usage", f"the rate of {usage.meter} needs columns.end, columns.duration_s or columns.day")
    _unit(usage)


def _unit(usage: Usage) -> Fraction:
    """Base units in one of what the line tells; for a rate, in an hour of it."""
    known = units.held(usage.meter) if usage.rate is not None else units.amounts(usage.meter)
    if usage.unit not in known:
        names = ", ".join(sorted(name for name in known if name)) or "no unit"
        raise _wrong("unit", f"{usage.meter} is told in {names}")
    return known[usage.unit]


def _product(text: str, header: Sequence[str], factor: Fraction) -> Product:
    columns = []
    for part in text.split("*"):
        name = part.strip()
        if _NUMBER.fullmatch(name) and name not in header:
            factor *= Fraction(Decimal(name))
        else:
            columns.append(place(header, name))
    return Product(factor=factor, columns=tuple(columns))


def _wrong(key: str, why: str) -> Invalid:
    return Invalid(field="map", value=f"{key}: {why}"[:200], reason="map_wrong_key")
