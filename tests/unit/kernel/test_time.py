"""Instants and calendar buckets; zones by name, months that tile the line exactly."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.kernel import clock, periods
from billing.kernel.errors import Invalid
from billing.kernel.periods import Period


@pytest.mark.parametrize(("label", "hours"), [("2026-03", 743), ("2026-10", 745), ("2026-11", 720), ("2024-02", 696)])
def test_berlin_months_have_their_real_hours(label: str, hours: int) -> None:
    assert periods.month(label, "Europe/Berlin").seconds == hours * 3600


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(available_timezones())), st.integers(2020, 2039), st.integers(1, 12))
def test_months_tile_in_every_zone(zone: str, year: int, number: int) -> None:
    this = periods.month(f"{year}-{number:02d}", zone)
    following = periods.month_of(this.end_at, zone)
    assert following.start_at == this.end_at
    assert periods.month_of(this.start_at, zone) == this
    assert periods.month_of(this.end_at - timedelta(microseconds=1), zone) == this


def test_a_window_is_cut_at_every_border_and_tiles() -> None:
    start, end = datetime(2016, 12, 30, 23, 30, tzinfo=UTC), datetime(2017, 1, 2, 1, tzinfo=UTC)
    pieces = list(periods.split(start, end, "day", "UTC"))
    assert [piece[0].day for piece in pieces] == [30, 31, 1, 2]
    assert pieces[0][0] == start
    assert pieces[-1][1] == end
    assert all(left[1] == right[0] for left, right in itertools.pairwise(pieces))
    assert list(periods.split(start, start, "day", "UTC")) == []


def test_labels_are_those_of_the_command_line() -> None:
    at = datetime(2016, 12, 22, 5, 17, tzinfo=UTC)
    assert periods.label_of(at, "hour", "UTC") == "2016-12-22T05:00Z"
    assert periods.label_of(at, "day", "UTC") == "2016-12-22"
    assert periods.label_of(at, "month", "UTC") == "2016-12"
    assert periods.label_of(at, "year", "UTC") == "2016"
    assert periods.label_of(datetime(2016, 12, 31, 23, 30, tzinfo=UTC), "day", "Europe/Berlin") == "2017-01-01"


def test_an_empty_or_reversed_period_cannot_be_built() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(Invalid):
        Period(start_at=at, end_at=at)


@pytest.mark.parametrize(("label", "zone"), [("9999-12", "UTC"), ("0001-01", "Asia/Tokyo"), ("2026-13", "UTC")])
def test_a_month_beyond_the_calendar_is_no_month(label: str, zone: str) -> None:
    with pytest.raises(Invalid) as refusal:
        periods.month(label, zone)
    assert refusal.value.fields["reason"] == "not_a_month"


@pytest.mark.parametrize("text", ["2016-12-22T07:03:30", "yesterday", "", "2016-13-01T00:00:00Z"])
def test_times_without_zone_or_sense_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        clock.parse_instant(text)


def test_a_declared_zone_gives_a_naive_time_its_place() -> None:
    assert clock.parse_instant("2026-07-01T12:00:00", zone="Europe/Berlin") == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_instants_are_cut_to_milliseconds_and_printed_back() -> None:
    at = clock.parse_instant("2026-07-01T12:00:00.123987+02:00")
    assert at == datetime(2026, 7, 1, 10, 0, 0, 123000, tzinfo=UTC)
    assert clock.to_rfc3339(at) == "2026-07-01T10:00:00.123Z"
    assert clock.to_rfc3339(datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))) == "2026-07-01T10:00:00Z"


def test_milliseconds_are_exact_far_from_the_epoch() -> None:
    start = datetime(2016, 12, 22, 7, 3, 30, tzinfo=UTC)
    assert clock.millis_between(start, start + timedelta(days=3650, milliseconds=7)) == 3650 * 86_400_000 + 7


@pytest.mark.parametrize("zone", ["+01:00", "Mars/Base", "", "../etc/passwd"])
def test_an_offset_or_unknown_name_is_no_zone(zone: str) -> None:
    with pytest.raises(Invalid):
        clock.get_zone(zone)
