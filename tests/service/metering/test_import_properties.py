"""However the log is split, ordered and repeated, the usage is the same."""

import gzip
import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.accounts.tables import BillingAccount
from billing.metering import imports, summaries
from billing.metering.summaries import SummaryRow
from billing.metering.tables import UsageRecord
from billing.storage.database import Database
from tests import databases
from tests.session import run_dir

NOW = datetime(2017, 2, 1, tzinfo=UTC)
Books = tuple[dict[tuple[Any, ...], int], list[SummaryRow], list[SummaryRow]]


@pytest.fixture(scope="module")
def sample(data_dir: Path) -> list[str]:
    """120 jobs of all seven tenants, the long ones among them."""
    lines = gzip.decompress((data_dir / "slurm" / "pozidriv.log.gz").read_bytes()).decode().splitlines()
    return lines[:40] + random.Random(11).sample(lines[40:], 80)


def still_running(line: str) -> str:
    fields = line.split("|")
    fields[13], fields[14], fields[16] = "Unknown", "00:05:00", "RUNNING"
    return "|".join(fields)


def take(database: Database, lines: list[str]) -> imports.ImportCounts:
    content = "".join(f"{line}\n" for line in lines).encode()
    return imports.import_file(
        database, io.BytesIO(content), source="slurm-sacct", actor="test", now=NOW, create_accounts=True
    )


def books(database: Database) -> Books:
    record = UsageRecord
    with database.reading("jobs") as session:
        rows = session.execute(
            select(
                record.source_id,
                record.meter_code,
                record.start_at,
                record.end_at,
                BillingAccount.code,
                record.quantity_base,
            ).join(BillingAccount, BillingAccount.id == record.billing_account_id)
        ).all()
        by_day = summaries.summarize(session, by="day", per_account=True, now=NOW)
        running = summaries.summarize(session, by="day", count="running", now=NOW)
    assert len({row[:4] for row in rows}) == len(rows)
    return {tuple(row[:5]): row[5] for row in rows}, by_day, running


@pytest.fixture(scope="module")
def expected(sample: list[str]) -> Books:
    """The books of the sample taken in at once, in its order."""
    with databases.fresh("sqlite", run_dir()) as urls, databases.opened(urls) as database:
        assert take(database, sample).accepted == 120
        return books(database)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), parts=st.integers(1, 6), repeats=st.integers(0, 60), early=st.integers(0, 120))
def test_any_split_order_and_repetition_of_a_log_gives_equal_usage(
    engine: str, sample: list[str], expected: Books, seed: int, parts: int, repeats: int, early: int
) -> None:
    shuffler = random.Random(seed)
    lines = (
        sample + shuffler.choices(sample, k=repeats) + [still_running(line) for line in shuffler.sample(sample, early)]
    )
    shuffler.shuffle(lines)
    borders = sorted(shuffler.choices(range(len(lines) + 1), k=parts - 1))
    pieces = [lines[first:last] for first, last in zip([0, *borders], [*borders, len(lines)], strict=True)]
    with databases.fresh(engine, run_dir()) as urls, databases.opened(urls) as database:
        results = [take(database, piece) for piece in pieces]
        assert sum(result.accepted for result in results) == 120
        assert sum(result.rejected for result in results) == 0
        assert sum(result.read for result in results) == len(lines)
        assert books(database) == expected
