"""Law 2 in the books: each charge stands in the ledger as its exact amount rounded once, whatever the runs."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from billing.accounts.tables import AccountHead
from billing.kernel import canonical
from billing.ledger import balances
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.rating import periods, postings
from billing.rating.tables import Posting
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, OCTOBER, Use

TOKEN = world.book("per_unit", sku="analytics/query", unit_price="0.000000006")


def unbilled(database: Database, account_id: str) -> int:
    """The account's unbilled usage in cents; owed is negative."""
    with database.reading() as session:
        return sum(balance.unbilled_minor for balance in balances.of_account(session, account_id))


def increments(database: Database, account_id: str) -> list[int]:
    """The increments of all postings in their order."""
    with database.reading() as session:
        query = (
            select(Posting.increment_minor)
            .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
            .where(LedgerTransaction.billing_account_id == account_id)
            .order_by(LedgerTransaction.chain_seq, Posting.id)
        )
        return list(session.scalars(query))


def entries(database: Database, account_id: str) -> list[tuple[str, str, int]]:
    """(debit name, credit name, amount) of all entries in the order of the chain."""
    with database.reading() as session:
        rows = session.scalars(
            select(LedgerEntry)
            .where(LedgerEntry.billing_account_id == account_id)
            .order_by(LedgerEntry.chain_seq, LedgerEntry.seq)
        )
        return [(_name(row.debit_account_id), _name(row.credit_account_id), row.amount_minor) for row in rows]


def _name(ledger_account_id: str) -> str:
    return ledger_account_id.split("/")[-2]


def test_ten_runs_of_a_million_events_post_six_cents_in_all(database: Database) -> None:
    account_id = world.open_account(database, book=TOKEN)
    for _ in range(10):
        world.use(database, account_id, Use(1_000_000))
        world.rate(database, account_id)
        world.post(database, account_id)
    # 0.6 cents a run: 1, 1, 2, 2, 3, 4, 4, 5, 5, 6 after each
    assert increments(database, account_id) == [1, 0, 1, 0, 1, 1, 0, 1, 0, 1]
    assert unbilled(database, account_id) == -6


def test_almost_half_a_cent_posts_nothing_but_is_anchored(database: Database) -> None:
    account_id = world.open_account(database, book=TOKEN)
    world.use(database, account_id, Use(833_333))
    world.rate(database, account_id)
    assert world.post(database, account_id) == 1
    assert unbilled(database, account_id) == 0
    with database.reading() as session:
        (line,) = world.lines(session, account_id)
        # 0.4999998 cents are shown as 0.500000; rounding that once more would post a cent that is not owed
        assert line.amount_micro == 500_000
        transaction = session.scalars(
            select(LedgerTransaction).where(LedgerTransaction.billing_account_id == account_id)
        ).one()
        assert (transaction.entry_count, transaction.anchor_hash) == (0, canonical.merkle_root([line.line_hash]))


def test_late_volume_usage_lowers_the_ledger_by_twenty_dollars(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("volume", ("1000", "1.00"), (None, "0.80")))
    world.use(database, account_id, Use(900))
    world.rate(database, account_id)
    world.post(database, account_id)
    with database.transaction("jobs") as session:
        periods.close_charges(session, [charge.id for charge in world.charges(session, account_id)], "drf_1")
    world.use(database, account_id, Use(200))
    world.rate(database, account_id)
    world.post(database, account_id)
    assert entries(database, account_id) == [
        ("unbilled", "revenue:analytics", 90_000),
        ("revenue:analytics", "unbilled", 2_000),
    ]
    with database.reading() as session:
        posted = [(charge.generation, charge.posted_minor) for charge in world.charges(session, account_id)]
    assert posted == [(0, 90_000), (1, -2_000)]


def test_two_projects_in_tiers_are_two_dollars_fifty_in_the_ledger(database: Database) -> None:
    book = world.tiered("graduated", ("100", "0.015"), (None, "0.010"))
    account_id = world.open_account(database, book=book)
    for project in ("b", "a"):
        world.use(database, account_id, Use(100, project=project))
        world.rate(database, account_id)
        world.post(database, account_id)
    assert increments(database, account_id) == [150, 100]
    assert unbilled(database, account_id) == -250


def test_posting_again_changes_nothing(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(5))
    world.rate(database, account_id)
    assert world.post(database, account_id) == 1
    assert world.post(database, account_id) == 0
    with database.reading() as session:
        assert postings.accounts_to_post(session) == []
        assert session.execute(select(func.count()).select_from(Posting)).scalar_one() == 1
        head = session.get_one(AccountHead, account_id)
        assert (head.line_seq, head.posted_line_seq) == (1, 1)


