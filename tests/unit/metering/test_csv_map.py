"""What a column map makes of the lines of a CSV, and which maps cannot be followed."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing.kernel.errors import Invalid
from billing.metering.sources import csv_map
from billing.metering.sources.mapped_csv import MappedCsv
from billing.metering.sources.port import EventLine, Reject

MAP = """
name = "pods"
id = "name"
zone = "Europe/Berlin"
[columns]
account = "tenant"
start = "begin"
end = "stop"
[[usage]]
meter = "gpu_hour"
rate = "num_gpu * gpu_milli"
unit = "milligpu"
[open]
state = ["RUNNING"]
[ignore]
state = ["TEST"]
"""
HEADER = "name,tenant,num_gpu,gpu_milli,begin,stop,state\n"


def read(lines: str, text: str = MAP, **options: object) -> list[EventLine | Reject]:
    reader = MappedCsv(csv_map.read(text), **options)  # type: ignore[arg-type]
    return [told for _, _, told in reader.read(io.BytesIO(lines.encode())) if isinstance(told, EventLine | Reject)]


def one(line: str, text: str = MAP, header: str = HEADER) -> EventLine:
    (told,) = read(header + line, text)
    assert isinstance(told, EventLine), told
    return told


def test_a_line_is_a_product_of_columns_held_over_its_window_in_the_maps_zone() -> None:
    told = one("p1,calla,2,500,2026-07-01 00:00:00,2026-07-01 01:00:00,DONE")
    assert told.account_code == "calla"
    assert told.facts.start_at == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert told.facts.quantity_base == 21_000 * 3_600_000  # two halves of a GPU for an hour
    assert (told.facts.source, told.facts.source_id) == ("csv/pods", "p1")


def test_quotes_offsets_spaces_and_crlf_are_read() -> None:
    told = one('"p,1",calla, 1 ,1000,2026-07-01T00:00:00+02:00,2026-06-30T23:00:00Z,DONE\r\n')
    assert told.facts.source_id == "p,1"
    assert told.facts.quantity_base == 21_000 * 3_600_000


def test_states_say_what_is_open_and_what_is_no_usage_at_all() -> None:
    lines = "p1,calla,1,1000,,,RUNNING\np2,calla,1,1000,,,TEST\n"
    (told,) = read(HEADER + lines)
    assert isinstance(told, EventLine)
    assert told.is_open
    assert told.facts.source_id == "p1"


def test_an_epoch_makes_times_of_seconds() -> None:
    text = MAP.replace('zone = "Europe/Berlin"', 'epoch = "2023-01-01T00:00:00Z"')
    told = one("p1,calla,1,1000,0,1800.5,DONE", text)
    assert (told.facts.start_at, told.facts.end_at.minute, told.facts.end_at.microsecond) == (
        datetime(2023, 1, 1, tzinfo=UTC), 30, 500_000,
    )  # fmt: skip


def test_the_hash_of_a_row_names_it_and_equal_rows_are_the_same() -> None:
    text = MAP.replace('id = "name"', 'id_from = "row"')
    line = "p1,calla,1,1000,2026-07-01,2026-07-02,DONE\n"
    first, second, third = read(HEADER + line + line + line.replace("p1", "p2"), text)
    assert isinstance(first, EventLine)
    assert isinstance(second, EventLine)
    assert isinstance(third, EventLine)
    assert first.facts == second.facts
    assert third.facts.source_id != first.facts.source_id


@pytest.mark.parametrize(
    ("unit", "quantity", "base"),
    [("gpu_second", "32", 32 * 21_000 * 1000), ("gpu_hour", "0.5", 21_000 * 1_800_000), ("", "1", 21_000 * 3_600_000)],
)
def test_a_quantity_is_told_in_its_unit(unit: str, quantity: str, base: int) -> None:
    text = f'name = "x"\nid = "name"\nzone = "UTC"\n[columns]\nstart = "at"\n[[usage]]\nmeter = "gpu_hour"\nquantity = "n"\nunit = "{unit}"'
    told = one(f"a,{quantity},2026-07-01", text, "name,n,at\n")
    assert told.facts.quantity_base == base
    assert told.facts.start_at == told.facts.end_at


def test_decimal_and_binary_gigabytes_are_not_confused() -> None:
    text = 'name = "x"\nid = "name"\nzone = "UTC"\n[columns]\nday = "at"\n[[usage]]\nmeter = "gib_hour"\nrate = "n"\nunit = "gb"'
    told = one("a,1,2026-07-01", text, "name,n,at\n")
    assert told.facts.quantity_base == 10**9 * 86_400


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("p1,calla,x,1000,2026-07-01,2026-07-02,DONE", "bad_number"),
        ("p1,calla,1e999,1000,2026-07-01,2026-07-02,DONE", "not_a_number"),
        ("p1,calla,NaN,1000,2026-07-01,2026-07-02,DONE", "not_a_number"),
        ("p1,calla,-1,1000,2026-07-01,2026-07-02,DONE", "negative_quantity"),
        ("p1,calla,1,1000,2026-07-02,2026-07-01,DONE", "end_before_start"),
        ("p1,calla,1,1000,yesterday,2026-07-01,DONE", "bad_time"),
        ("p1,calla,1,1000,,2026-07-01,DONE", "bad_time"),
        (",calla,1,1000,2026-07-01,2026-07-02,DONE", "missing_id"),
        ("p1,calla,1,1000,2026-07-01", "wrong_field_count"),
        ('"p1,calla,1,1000,2026-07-01,2026-07-02,DONE', "bad_csv"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(line: str, reason: str) -> None:
    (told,) = read(HEADER + line)
    assert isinstance(told, Reject)
    assert (told.reason, told.line_number) == (reason, 2)


def test_a_time_without_offset_needs_a_declared_zone() -> None:
    text = MAP.replace('zone = "Europe/Berlin"', "")
    line = HEADER + "p1,calla,1,1000,2026-07-01,2026-07-02,DONE"
    (told,) = read(line, text)
    assert isinstance(told, Reject)
    assert told.reason == "naive_time"
    assert isinstance(read(line, text, zone="Asia/Tokyo")[0], EventLine)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[[usage]]", "[[usage", "map_not_toml"),
        ("[[usage]]", "deep = " + "[" * 5_000 + "\n[[usage]]", "map_not_toml"),
        ("[[usage]]", "long = " + "9" * 5_000 + "\n[[usage]]", "map_not_toml"),
        ('id = "name"', "", "map_wrong_key"),
        ('id = "name"', 'id = "name"\nid_from = "row"', "map_wrong_key"),
        ('name = "pods"', 'name = "../x"', "map_wrong_key"),
        ('name = "pods"', 'name = "pods"\ncolour = "red"', "map_wrong_key"),
        ('end = "stop"', "", "map_wrong_key"),
        ('end = "stop"', 'end = "stop"\nduration_s = "stop"', "map_wrong_key"),
        ('meter = "gpu_hour"', 'meter = "beer"', "unknown_meter"),
        ('meter = "gpu_hour"', 'meter = "plan_fee"', "unknown_meter"),
        ('unit = "milligpu"', 'unit = "litre"', "map_wrong_key"),
        ('rate = "num_gpu', 'quantity = "1"\nrate = "num_gpu', "map_wrong_key"),
        ('zone = "Europe/Berlin"', 'zone = "+01:00"', "unknown_zone"),
        ('start = "begin"', 'start = "started"', "map_column_missing"),
        ('account = "tenant"', 'account = "tenant"\n[constants]\naccount = "x"', "map_wrong_key"),
    ],
)
def test_a_map_that_cannot_be_followed_is_refused_before_a_line_is_read(old: str, new: str, reason: str) -> None:
    assert old in MAP
    with pytest.raises(Invalid) as refused:
        read(HEADER, MAP.replace(old, new))
    assert refused.value.fields["reason"] == reason


def test_the_map_that_the_documentation_shows_can_be_followed() -> None:
    page = (Path(__file__).parents[3] / "docs" / "usage-import.md").read_text()
    made = csv_map.read(page.partition("```toml\n")[2].partition("```")[0])
    assert [usage.meter for usage in made.usage] == ["gpu_hour", "token_input"]
