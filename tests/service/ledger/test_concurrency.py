"""Many at once: one gapless chain per account, no month closed under a posting."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from sqlalchemy import func, select

from billing.accounts import directory, heads
from billing.assurance import verification
from billing.ledger import balances, book, periods
from billing.ledger.tables import AccountingPeriod, LedgerTransaction
from billing.storage.database import Database, Session
from tests.service.ledger.books import NOW, entry, open_account, post, top_up

THREADS = 8
EACH = 12


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_eight_threads_posting_to_one_account_make_a_chain_without_gaps(database: Database) -> None:
    account_id = open_account(database)
    start = Barrier(THREADS)

    def work(worker: int) -> None:
        start.wait()
        for number in range(EACH):
            top_up(database, account_id, 1 + worker, f"w{worker}-{number}")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    with database.reading() as session:
        seqs = session.scalars(select(LedgerTransaction.chain_seq).order_by(LedgerTransaction.chain_seq)).all()
        assert seqs == list(range(1, THREADS * EACH + 1))
        assert balances.of_account(session, account_id)[0].wallet_minor == EACH * sum(range(1, THREADS + 1))
        report = verification.verify_chain(session, account_id)
    assert report.differences == ()
    assert report.checked >= 2 * THREADS * EACH


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_same_source_posted_by_eight_threads_is_posted_once(database: Database) -> None:
    account_id = open_account(database)
    start = Barrier(THREADS)

    def work(_: int) -> bool:
        start.wait()
        return top_up(database, account_id, 500, "the one").is_new

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(work, range(THREADS))) == [False] * (THREADS - 1) + [True]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_accounts_that_need_the_same_new_book_accounts_do_not_stop_each_other(database: Database) -> None:
    account_ids = [open_account(database, f"tenant-{number}") for number in range(THREADS)]
    start = Barrier(THREADS)

    def work(account_id: str) -> None:
        start.wait()
        for number in range(4):
            with database.transaction() as session:
                moves = [
                    entry("bank_credit", "cash:bank", "wallet", 5),
                    entry("admin_credit", "promo_expense", "promo", 3),
                ]
                post(session, account_id, f"{account_id}-{number}", *moves)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, account_ids))
    with database.reading() as session:
        assert balances.of_ledger_account(session, "house/north/cash:bank/USD") == -5 * 4 * THREADS


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_month_is_not_closed_under_a_posting(database: Database) -> None:
    """The closer waits for the poster; whoever posts after it gets the next month."""
    account_id = open_account(database)
    september = NOW.replace(month=9)
    top_up(database, account_id, 1, "first", occurred_at=september)
    posted, may_commit = Event(), Event()

    def post_late() -> None:
        with database.transaction() as session:
            post(session, account_id, "late", entry("bank_credit", "cash:bank", "wallet", 2), occurred_at=september)
            posted.set()
            assert may_commit.wait(10)

    def close() -> int:
        with database.transaction("jobs") as session:
            seller = directory.find_seller_by_code(session, "north")
            assert seller is not None
            return periods.close(session, now=NOW, seller_id=seller.id, month_label="2026-09", actor="finance")

    with ThreadPoolExecutor(2) as pool:
        poster = pool.submit(post_late)
        assert posted.wait(10)
        closer = pool.submit(close)
        assert not _ends_within(closer, 0.5)
        may_commit.set()
        poster.result(10)
        assert closer.result(10) == 1
    top_up(database, account_id, 3, "after", occurred_at=september)
    with database.reading() as session:
        months = session.execute(
            select(LedgerTransaction.source_id, AccountingPeriod.month).join(
                AccountingPeriod, AccountingPeriod.id == LedgerTransaction.accounting_period_id
            )
        ).all()
    assert dict(tuple(row) for row in months) == {"first": "2026-09", "late": "2026-09", "after": "2026-10"}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_of_many_posters_none_gets_into_the_month_that_is_being_closed(database: Database) -> None:
    """What the closer sees in the month when it has closed it is what stays there."""
    account_ids = [open_account(database, f"acc{number}") for number in range(4)]
    september = NOW.replace(month=9)
    top_up(database, account_ids[0], 1, "first", occurred_at=september)

    def of_september(session: Session) -> int:
        return (
            session.scalar(
                select(func.count(LedgerTransaction.id))
                .join(AccountingPeriod, AccountingPeriod.id == LedgerTransaction.accounting_period_id)
                .where(AccountingPeriod.month == "2026-09")
            )
            or 0
        )

    def work(account_id: str) -> None:
        for number in range(15):
            top_up(database, account_id, 1, f"{account_id}-{number}", occurred_at=september)

    def close() -> int:
        with database.transaction("jobs") as session:
            seller = directory.find_seller_by_code(session, "north")
            assert seller is not None
            assert periods.close(session, now=NOW, seller_id=seller.id, month_label="2026-09", actor="finance") == 1
            return of_september(session)

    with ThreadPoolExecutor(5) as pool:
        posters = [pool.submit(work, account_id) for account_id in account_ids]
        seen = pool.submit(close).result(30)
        for poster in posters:
            poster.result(30)
    with database.reading() as session:
        assert of_september(session) == seen
        assert session.scalar(select(func.count(LedgerTransaction.id))) == 1 + 4 * 15


def _ends_within(future: object, timeout_s: float) -> bool:
    try:
        future.result(timeout_s)  # type: ignore[attr-defined]
    except TimeoutError:
        return False
    return True


def test_a_batch_is_the_same_books_as_one_by_one(database: Database) -> None:
    one, many = open_account(database, "calla"), open_account(database, "taifl")
    for number in range(1, 61):
        top_up(database, one, number, f"one-{number}")
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, many)
        requests = [
            book.Request(
                head=head,
                type="payment",
                source_type="test",
                source_id=f"many-{number}",
                entries=[entry("bank_credit", "cash:bank", "wallet", number)],
                occurred_at=NOW,
                actor="test",
                memo="m" if number % 2 else "",
            )
            for number in range(1, 61)
        ]
        posted = book.post_many(session, requests, now=NOW)
    assert [each.chain_seq for each in posted] == list(range(1, 61))
    with database.reading() as session:
        [a], [b] = balances.of_account(session, one), balances.of_account(session, many)
        assert a == b
        assert verification.verify_chain(session, many).differences == ()
