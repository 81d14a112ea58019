"""Windows tile, quantities are whole, buckets hold what they say."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.metering import windows


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_window_is_cut_only_at_edges_inside_it() -> None:
    edges = [at("2016-12-31T00:00"), at("2017-01-01T00:00"), at("2016-12-30T10:00"), at("2017-01-01T00:00")]
    assert windows.cut(at("2016-12-30T10:00"), at("2017-01-01T05:00"), edges) == [
        (at("2016-12-30T10:00"), at("2016-12-31T00:00")),
        (at("2016-12-31T00:00"), at("2017-01-01T00:00")),
        (at("2017-01-01T00:00"), at("2017-01-01T05:00")),
    ]


def test_an_empty_window_has_no_pieces() -> None:
    assert windows.cut(at("2016-12-30T10:00"), at("2016-12-30T10:00"), []) == []


def test_month_edges_follow_the_zone_and_its_summer_time() -> None:
    edges = windows.month_edges(at("2026-02-15T00:00"), at("2026-05-15T00:00"), "Europe/Berlin")
    assert edges == [at("2026-02-28T23:00"), at("2026-03-31T22:00"), at("2026-04-30T22:00")]
    assert (edges[1] - edges[0]) == timedelta(hours=743)


def test_remembered_month_edges_equal_fresh_ones() -> None:
    remembered = windows.MonthEdges("Europe/Berlin")
    for start, end in (
        ("2026-03-01T00:00", "2026-03-02T00:00"),
        ("2026-03-31T21:00", "2026-03-31T22:00"),
        ("2026-03-31T21:00", "2026-06-01T00:00"),
        ("2025-12-31T23:00", "2026-01-31T23:00"),
    ):
        assert list(remembered.inside(at(start), at(end))) == windows.month_edges(at(start), at(end), "Europe/Berlin")


def test_four_gpus_for_half_an_hour_and_one_for_twenty_minutes_are_2_333_gpu_hours() -> None:
    noon = at("2026-11-02T12:00")
    units = windows.quantity(4 * 21_000, noon, noon + timedelta(minutes=30))
    units += windows.quantity(21_000, noon + timedelta(minutes=30), noon + timedelta(minutes=50))
    assert units * 3 == 7 * 21_000 * 3_600_000  # 2 1/3 hours


@given(
    st.integers(0, 10**20),
    st.lists(st.integers(1, 10**9), min_size=1, max_size=12),
)
def test_shares_of_a_window_sum_to_its_quantity_however_it_is_cut(quantity_base: int, lengths_ms: list[int]) -> None:
    start = at("2016-12-22T07:03:30")
    borders = [start]
    for length in lengths_ms:
        borders.append(borders[-1] + timedelta(milliseconds=length))
    whole = (start, borders[-1])
    shares = [windows.share(quantity_base, whole, piece) for piece in pairwise(borders)]
    assert sum(shares) == quantity_base
    total = sum(lengths_ms)
    assert all(
        abs(share * total - quantity_base * length) < total for share, length in zip(shares, lengths_ms, strict=True)
    )


def test_buckets_cover_the_range_and_name_local_days() -> None:
    buckets = windows.Buckets("day", "Europe/Berlin", at("2026-03-28T12:00"), at("2026-03-30T01:00"))
    assert buckets.labels == ["2026-03-28", "2026-03-29", "2026-03-30"]
    assert buckets.index_of(at("2026-03-29T21:59:59")) == 1  # the 29th has 23 hours
    assert buckets.index_of(at("2026-03-29T22:00")) == 2
    assert buckets.last_index_of(at("2026-03-28T12:00"), at("2026-03-28T23:00")) == 0
    assert buckets.last_index_of(at("2026-03-28T23:00"), at("2026-03-28T23:00")) == 1
