"""CSV of any shape, read by a column map (`csv_map`). The first line names the columns; one record a line, no line breaks in cells."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import BinaryIO
from zoneinfo import ZoneInfo

from billing.catalog.items import ON_DEMAND
from billing.catalog.meters import METERS
from billing.kernel import canonical, clock
from billing.kernel.errors import Invalid
from billing.kernel.rounding import half_up_fraction
from billing.metering import files
from billing.metering.sources import csv_map, reading
from billing.metering.sources.csv_map import Map, Measure
from billing.metering.sources.port import EventFacts, EventLine, Parsed, Refused, Reject

NAME = "csv"
_MAX_NUMBER = 60


class MappedCsv:
    """Reads one file by its map. `zone` and `epoch` win over the map's own."""

    name = NAME

    def __init__(self, made: Map, *, zone: str | None = None, epoch: datetime | None = None) -> None:
        """Raises Invalid for an unknown zone."""
        self._map = made
        name = zone or made.zone
        self._zone = clock.get_zone(name) if name is not None else None
        self._epoch = epoch or (clock.parse_instant(made.epoch, field="epoch") if made.epoch is not None else None)

    def read(self, stream: BinaryIO) -> Iterator[Parsed]:
        """Each line as an event, or why not; ignored lines are passed over. Raises Invalid at once where the file lacks a column of
        the map, BrokenInput where it breaks off.
        """
        lines = files.read_lines(stream)
        header = next(lines, None)
        if header is None:
            return iter(())
        if isinstance(header[1], Reject):
            raise Invalid(field="map", value=header[1].detail, reason="map_column_missing")
        names = _cells(header[1].removeprefix("\ufeff"), self._map.delimiter)
        columns = [name.strip() for name in names or []]
        return self._rows(_Row.of(self._map, columns, self._zone, self._epoch), lines)

    def _rows(self, row: "_Row", lines: Iterator[tuple[int, str | Reject]]) -> Iterator[Parsed]:
        for number, line in lines:
            if isinstance(line, Reject):
                yield number, line.raw, line
                continue
            try:
                told = row.line(number, line)
            except Refused as refused:
                yield number, line, Reject(number, refused.source_id or "", refused.reason, refused.detail, line)
            else:
                if told is not None:
                    yield number, line, told


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A map, bound to the columns of one file."""

    made: Map
    width: int
    measures: list[Measure]
    cells: dict[str, int]
    tags: list[tuple[str, int]]
    id_columns: tuple[int, ...]
    open_when: list[tuple[int, frozenset[str]]]
    ignore_when: list[tuple[int, frozenset[str]]]
    zone: ZoneInfo | None
    epoch: datetime | None

    @classmethod
    def of(cls, made: Map, header: list[str], zone: ZoneInfo | None, epoch: datetime | None) -> "_Row":
        """Raises Invalid for a column that the file does not have."""
        columns = made.columns
        named = {name: getattr(columns, name) for name in columns.__struct_fields__}
        ids = [made.id] if isinstance(made.id, str) else made.id or []
        return cls(
            made=made,
            width=len(header),
            measures=csv_map.measures(made, header),
            cells={name: csv_map.place(header, column) for name, column in named.items() if column is not None},
            tags=[(tag, csv_map.place(header, column)) for tag, column in sorted(made.tags.items())],
            id_columns=tuple(csv_map.place(header, column) for column in ids),
            open_when=[(csv_map.place(header, name), frozenset(values)) for name, values in made.open.items()],
            ignore_when=[(csv_map.place(header, name), frozenset(values)) for name, values in made.ignore.items()],
            zone=zone,
            epoch=epoch,
        )

    def line(self, number: int, line: str) -> EventLine | None:
        """What one line says; None for one that is ignored. Raises Refused."""
        cells = _cells(line, self.made.delimiter)
        if cells is None:
            raise Refused("bad_csv", "A quote is not closed on its line, or stands inside a cell.")
        if len(cells) != self.width:
            raise Refused("wrong_field_count", f"{len(cells)} cells, expected {self.width}")
        if any(cells[place] in values for place, values in self.ignore_when):
            return None
        source_id = self._id(number, cells)
        try:
            return self._facts(source_id, cells)
        except Refused as refused:
            refused.source_id = source_id
            raise

    def _id(self, number: int, cells: Sequence[str]) -> str:
        if self.id_columns:
            source_id = "/".join(cells[place] for place in self.id_columns)
            if not source_id.strip("/"):
                raise Refused("missing_id", "The line has no id.")
            return source_id
        if self.made.id_from == "line":
            return f"line:{number}"
        return f"row:{canonical.digest('csv-row/1', *cells)[:40]}"

    def _facts(self, source_id: str, cells: Sequence[str]) -> EventLine:
        is_open = any(cells[place] in values for place, values in self.open_when)
        account = self._text("account", cells)
        if is_open:
            return EventLine(account, _open_facts(self.made.name, source_id), is_open=True)
        start_at, end_at = self._window(cells)
        amounts = [(measure.meter_code, _amount(measure, cells, start_at, end_at)) for measure in self.measures]
        variant = self._text("variant", cells)
        facts = EventFacts(
            source=f"{NAME}/{self.made.name}",
            source_id=source_id,
            account_id="",
            meter_code="",
            quantity_base=0,
            start_at=start_at,
            end_at=end_at,
            project_code=self._text("project", cells),
            member_handle=self._text("submitter", cells),
            resource=self._text("resource", cells) or "",
            tags=tuple((tag, cells[place]) for tag, place in self.tags if cells[place]),
            correlation_id=self._text("correlation_id", cells),
            variant=reading.model(variant) if variant else "",
            mode=reading.mode(self._text("mode", cells) or ON_DEMAND),
            route=self._text("route", cells),
            route_kind=self._text("route_kind", cells),
        )
        return EventLine(account, reading.of_many(facts, amounts))

    def _text(self, name: str, cells: Sequence[str]) -> str | None:
        place = self.cells.get(name)
        text = cells[place] if place is not None else getattr(self.made.constants, name, None)
        return text or None

    def _window(self, cells: Sequence[str]) -> tuple[datetime, datetime]:
        if "day" in self.cells:
            return reading.utc_day(self._instant("day", cells))
        start_at = self._instant("start", cells)
        if "end" in self.cells:
            end_at = self._instant("end", cells)
        elif "duration_s" in self.cells:
            end_at = _later(start_at, _number(cells[self.cells["duration_s"]]))
        else:
            end_at = start_at
        if end_at < start_at:
            raise Refused("end_before_start", "the end lies before the start")
        return start_at, end_at

    def _instant(self, name: str, cells: Sequence[str]) -> datetime:
        text = cells[self.cells[name]].strip()
        if self.epoch is not None:
            return _later(self.epoch, _number(text))
        try:
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                if self.zone is None:
                    raise Refused("naive_time", f"{name} has no offset: declare a zone in the map or with --zone")
                at = at.replace(tzinfo=self.zone)
            return at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise Refused("bad_time", f"{name} is {text[:60]!a}, expected such as 2026-11-21T10:00:00Z") from None


def _cells(line: str, delimiter: str) -> list[str] | None:
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return None


def _amount(measure: Measure, cells: Sequence[str], start_at: datetime, end_at: datetime) -> int:
    value = measure.product.factor
    for place in measure.product.columns:
        value *= _number(cells[place])
    if value < 0:
        raise Refused("negative_quantity", f"{measure.meter_code} is negative")
    if measure.is_held:
        return reading.held(value, start_at, end_at)
    if value.denominator != 1 and METERS[measure.meter_code].base_per_unit == 1:
        raise Refused("not_whole_units", f"The meter {measure.meter_code} counts whole units.")
    return half_up_fraction(value)


def _number(text: str) -> Fraction:
    text = text.strip()
    try:
        number = Decimal(text) if len(text) <= _MAX_NUMBER and "_" not in text else None
    except InvalidOperation:
        number = None
    if number is None:
        raise Refused("bad_number", f"{text[:60]!a} is no plain number")
    return reading.fraction(number)


def _later(at: datetime, seconds: Fraction) -> datetime:
    try:
        return at + timedelta(milliseconds=int(seconds * 1000))
    except OverflowError:
        raise Refused("bad_time", "the time lies too far away") from None


_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def _open_facts(name: str, source_id: str) -> EventFacts:
    """Of usage that has not ended only its id is kept in mind."""
    return EventFacts(f"{NAME}/{name}", source_id, "", "", 0, _NO_TIME, _NO_TIME)
