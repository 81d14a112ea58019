"""Rated lines as pages read them: filters, sorts, isolation, and one line with its evidence both ways (RT4)."""

from dataclasses import fields
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import select

from billing.accounts.tables import Project
from billing.kernel.errors import Invalid, NotFound
from billing.rating import evidence, lines, periods
from billing.rating.lines import LineFilters
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, OCTOBER, Use

GPU_HOUR = 21_000 * 3_600_000


@pytest.fixture
def account_id(database: Database) -> str:
    """Six rated lines, of which the last two are not posted."""
    account_id = world.open_account(database)
    world.use(
        database,
        account_id,
        Use(3, project="a"),
        Use(GPU_HOUR, project="b", meter="gpu_hour", at=OCTOBER + timedelta(days=2)),
        Use(10, at=NOVEMBER),
        Use(2, project="a", at=OCTOBER + timedelta(days=1)),
    )
    world.rate(database, account_id)
    world.post(database, account_id)
    world.use(
        database,
        account_id,
        Use(1, project="a", at=NOVEMBER),
        Use(2**40 * GPU_HOUR // 1000, meter="gpu_hour", at=NOVEMBER),
    )
    world.rate(database, account_id)
    return account_id


def seqs(database: Database, account_id: str, filters: LineFilters | None = None, sort: str = "line") -> list[int]:
    with database.reading() as session:
        page = lines.list_lines(session, account_id, filters, sort=sort)
        assert page.total == len(page.rows)
        return [row.line_seq for row in page.rows]


def test_the_newest_line_comes_first(database: Database, account_id: str) -> None:
    with database.reading() as session:
        page = lines.list_lines(session, account_id)
    assert [row.line_seq for row in page.rows] == [6, 5, 4, 3, 2, 1]
    gpu = page.rows[4]
    assert (gpu.unit, gpu.quantity, gpu.amount_micro, gpu.currency) == ("GPU-hour", Fraction(1), 295_000_000, "USD")
    assert (gpu.sku_code, gpu.project_code, gpu.period_label) == ("compute/gpu_hour", "b", "2026-10")
    assert [row.is_posted for row in page.rows] == [False, False, True, True, True, True]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("line", [1, 2, 3, 4, 5, 6]),
        ("start", [4, 2, 1, 3, 5, 6]),
        ("-start", [6, 5, 3, 1, 2, 4]),
        ("quantity", [5, 4, 1, 3, 2, 6]),
        ("-amount", [6, 2, 3, 1, 4, 5]),
    ],
)
def test_sorts_are_over_the_whole_set_and_by_number(
    database: Database, account_id: str, sort: str, expected: list[int]
) -> None:
    assert seqs(database, account_id, sort=sort) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (LineFilters(period_label="2026-10"), [1, 2, 4]),
        (LineFilters(period_label="1999-01"), []),
        (LineFilters(meter_code="gpu_hour"), [2, 6]),
        (LineFilters(from_at=OCTOBER + timedelta(days=2), to_at=NOVEMBER), [1, 2]),
        (LineFilters(meter_code="query", period_label="2026-11"), [3, 5]),
        (LineFilters(sku_code="compute/gpu_hour"), [2, 6]),
        (LineFilters(project_code="a"), [1, 4, 5]),
        (LineFilters(project_code="a", sku_code="compute/gpu_hour"), []),
    ],
)
def test_filters_narrow_the_list_and_its_total(
    database: Database, account_id: str, filters: LineFilters, expected: list[int]
) -> None:
    assert seqs(database, account_id, filters) == expected


def test_no_filter_is_left_unread(database: Database, account_id: str) -> None:
    at = OCTOBER - timedelta(days=900)
    for field in fields(LineFilters):
        nothing: Any = {"from_at": at + timedelta(days=9000), "to_at": at}.get(field.name, "no-such-thing")
        assert seqs(database, account_id, LineFilters(**{field.name: nothing})) == [], field.name


