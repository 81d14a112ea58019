"""Bulk inserts store what they are given, on both engines, whatever characters it holds."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from billing.kernel.ids import new_id, new_ids
from billing.metering.tables import UsageReject
from billing.storage import bulk
from billing.storage.database import Database

NOW = datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=UTC)
COLUMNS = ["id", "import_id", "source", "line_number", "source_id", "reason", "detail", "raw", "rejected_at"]
HOSTILE = [
    "back\\slash",
    "\\N",
    "tab\there",
    "two\nlines",
    "\r\n",
    "",
    "quote ' \" ;",
    "💥 مرحبا",
    "\\.",
    "%s ? :x",
    "a" * 10_000,
]


@pytest.mark.parametrize("copies", [1, 300])
@pytest.mark.parametrize("role", ["web", "jobs"])
def test_every_text_comes_back_as_it_went_in(database: Database, copies: int, role: str) -> None:
    texts = HOSTILE * copies
    made = [
        (row_id, None, "test", number, None if number % 2 else text, "why", text, text, NOW)
        for number, (row_id, text) in enumerate(zip(new_ids("rej", len(texts)), texts, strict=True))
    ]
    with database.transaction(role) as session:  # type: ignore[arg-type]
        assert bulk.insert_rows(session, UsageReject.__table__, COLUMNS, iter(made)) == len(made)  # type: ignore[arg-type]
    with database.reading() as session:
        rows = session.execute(
            select(*(UsageReject.__table__.c[name] for name in COLUMNS)).order_by(UsageReject.id)
        ).all()
    assert [tuple(row) for row in rows] == made


@pytest.mark.parametrize("count", [2, 200])
def test_a_key_that_exists_is_an_integrity_error_on_both_engines(database: Database, count: int) -> None:
    row_id = new_id("rej")
    rows = [(row_id, None, "test", 1, None, "why", "", "", NOW)] * count
    with pytest.raises(IntegrityError), database.transaction("jobs") as session:
        bulk.insert_rows(session, UsageReject.__table__, COLUMNS, rows)  # type: ignore[arg-type]
    with database.reading() as session:
        assert session.execute(select(UsageReject.id)).all() == []


def test_a_naive_time_is_refused(database: Database) -> None:
    rows = [(new_id("rej"), None, "test", 1, None, "why", "", "", NOW.replace(tzinfo=None))]
    with pytest.raises(ValueError, match="naive"), database.transaction("jobs") as session:
        bulk.insert_rows(session, UsageReject.__table__, COLUMNS, rows)  # type: ignore[arg-type]


def test_no_rows_are_no_work(database: Database) -> None:
    with database.transaction("jobs") as session:
        assert bulk.insert_rows(session, UsageReject.__table__, COLUMNS, []) == 0  # type: ignore[arg-type]
