"""Four web processes on PostgreSQL, one of which leads: killed, another takes over, and nothing is done twice."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from sqlalchemy import func, select

from billing.assurance import selfcheck
from billing.catalog import onboarding
from billing.metering import allocations
from billing.metering.shapes import Shape
from billing.metering.tables import UsageRecord
from billing.rating.tables import Posting, RatedLine
from billing.storage.database import Database, DatabaseUrls
from billing.storage.tables import Lease

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("engine", ["postgresql"], indirect=True)]


@pytest.fixture
def portal(database: Database, database_urls: DatabaseUrls) -> Iterator[str]:
    """`plumbline run --workers 4` on the test's database, as its own process group."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "DATABASE_URL": database_urls.web,
        "PLUMBLINE_JOBS_URL": database_urls.jobs or "",
        "PLUMBLINE_OWNER_URL": database_urls.owner or "",
        "PLUMBLINE_SECRET_KEY": "t" * 40,
    }
    command = [
        sys.executable,
        "-c",
        "from portal.cli import main; main()",
        "run",
        "--port",
        str(port),
        "--workers",
        "4",
    ]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _until(lambda: _answers(f"{url}/healthz"), 180, "the portal to answer")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_leader_is_killed_another_takes_over_and_nothing_is_doubled(database: Database, portal: str) -> None:
    opened_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=30)
    with database.transaction("jobs") as session:
        account = onboarding.open_account(session, now=opened_at, code="calla")
        account_id = account.id
    with database.transaction("jobs") as session:
        allocations.open_allocation(
            session, now=opened_at, account_id=account_id, event_id="e1", external_id="a1", resource="gpu-4x", name="train",
            shape=Shape(gpus="4"), at=opened_at,
        )  # fmt: skip
    _until(lambda: _count(database, Posting.id) > 0, 180, "the first posting")
    first = _leader(database)
    os.kill(int(first.rpartition(":")[2]), signal.SIGKILL)
    killed_at = time.monotonic()
    _until(lambda: _leader(database) != first, 30, "another leader")
    took_s = time.monotonic() - killed_at
    released_at = datetime.now(UTC)
    with database.transaction("jobs") as session:
        allocations.release(
            session, now=released_at, account_id=account_id, event_id="e2", external_id="a1", at=released_at
        )
    _until(lambda: _waiting(database) == 0, 180, "everything to be rated")
    with database.reading("jobs") as session:
        used_ms = sum(session.execute(select(UsageRecord.quantity_base)).scalars()) // (4 * 21_000)
        report = selfcheck.run(session, now=datetime.now(UTC))
    expected_ms = (released_at - opened_at) // timedelta(milliseconds=1)
    assert used_ms == expected_ms  # neither a gap nor an overlap around the kill
    assert report.checked > 0
    assert not report.differences
    assert took_s < 20
    assert _answers(f"{portal}/readyz")


def _leader(database: Database) -> str:
    with database.reading("jobs") as session:
        return session.execute(select(Lease.holder).where(Lease.name == "scheduler")).scalar_one()


def _count(database: Database, column: object) -> int:
    with database.reading("jobs") as session:
        return int(session.execute(select(func.count(column))).scalar_one())


def _waiting(database: Database) -> int:
    return _count(database, UsageRecord.id) - _count(database, RatedLine.id)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def _until(holds: Callable[[], bool], limit_s: int, what: str) -> None:
    ends = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < ends, f"waited {limit_s} s for {what}"
        time.sleep(0.3)
