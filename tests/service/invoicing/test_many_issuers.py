"""Gapless numbers whoever issues at the same time, and whoever dies while issuing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from billing.invoicing import credit_notes, invoices, issue
from billing.invoicing.errors import CreditTooHigh
from billing.storage.database import Database, DatabaseUrls
from tests.service.invoicing import children, world
from tests.service.invoicing.world import NOW, Use

_ISSUERS = 20


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_twenty_issuers_of_one_seller_give_gapless_numbers_whose_dates_rise(database: Database) -> None:
    drafts = []
    for i in range(_ISSUERS):
        account_id = world.open_account(database, f"acme-{i:02d}")
        world.used(database, account_id, Use(100 + i))
        drafts.append(world.approved(database, account_id))

    def issue_one(i: int) -> str | None:
        with database.transaction() as session:
            # Their clocks differ by up to twenty days: the later date may win the lock first.
            now = NOW + timedelta(days=(i * 7) % _ISSUERS)
            return issue.issue(session, now=now, draft_id=drafts[i], actor="usr_ann").number

    with ThreadPoolExecutor(_ISSUERS) as pool:
        numbers = list(pool.map(issue_one, range(_ISSUERS)))
    assert sorted(str(number) for number in numbers) == [f"INV-2026-{n:06d}" for n in range(1, _ISSUERS + 1)]
    with database.reading() as session:
        rows = invoices.list_invoices(session, now=NOW, sort="number", limit=100)
    dates = [row.issued_on for row in rows if row.issued_on is not None]
    assert len(dates) == _ISSUERS
    assert dates == sorted(dates)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_two_clicks_on_issue_give_one_number(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.approved(database, account_id)

    def issue_it(_: int) -> str | None:
        with database.transaction() as session:
            return issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann").number

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(issue_it, range(8))) == {"INV-2026-000001"}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_ten_credits_at_once_never_give_back_more_than_the_invoice(database: Database) -> None:
    header = world.invoice_of(database, 10_000)

    def credit(_: int) -> int:
        try:
            with database.transaction() as session:
                return credit_notes.credit(
                    session, now=NOW, invoice_id=header.id, reason="r", actor="u", amount_minor=2_000
                ).payable_minor
        except CreditTooHigh:
            return 0

    with ThreadPoolExecutor(10) as pool:
        given = list(pool.map(credit, range(10)))
    assert sum(given) == 10_000  # five of them fit into 119.00
    assert world.balance(database, header.billing_account_id).receivable_minor == -1_900


def test_an_issuer_killed_before_its_commit_leaves_no_gap(
    database: Database, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    for i in range(2):
        account_id = world.open_account(database, f"acme-{i}")
        world.used(database, account_id, Use(100))
    doomed = world.approved(database, world.account(database, "acme-0").id)
    other = world.approved(database, world.account(database, "acme-1").id)
    report = tmp_path / "number"
    child = get_context("spawn").Process(target=children.issue_and_be_killed, args=(database_urls, doomed, str(report)))
    child.start()
    child.join(60)
    assert child.exitcode == -9
    assert report.read_text() == "INV-2026-000001"
    numbers = []
    for draft_id in (other, doomed):
        with database.transaction() as session:
            numbers.append(issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann").number)
    assert numbers == ["INV-2026-000001", "INV-2026-000002"]
