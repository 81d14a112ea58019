"""Posting: once per source, in a chain without gaps, into an open month."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from billing.accounts import directory, heads
from billing.accounts.tables import AccountHead
from billing.ledger import balances, book, chain, periods
from billing.ledger.errors import EntryRefused, LedgerConflict, PeriodNotClosable
from billing.ledger.tables import AccountingPeriod, LedgerAccount, LedgerEntry, LedgerMemo, LedgerTransaction
from billing.storage.database import Database
from tests.service.ledger.books import CASH, NOW, entry, open_account, post, reopen, top_up


def test_a_deposit_stands_in_the_wallet_and_in_the_sellers_cash(database: Database) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 10_000, "p1")
    with database.reading() as session:
        [balance] = balances.of_account(session, account_id)
        assert (balance.currency, balance.balance_minor, balance.wallet_minor) == ("USD", 10_000, 10_000)
        assert balance.available_minor == 10_000
        assert balances.of_ledger_account(session, "house/north/cash:bank/USD") == -10_000


def test_a_repeat_gives_the_first_transaction_back_and_changes_nothing(database: Database) -> None:
    account_id = open_account(database)
    first = top_up(database, account_id, 500, "p1")
    again = top_up(database, account_id, 500, "p1", now=NOW + timedelta(hours=3), actor="someone else")
    assert again == replace(first, is_new=False)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(LedgerTransaction)) == 1
        assert balances.of_account(session, account_id)[0].wallet_minor == 500


@pytest.mark.parametrize(
    "other",
    [
        entry("bank_credit", CASH, "wallet", 501),
        entry("bank_credit", CASH, "receivable", 500),
        entry("bank_credit", CASH, "wallet", 500, "EUR"),
        entry("stripe_credit", CASH, "wallet", 500),
        entry("bank_credit", CASH, "wallet", 500, invoice="drf_other"),
    ],
)
def test_other_content_under_a_known_source_is_refused(database: Database, other: object) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 500, "p1")
    with pytest.raises(LedgerConflict) as refused, database.transaction() as session:
        post(session, account_id, "p1", other)  # type: ignore[arg-type]
    assert refused.value.code == "ledger_conflict"
    with database.reading() as session:
        assert balances.of_account(session, account_id)[0].wallet_minor == 500


def test_the_same_source_in_another_account_is_refused(database: Database) -> None:
    mine, other = open_account(database, "calla"), open_account(database, "taifl")
    top_up(database, mine, 500, "p1")
    with pytest.raises(LedgerConflict):
        top_up(database, other, 500, "p1")


def test_a_repeat_inside_one_batch_is_posted_once(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        head = heads.lock_one(session, account_id)
        request = book.Request(
            head=head,
            type="payment",
            source_type="test",
            source_id="p1",
            entries=[entry("bank_credit", CASH, "wallet", 500)],
            occurred_at=NOW,
            actor="test",
        )
        one, two, three = book.post_many(session, [request, request, replace(request, source_id="p2")], now=NOW)
    assert (one.is_new, two.is_new) == (True, False)
    assert one.transaction_id == two.transaction_id
    assert (one.chain_seq, three.chain_seq) == (1, 2)


def test_each_transaction_names_the_hash_of_the_one_before(database: Database) -> None:
    account_id = open_account(database)
    for number in range(1, 4):
        top_up(database, account_id, number, f"p{number}")
    with database.reading() as session:
        rows = session.scalars(select(LedgerTransaction).order_by(LedgerTransaction.chain_seq)).all()
        head = session.get_one(AccountHead, account_id)
    assert [row.chain_seq for row in rows] == [1, 2, 3]
    assert [row.prev_hash for row in rows] == [chain.GENESIS, rows[0].hash, rows[1].hash]
    assert (head.chain_seq, head.chain_hash) == (3, rows[2].hash)


def test_a_transaction_without_entries_must_anchor_something(database: Database) -> None:
    account_id = open_account(database)
    with pytest.raises(EntryRefused) as refused, database.transaction() as session:
        post(session, account_id, "empty")
    assert refused.value.fields["reason"] == "nothing_to_post"
    with database.transaction() as session:
        assert post(session, account_id, "lines", anchor_hash="ab" * 32).is_new


def test_a_refused_posting_leaves_the_head_where_it_was(database: Database) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 500, "p1")
    with database.transaction() as session:
        with pytest.raises(LedgerConflict):
            post(session, account_id, "p1", entry("bank_credit", CASH, "wallet", 1))
        assert post(session, account_id, "p2", entry("bank_credit", CASH, "wallet", 1)).chain_seq == 2


def test_the_houses_chain_has_no_wallet(database: Database) -> None:
    open_account(database)
    with database.transaction() as session:
        seller = directory.find_seller_by_code(session, "north")
        assert seller is not None
        house = directory.house_account(session, seller.id)
        with pytest.raises(EntryRefused) as refused:
            post(session, house.id, "p1", entry("bank_credit", CASH, "wallet", 1))
        fee = entry("processor_fee", "processor_fees", CASH, 59)
        assert post(session, house.id, "fee", fee, type="processor_fee").chain_seq == 1
    assert refused.value.fields["reason"] == "tenant_account_in_house_chain"


def test_a_memo_stands_outside_the_hashed_bytes(database: Database) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 500, "p1", memo="paid by A. Person")
    with database.transaction() as session:
        [row] = session.scalars(select(LedgerTransaction)).all()
        [memo] = session.scalars(select(LedgerMemo)).all()
        assert memo.memo == "paid by A. Person"
        assert row.memo_hash == chain.memo_hash(memo.salt, memo.memo)
        session.delete(memo)  # erased: the chain holds without it


def test_ledger_accounts_are_made_once_however_often_they_are_used(database: Database) -> None:
    mine, other = open_account(database, "calla"), open_account(database, "taifl")
    for account_id, source_id in ((mine, "p1"), (other, "p2"), (mine, "p3")):
        top_up(database, account_id, 500, source_id)
    with database.reading() as session:
        ids = session.scalars(select(LedgerAccount.id).order_by(LedgerAccount.id)).all()
    assert ids == sorted([f"{mine}/wallet/USD", f"{other}/wallet/USD", "house/north/cash:bank/USD"])


def test_a_fact_belongs_to_the_utc_month_in_which_it_happened(database: Database) -> None:
    account_id = open_account(database)
    happened_at = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
    top_up(database, account_id, 500, "p1", occurred_at=happened_at)
    with database.reading() as session:
        [row] = session.scalars(select(LedgerTransaction)).all()
        period = session.get_one(AccountingPeriod, row.accounting_period_id)
    assert (period.month, row.effective_at) == ("2026-10", happened_at)


def test_a_late_fact_gets_the_first_day_of_the_first_open_month(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        seller = directory.find_seller_by_code(session, "north")
        assert seller is not None
        assert periods.close(session, now=NOW, seller_id=seller.id, month_label="2026-09", actor="finance") == 1
        assert periods.close(session, now=NOW, seller_id=seller.id, month_label="2026-09", actor="finance") == 0
    top_up(database, account_id, 500, "old", occurred_at=datetime(2020, 2, 3, tzinfo=UTC))
    with database.reading() as session:
        [row] = session.scalars(select(LedgerTransaction)).all()
        period = session.get_one(AccountingPeriod, row.accounting_period_id)
        assert (period.month, row.effective_at) == ("2026-10", datetime(2026, 10, 1, tzinfo=UTC))
        assert row.occurred_at == datetime(2020, 2, 3, tzinfo=UTC)


def test_only_the_last_closed_month_opens_again(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        seller = directory.find_seller_by_code(session, "north")
        assert seller is not None
        for month in ("2026-08", "2026-09"):
            periods.close(session, now=NOW, seller_id=seller.id, month_label=month, actor="finance")
        with pytest.raises(PeriodNotClosable):
            reopen(session, seller.id, "2026-08")
        reopen(session, seller.id, "2026-09")
    top_up(database, account_id, 500, "late", occurred_at=datetime(2026, 8, 3, tzinfo=UTC))
    with database.reading() as session:
        [row] = session.scalars(select(LedgerTransaction)).all()
        assert row.effective_at == datetime(2026, 9, 1, tzinfo=UTC)


def test_a_month_that_still_runs_is_not_closed(database: Database) -> None:
    open_account(database)
    with database.transaction() as session:
        seller = directory.find_seller_by_code(session, "north")
        assert seller is not None
        with pytest.raises(PeriodNotClosable) as refused:
            periods.close(session, now=NOW, seller_id=seller.id, month_label="2026-11", actor="finance")
    assert refused.value.fields["reason"] == "still_runs"


def test_posting_again_in_one_transaction_asks_the_database_nothing_about_known_accounts(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        post(session, account_id, "p1", entry("bank_credit", CASH, "wallet", 5))
        statements: list[str] = []
        connection = session.connection()
        from sqlalchemy import event

        event.listen(connection.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
        post(session, account_id, "p2", entry("bank_credit", CASH, "wallet", 5))
        selects = [statement for statement in statements if statement.lstrip().upper().startswith("SELECT")]
        assert not [statement for statement in selects if "ledger_accounts" in statement or "sellers" in statement]
        assert session.execute(text("SELECT count(*) FROM ledger_entries")).scalar() == 2
        assert session.scalar(select(func.sum(LedgerEntry.amount_minor))) == 10