def test_each_period_has_its_own_transaction_in_its_own_month(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(7, at=NOVEMBER), Use(5), Use(6))
    world.rate(database, account_id)
    world.post(database, account_id)
    with database.reading() as session:
        rows = session.scalars(
            select(LedgerTransaction)
            .where(LedgerTransaction.billing_account_id == account_id)
            .order_by(LedgerTransaction.chain_seq)
        ).all()
        lines = {line.line_seq: line.line_hash for line in world.lines(session, account_id)}
    assert [row.occurred_at for row in rows] == [NOVEMBER - timedelta(milliseconds=1), NOW]
    assert [row.anchor_hash for row in rows] == [
        canonical.merkle_root([lines[2], lines[3]]),
        canonical.merkle_root([lines[1]]),
    ]
    assert entries(database, account_id) == [
        ("unbilled", "revenue:analytics", 11),
        ("unbilled", "revenue:analytics", 7),
    ]


def test_a_long_backlog_is_posted_in_several_runs_with_the_same_figures(database: Database) -> None:
    account_id = world.open_account(database, book=TOKEN)
    world.use(database, account_id, *(Use(700_000, project=str(number % 2)) for number in range(7)))
    world.rate(database, account_id)
    assert world.post(database, account_id, lines_per_run=3) == 7
    # projects 0 and 1: 4 and 3 times 0.42 cents, each rounded once
    assert unbilled(database, account_id) == -(2 + 1)
    with database.reading() as session:
        rows = session.execute(
            select(Posting.from_line_seq, Posting.to_line_seq).distinct().order_by(Posting.from_line_seq)
        ).all()
        assert [tuple(row) for row in rows] == [(0, 3), (3, 6), (6, 7)]


@pytest.mark.parametrize("seed", range(3))
def test_any_order_batch_and_run_gives_equal_books(database: Database, seed: int) -> None:
    """The same usage in another order and other pieces, rated and posted at other moments: equal charges and entries."""
    dice = random.Random(seed)
    book = world.tiered("graduated", ("100", "0.0151"), (None, "0.0103"))
    uses = [
        Use(dice.randrange(1, 90), project=dice.choice(["a", "b"]), at=OCTOBER + timedelta(days=dice.randrange(60)))
        for _ in range(40)
    ]
    digests = []
    for code in ("first", "second"):
        own = book.replace('"own"', f'"{code}"')
        account_id = world.open_account(database, book=own, code=code)
        shuffled = dice.sample(uses, len(uses))
        while shuffled:
            count = dice.randrange(1, 15)
            world.use(database, account_id, *shuffled[:count])
            del shuffled[:count]
            world.rate(database, account_id, limit=dice.choice([2, 5, 100]))
            if dice.random() < 0.7:
                world.post(database, account_id, lines_per_run=dice.choice([3, 1000]))
        world.post(database, account_id)
        with database.reading() as session:
            labels = {period.id: period.label for period in periods.list_periods(session, account_id)}
            held = [
                (labels[c.billing_period_id], c.quantity_base, c.posted_minor)
                for c in world.charges(session, account_id)
            ]
        net: dict[tuple[str, str], int] = defaultdict(int)
        for debit, credit, amount in entries(database, account_id):
            net[debit, credit] += amount
        digests.append((held, dict(net)))
    assert digests[0] == digests[1]
    assert len(digests[0][0]) == 2


def test_a_rounded_charge_is_what_the_next_invoice_bills(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(5, project="a"), Use(7, at=NOVEMBER))
    world.rate(database, account_id)
    world.post(database, account_id)
    with database.transaction("jobs") as session:
        october = periods.find_period(session, account_id, "2026-10")
        november = periods.find_period(session, account_id, "2026-11")
        assert october is not None
        assert november is not None
        (charge,) = periods.charges_to_invoice(session, october)
        assert (charge.amount_minor, charge.quantity_base, charge.is_late, charge.unit) == (5, 5, False, "query")
        periods.close_charges(session, [charge.charge_id], "drf_1")
        periods.mark_invoiced(session, october, now=NOW)
    world.use(database, account_id, Use(2, project="a"))
    world.rate(database, account_id)
    world.post(database, account_id)
    with database.reading() as session:
        october = periods.find_period(session, account_id, "2026-10")
        november = periods.find_period(session, account_id, "2026-11")
        assert october is not None
        assert november is not None
        assert [(c.period_label, c.is_late, c.amount_minor) for c in periods.charges_to_invoice(session, november)] == [
            ("2026-10", True, 2),
            ("2026-11", False, 7),
        ]


def test_usage_from_the_future_is_posted_today(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(5, at=datetime(2026, 11, 30, 23, tzinfo=UTC)))
    world.rate(database, account_id)
    world.post(database, account_id)
    with database.reading() as session:
        row = session.scalars(select(LedgerTransaction).where(LedgerTransaction.billing_account_id == account_id)).one()
        assert row.occurred_at == NOW
