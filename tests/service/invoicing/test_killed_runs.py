"""A month's drafts and issues, killed at any point by SIGKILL and taken up again: no gap, no double, nothing by halves."""

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from billing.assurance import reconciliation
from billing.invoicing import batches, invoices, issue
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.kernel.errors import Refusal
from billing.storage.database import Database, DatabaseUrls
from tests.service.invoicing import children, world
from tests.service.invoicing.world import NOW, OCTOBER, Use

_ACCOUNTS, _KILLS = 16, 3


def killed_at_any_point(act: Callable[..., Any], urls: DatabaseUrls, report: Path, *, seed: int) -> None:
    """Start the act in a process of its own several times, each time killed a moment after it has begun to work."""
    random.seed(seed)
    for _ in range(_KILLS):
        child = get_context("spawn").Process(target=act, args=(urls, str(report)))
        child.start()
        assert child.pid is not None
        time.sleep(1.2 + random.random())  # anywhere between its first and its last transaction
        os.kill(child.pid, signal.SIGKILL)
        child.join(30)
        assert child.exitcode == -signal.SIGKILL


def numbers_of(database: Database) -> list[tuple[str, Any]]:
    with database.reading() as session:
        rows = invoices.list_invoices(session, now=NOW, period_label=OCTOBER, sort="number", limit=1_000)
    return [(str(row.number), row.issued_on) for row in rows]


@pytest.mark.merge_medium
def test_drafts_and_issues_of_a_month_killed_again_and_again_end_whole(
    database: Database, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    for number in range(_ACCOUNTS):
        world.used(database, world.open_account(database, f"acme-{number:02d}"), Use(1_000 + number))
    killed_at_any_point(children.draft_all, database_urls, tmp_path / "drafts", seed=1)
    steps.invoices(JobContext(database=database, providers={}, now=NOW))
    with database.reading() as session:
        drafted = invoices.list_invoices(session, now=NOW, period_label=OCTOBER, limit=1_000)
    assert sorted(row.net_minor for row in drafted) == [1_000 + number for number in range(_ACCOUNTS)]
    for act in ("approve", "issue"):
        with database.transaction() as session:
            batches.start(
                session,
                now=NOW,
                act="approve" if act == "approve" else "issue",
                period_label=OCTOBER,
                invoice_ids=[row.id for row in drafted],
                form_key=act,
                actor="usr_ann",
            )
        killed_at_any_point(children.work_off_batches, database_urls, tmp_path / act, seed=2)
        steps.invoice_batches(JobContext(database=database, providers={}, now=NOW))
    numbers = numbers_of(database)
    assert [number for number, _ in numbers] == [f"INV-2026-{n:06d}" for n in range(1, _ACCOUNTS + 1)]
    assert [on for _, on in numbers] == sorted(on for _, on in numbers)
    with database.reading() as session:
        assert reconciliation.compare(session, now=NOW).found == []


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_twenty_issuers_and_killed_ones_among_them_leave_no_gap_and_dates_that_rise(
    database: Database, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    drafts = []
    for number in range(20):
        account_id = world.open_account(database, f"acme-{number:02d}")
        world.used(database, account_id, Use(100 + number))
        drafts.append(world.approved(database, account_id))
    doomed = [
        get_context("spawn").Process(
            target=children.issue_and_be_killed, args=(database_urls, draft_id, str(tmp_path / draft_id))
        )
        for draft_id in drafts[:4]
    ]
    for child in doomed:
        child.start()
    deadline = time.monotonic() + 60
    while not any(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)  # the first of them holds its number now, and is about to die

    def issue_one(place: int) -> str | None:
        try:
            with database.transaction() as session:
                now = NOW + timedelta(days=(place * 7) % 20)  # their clocks differ
                return issue.issue(session, now=now, draft_id=drafts[place], actor="usr_ann").number
        except Refusal:
            return None

    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(issue_one, range(20)))
    for child in doomed:
        child.join(60)
        assert child.exitcode in (
            -signal.SIGKILL,
            1,
        )  # 1: the document was issued by a thread, so that there was none to die in
    made = [number or issue_one(place) for place, number in enumerate(made)]
    numbers = numbers_of(database)
    assert sorted(str(number) for number in made) == [f"INV-2026-{n:06d}" for n in range(1, 21)]
    assert [on for _, on in numbers] == sorted(on for _, on in numbers)