def test_lines_are_found_by_project_charge_draft_transaction_and_usage(database: Database, account_id: str) -> None:
    with database.transaction("jobs") as session:
        project = session.scalars(select(Project.id).where(Project.code == "a")).one()
        first = lines.list_lines(session, account_id, sort="line").rows[0]
        detail = evidence.get_line(session, account_id, first.id)
        assert detail.posting is not None
        periods.close_charges(session, [first.charge_id], "drf_1")
    assert seqs(database, account_id, LineFilters(project_id=project)) == [1, 4, 5]
    assert seqs(database, account_id, LineFilters(charge_id=first.charge_id)) == [1, 4]
    assert seqs(database, account_id, LineFilters(draft_id="drf_1")) == [1, 4]
    assert seqs(database, account_id, LineFilters(member_id=detail.attribution.member_id)) == [1, 2, 4, 5]
    assert seqs(database, account_id, LineFilters(usage_record_id=first.usage_record_id)) == [1]
    # October's transaction holds three charges: queries of a, GPU of b; November's another.
    assert seqs(database, account_id, LineFilters(transaction_id=detail.posting.transaction_id)) == [1, 2, 4]


def test_pages_do_not_overlap_and_the_total_counts_all(database: Database, account_id: str) -> None:
    with database.reading() as session:
        first = lines.list_lines(session, account_id, sort="line", page=1, page_size=4)
        second = lines.list_lines(session, account_id, sort="line", page=2, page_size=4)
        beyond = lines.list_lines(session, account_id, sort="line", page=9, page_size=4)
    assert [row.line_seq for row in (*first.rows, *second.rows)] == [1, 2, 3, 4, 5, 6]
    assert (first.total, second.total, beyond.total, beyond.rows) == (6, 6, 6, ())


@pytest.mark.parametrize("sort", ["", "rowid", "line;--", "--line", "amount desc", "-"])
def test_other_sorts_are_refused(database: Database, account_id: str, sort: str) -> None:
    with database.reading() as session, pytest.raises(Invalid) as refusal:
        lines.list_lines(session, account_id, sort=sort)
    assert refusal.value.fields["field"] == "sort"


def test_another_account_sees_nothing_of_it(database: Database, account_id: str) -> None:
    other = world.open_account(database, code="other")
    with database.reading() as session:
        line = lines.list_lines(session, account_id).rows[0]
        assert lines.list_lines(session, other).rows == ()
        assert lines.find_line_of_usage(session, other, line.usage_record_id) is None
        with pytest.raises(NotFound):
            evidence.get_line(session, other, line.id)
        with pytest.raises(NotFound):
            evidence.get_line(session, account_id, "rtl_none")


def test_a_line_names_all_it_stands_on_and_all_that_stands_on_it(database: Database, account_id: str) -> None:
    with database.reading() as session:
        row = lines.list_lines(session, account_id, LineFilters(meter_code="gpu_hour"), sort="line").rows[0]
        detail = evidence.get_line(session, account_id, row.id)
        assert lines.find_line_of_usage(session, account_id, detail.usage.id) == row.id
    assert detail.is_reproduced
    assert (detail.usage.source, detail.usage.quantity_base) == ("test", GPU_HOUR)
    assert (detail.attribution.project_code, detail.attribution.member_handle) == ("b", "ann")
    assert (detail.price.model, detail.price.parameters) == ("per_unit", {"unit_price": "2.95"})
    assert detail.derivation.amount_micro == detail.row.amount_micro == 295_000_000
    assert detail.posting is not None
    assert (detail.posting.increment_minor, detail.posting.posted_minor, detail.charge_posted_minor) == (295, 295, 295)
    assert detail.row.draft_id is None


def test_a_line_that_is_not_posted_has_no_posting_yet(database: Database, account_id: str) -> None:
    with database.reading() as session:
        newest = lines.list_lines(session, account_id).rows[0]
        assert evidence.get_line(session, account_id, newest.id).posting is None
