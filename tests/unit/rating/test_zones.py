"""Months tile exactly in every zone there is (trust row 6): no instant is billed twice and none falls between two periods."""

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from billing.kernel import periods

_LABELS = [f"{year}-{month:02d}" for year in range(2020, 2041) for month in range(1, 13)]
_ZONES = sorted(available_timezones())
_SAMPLE = (
    "Europe/Berlin",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
)


def require_tiled(zone: str) -> None:
    """Each month from 2020 to 2040 begins where the one before it ends, at local midnight or the first instant after it."""
    tz = ZoneInfo(zone)
    months = [periods.month(label, zone) for label in _LABELS]
    for label, this, following in zip(_LABELS, months, [*months[1:], None], strict=True):
        assert this.start_at < this.end_at
        assert following is None or this.end_at == following.start_at
        assert this.start_at.astimezone(tz).strftime("%Y-%m") == label
        assert (this.end_at - timedelta(microseconds=1)).astimezone(tz).strftime("%Y-%m") == label
    whole = sum(month.seconds for month in months)
    assert timedelta(seconds=whole) == months[-1].end_at - months[0].start_at


@pytest.mark.parametrize("zone", _SAMPLE)
def test_months_tile_where_clocks_are_changed_in_unusual_ways(zone: str) -> None:
    require_tiled(zone)


@pytest.mark.release_heavy
def test_months_tile_in_all_zones_from_2020_to_2040() -> None:
    assert len(_ZONES) >= 590
    for zone in _ZONES:
        require_tiled(zone)


@pytest.mark.parametrize(("label", "hours"), [("2026-03", 743), ("2026-10", 745), ("2026-02", 672), ("2028-02", 696)])
def test_berlin_counts_the_hours_that_its_clocks_really_show(label: str, hours: int) -> None:
    month = periods.month(label, "Europe/Berlin")
    counted, at = 0, month.start_at.astimezone(UTC)
    while at < month.end_at:
        counted, at = counted + 1, at + timedelta(hours=1)
    assert (counted, month.seconds) == (hours, hours * 3600)
