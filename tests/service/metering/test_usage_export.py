"""The usage file: read from the database as it is sent, a thousand records at a time, on both engines."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from billing.exports import csv
from billing.exports.usage import usage_csv
from billing.metering import usage
from billing.metering.usage import UsageFilter
from billing.storage.database import Database
from tests.bench import world

ROWS = 2_500


@pytest.fixture
def account_id(database: Database) -> str:
    world.install(database)
    (account_id,) = world.open_accounts(database, 1)
    world.add_usage(database, account_id, ROWS, projects=3)
    return account_id


def test_the_file_says_of_each_record_what_the_page_says(database: Database, account_id: str) -> None:
    with database.reading() as session:
        lines = b"".join(usage_csv(session, account_id)).decode().split("\r\n")
        shown = usage.list_usage(session, account_id, limit=ROWS).rows
    expected = [
        csv.line(
            (
                row.id,
                "bench-0",
                row.meter_code,
                row.unit,
                row.quantity,
                row.quantity_base,
                row.start_at,
                row.end_at,
                row.source,
                row.source_id,
                row.resource,
                row.project_code,
                row.submitter,
                row.allocation_id,
                None,
                row.record_hash,
            )
        ).removesuffix("\r\n")
        for row in sorted(shown, key=lambda row: row.usage_seq)
    ]
    assert lines[1:-1] == expected


def test_the_first_chunk_is_there_before_the_rest_is_read(database: Database, account_id: str) -> None:
    with database.reading() as session:
        statements = []
        event.listen(session.connection(), "before_cursor_execute", lambda *args: statements.append(args[2]))
        export = usage_csv(session, account_id)
        chunks = iter(export)
        first = next(chunks)
        assert first.count(b"\r\n") == 1 + 1_000
        assert export.manifest.count == 1_000
        assert [chunk.count(b"\r\n") for chunk in chunks] == [1_000, 500]
        assert len([text for text in statements if "usage_records" in text]) == 1
    assert (export.manifest.count, export.manifest.is_complete) == (ROWS, True)


def test_a_filter_leaves_records_out_and_an_empty_file_has_its_heads(database: Database, account_id: str) -> None:
    with database.reading() as session:
        some = usage_csv(session, account_id, UsageFilter(project_code="project-1", meter_code="gpu_hour"))
        wanted = [
            row for row in usage.list_usage(session, account_id, limit=ROWS).rows if row.project_code == "project-1"
        ]
        length = b"".join(some).count(b"\r\n")
        ahead = datetime(2027, 1, 1, tzinfo=UTC)
        none = usage_csv(session, account_id, UsageFilter(from_at=ahead, to_at=ahead + timedelta(days=1)))
        assert b"".join(none).count(b"\r\n") == 1
    assert 0 < length - 1 == len([row for row in wanted if row.meter_code == "gpu_hour"]) == some.manifest.count
