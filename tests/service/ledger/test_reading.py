"""Reading the books: balances, checkpoints, statement, explanation, trial balance, reversal."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.accounts import directory
from billing.kernel.errors import Invalid, NotFound
from billing.ledger import balances, explanation, periods, statement, trial_balance
from billing.ledger.errors import NotReversible
from billing.ledger.tables import BalanceCheckpoint, LedgerTransaction
from billing.storage.database import Database, Session
from tests.service.ledger.books import NOW, entry, open_account, post, reverse, top_up

HOUR = timedelta(hours=1)


def _used_up(session: Session, account_id: str) -> None:
    """100 USD paid, 130 used, 24.70 tax, all by hand: what an issued invoice leaves behind."""
    post(session, account_id, "use", entry("usage_debit", "unbilled", "revenue:compute", 13_000), type="posting")
    issue = [
        entry("invoice_issue", "receivable", "unbilled", 13_000),
        entry("tax", "receivable", "tax:DE", 2_470),
        entry("wallet_apply", "wallet", "receivable", 10_000),
    ]
    post(session, account_id, "issue", *issue, type="issue", now=NOW + HOUR)


@pytest.mark.tampers  # usage and an invoice without their rows
def test_a_top_up_of_100_against_130_used_and_19_percent_tax_leaves_54_70_to_pay(database: Database) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 10_000, "p1")
    with database.transaction() as session:
        _used_up(session, account_id)
        [balance] = balances.of_account(session, account_id)
    assert (balance.wallet_minor, balance.receivable_minor, balance.unbilled_minor) == (0, -5_470, 0)
    assert (balance.balance_minor, balance.available_minor) == (-5_470, -5_470)


@pytest.mark.tampers  # usage without its postings
def test_what_is_available_counts_the_tax_on_usage_and_gifts(database: Database) -> None:
    """Promo 20 on usage 130 at 19 %: VAT 20.90 on 110; wallet 130.90 and promo 20 before it leave exactly 0."""
    account_id = open_account(database)
    top_up(database, account_id, 13_090, "p1")
    with database.transaction() as session:
        post(session, account_id, "gift", entry("admin_credit", "promo_expense", "promo", 2_000))
        post(session, account_id, "use", entry("usage_debit", "unbilled", "revenue:compute", 13_000))
        [balance] = balances.of_account(session, account_id, tax_rate_bp=1_900)
    assert (balance.available_minor, balance.balance_minor) == (0, 2_090)


@pytest.mark.tampers  # a commitment without its sale
def test_a_commitment_of_1000_with_800_used_at_19_percent_leaves_238(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        post(session, account_id, "sale", entry("commit_sale", "receivable", "deferred", 100_000))
        post(session, account_id, "pay", entry("bank_credit", "cash:bank", "receivable", 100_000))
        post(session, account_id, "use", entry("usage_debit", "unbilled", "revenue:compute", 80_000))
        [balance] = balances.of_account(session, account_id, tax_rate_bp=1_900)
    assert balance.available_minor == 23_800


def test_currencies_stand_beside_each_other(database: Database) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 500, "p1")
    with database.transaction() as session:
        post(session, account_id, "p2", entry("bank_credit", "cash:bank", "wallet", 300, "EUR"))
        found = balances.of_account(session, account_id)
        assert [(each.currency, each.balance_minor) for each in found] == [("EUR", 300), ("USD", 500)]
        [yen] = balances.of_account(session, account_id, currency="JPY")
        assert (yen.currency, yen.balance_minor, yen.available_minor) == ("JPY", 0, 0)


def test_a_checkpoint_changes_no_figure(database: Database) -> None:
    account_id = open_account(database)
    for number in range(1, 6):
        top_up(database, account_id, number, f"p{number}", now=NOW + number * HOUR)
    with database.transaction("jobs") as session:
        assert balances.write_checkpoints(session, now=NOW, account_id=account_id) == 2  # wallet and cash
        assert balances.write_checkpoints(session, now=NOW, account_id=account_id) == 0
    top_up(database, account_id, 100, "later", now=NOW + 6 * HOUR)
    with database.reading() as session:
        assert balances.of_account(session, account_id)[0].wallet_minor == 115
        assert balances.of_ledger_account(session, "house/north/cash:bank/USD") == -115
        assert balances.as_of(session, account_id, NOW + 3 * HOUR)[0].wallet_minor == 6
        assert balances.as_of(session, account_id, NOW + 5 * HOUR)[0].wallet_minor == 15
        assert balances.as_of(session, account_id, NOW)[0].wallet_minor == 0


def test_a_balance_behind_a_checkpoint_reads_only_the_tail(database: Database) -> None:
    """The checkpoint is believed: a wrong one shows in the balance, until it is rebuilt."""
    account_id = open_account(database)
    top_up(database, account_id, 500, "p1")
    with database.transaction() as session:
        session.add(_checkpoint(account_id, 1, 0, 499))
    with database.reading() as session:
        assert balances.of_account(session, account_id)[0].wallet_minor == 499
        assert trial_balance.imbalances(session) == {"USD": 1}
    with database.transaction("jobs") as session:
        rebuilt = balances.rebuild_checkpoints(session, now=NOW, account_id=account_id, actor="finance")
        again = balances.rebuild_checkpoints(session, now=NOW, account_id=account_id, actor="finance")
    assert (rebuilt, again) == (1, 0)
    with database.reading() as session:
        assert balances.of_account(session, account_id)[0].wallet_minor == 500
        assert trial_balance.imbalances(session) == {"USD": 0}


def _checkpoint(account_id: str, seq: int, revision: int, sum_minor: int) -> BalanceCheckpoint:
    return BalanceCheckpoint(
        ledger_account_id=f"{account_id}/wallet/USD",
        billing_account_id=account_id,
        through_chain_seq=seq,
        revision=revision,
        sum_minor=sum_minor,
        recorded_at=NOW,
    )


def test_a_long_tail_asks_for_a_checkpoint(database: Database) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 1, "p1")
    with database.reading() as session:
        assert balances.accounts_to_checkpoint(session) == []
    with database.transaction("jobs") as session:
        for number in range(2, balances.LONG_TAIL + 1):
            post(session, account_id, f"p{number}", entry("bank_credit", "cash:bank", "wallet", 1))
        assert balances.accounts_to_checkpoint(session) == [account_id]
        balances.write_checkpoints(session, now=NOW, account_id=account_id)
        assert balances.accounts_to_checkpoint(session) == []


def test_a_statement_runs_from_the_newest_movement_back(database: Database) -> None:
    account_id = open_account(database)
    for number in range(1, 6):
        top_up(database, account_id, number, f"p{number}", memo=f"transfer {number}", now=NOW + number * HOUR)
    with database.transaction() as session:
        post(session, account_id, "lines", anchor_hash="ab" * 32)  # anchors only: nothing a tenant would see
        post(session, account_id, "gift", entry("admin_credit", "promo_expense", "promo", 7, grant="g1"))
    with database.reading() as session:
        first = statement.movements(session, account_id=account_id, limit=4)
        second = statement.movements(session, account_id=account_id, limit=4, before_seq=first.next_before_seq)
    rows = [*first.rows, *second.rows]
    assert [(row.amount_minor, row.balance_minor) for row in rows] == [
        (7, 22),
        (5, 15),
        (4, 10),
        (3, 6),
        (2, 3),
        (1, 1),
    ]
    assert second.next_before_seq is None
    assert rows[0].references == {"grant": ("g1",)}
    assert (rows[0].kinds, rows[0].effects) == (("admin_credit",), {"promo": 7})
    assert (rows[1].memo, rows[1].kinds, rows[1].source_id) == ("transfer 5", ("bank_credit",), "p5")


@pytest.mark.tampers  # an invoice without its rows
def test_money_moved_between_a_tenants_own_accounts_leaves_the_balance_alone(database: Database) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 10_000, "p1")
    with database.transaction() as session:
        _used_up(session, account_id)
    with database.reading() as session:
        [issue, use, paid] = statement.movements(session, account_id=account_id).rows
    assert issue.by_kind == {"invoice_issue": 0, "tax": -2_470, "wallet_apply": 0}
    assert (issue.amount_minor, issue.balance_minor) == (-2_470, -5_470)
    assert (use.amount_minor, use.balance_minor, paid.balance_minor) == (-13_000, -3_000, 10_000)


def test_a_statement_of_one_currency_leaves_the_others_out(database: Database) -> None:
    account_id = open_account(database)
    top_up(database, account_id, 500, "p1")
    with database.transaction() as session:
        both = [
            entry("bank_credit", "cash:bank", "wallet", 300, "EUR"),
            entry("bank_credit", "cash:bank", "wallet", 20),
        ]
        post(session, account_id, "p2", *both)
        post(session, account_id, "p3", entry("bank_credit", "cash:bank", "wallet", 1, "EUR"))
        post(session, account_id, "p4", entry("bank_credit", "cash:bank", "wallet", 3))
    with database.reading() as session:
        dollars = statement.movements(session, account_id=account_id, currency="USD").rows
        euros = statement.movements(session, account_id=account_id, currency="EUR").rows
        everything = statement.movements(session, account_id=account_id).rows
    assert [(row.amount_minor, row.balance_minor) for row in dollars] == [(3, 523), (20, 520), (500, 500)]
    assert [(row.amount_minor, row.balance_minor) for row in euros] == [(1, 301), (300, 300)]
    assert len(everything) == 5


def test_another_accounts_movement_is_not_found(database: Database) -> None:
    mine, other = open_account(database, "calla"), open_account(database, "taifl")
    posted = top_up(database, mine, 500, "p1")
    with database.reading() as session:
        detail = statement.get_movement(session, account_id=mine, transaction_id=posted.transaction_id)
        assert [(row.debit, row.credit, row.amount_minor) for row in detail.entries] == [("cash:bank", "wallet", 500)]
        assert detail.movements[0].balance_minor == 500
        for account_id, transaction_id in ((other, posted.transaction_id), (mine, "txn_none")):
            with pytest.raises(NotFound):
                statement.get_movement(session, account_id=account_id, transaction_id=transaction_id)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_a_limit(database: Database, limit: int) -> None:
    account_id = open_account(database)
    with database.reading() as session, pytest.raises(Invalid):
        statement.movements(session, account_id=account_id, limit=limit)


def test_an_explanation_goes_from_opening_to_closing(database: Database) -> None:
    account_id = open_account(database)
    for number in range(1, 6):
        top_up(database, account_id, number, f"p{number}", now=NOW + number * HOUR)
    with database.reading() as session:
        [whole] = explanation.explain(session, account_id=account_id)
        [part] = explanation.explain(session, account_id=account_id, from_at=NOW + 2 * HOUR, to_at=NOW + 4 * HOUR)
        [empty] = explanation.explain(session, account_id=account_id, from_at=NOW + 9 * HOUR)
    assert (whole.opening_minor, whole.closing_minor, len(whole.movements)) == (0, 15, 5)
    assert whole.by_kind == {"bank_credit": 15}
    assert (part.opening_minor, part.closing_minor) == (1, 6)
    assert [row.amount_minor for row in part.movements] == [2, 3]
    assert (empty.opening_minor, empty.closing_minor, empty.movements) == (15, 15, ())


def test_an_explanation_reads_as_many_pages_as_there_are(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        for number in range(1, 502):
            post(session, account_id, f"p{number}", entry("bank_credit", "cash:bank", "wallet", number))
    with database.reading() as session:
        [whole] = explanation.explain(session, account_id=account_id)
    assert [row.amount_minor for row in whole.movements] == list(range(1, 502))
    assert whole.closing_minor == 501 * 502 // 2


def test_an_explanation_that_does_not_add_up_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="is not"):
        explanation.Explanation(currency="USD", opening_minor=1, movements=(), by_kind={}, closing_minor=2)


def test_a_trial_balance_has_the_same_sum_on_both_sides(database: Database) -> None:
    mine, other = open_account(database, "calla"), open_account(database, "taifl", "south")
    top_up(database, mine, 500, "p1")
    top_up(database, other, 40, "p2", occurred_at=datetime(2026, 9, 1, tzinfo=UTC))
    with database.transaction() as session:
        post(session, mine, "gift", entry("admin_credit", "promo_expense", "promo", 7))
        post(session, mine, "back", entry("adjustment", "wallet", "cash:bank", 20))
    with database.reading() as session:
        found = trial_balance.now(session)
        north = directory.find_seller_by_code(session, "north")
        assert north is not None
        own = trial_balance.now(session, north.id)
        by_month = trial_balance.through_month(session, seller_id=north.id, month_label="2026-11")
        before = trial_balance.through_month(session, seller_id=north.id, month_label="2026-10")
        assert trial_balance.imbalances(session) == {"USD": 0}
    rows = {(row.owner, row.name): (row.debit_minor, row.credit_minor) for row in found.rows}
    assert rows == {
        ("house", "cash:bank"): (520, 0),
        ("house", "promo_expense"): (7, 0),
        ("tenants", "promo"): (0, 7),
        ("tenants", "wallet"): (0, 520),
    }
    assert [(total.currency, total.debit_minor, total.credit_minor) for total in found.totals] == [("USD", 527, 527)]
    assert by_month == own
    assert before.rows == ()


def test_a_reversal_mirrors_its_original_and_names_it(database: Database) -> None:
    account_id = open_account(database)
    original = top_up(database, account_id, 500, "p1")
    with database.transaction("jobs") as session:
        posted_id = reverse(session, original.transaction_id, reason="paid twice", now=NOW + HOUR)
        with pytest.raises(NotReversible) as refused:
            reverse(session, original.transaction_id, reason="again", now=NOW + 2 * HOUR)
    assert (refused.value.fields["reason"], refused.value.fields["reversal_id"]) == ("already_reversed", posted_id)
    with database.reading() as session:
        assert balances.of_account(session, account_id)[0].balance_minor == 0
        mirrored = statement.get_movement(session, account_id=account_id, transaction_id=posted_id)
        first = statement.get_movement(session, account_id=account_id, transaction_id=original.transaction_id)
    [row] = mirrored.entries
    assert (row.kind, row.debit, row.credit, row.amount_minor) == ("adjustment", "wallet", "cash:bank", 500)
    assert row.detail == {"reverses_kind": "bank_credit"}
    assert (mirrored.reverses_id, mirrored.memo) == (original.transaction_id, "paid twice")
    assert first.reversed_by_id == posted_id
    assert first.entries[0].amount_minor == 500  # the original stays


def test_a_reversal_of_a_closed_month_counts_in_the_first_open_one(database: Database) -> None:
    account_id = open_account(database)
    september = datetime(2026, 9, 3, tzinfo=UTC)
    original = top_up(database, account_id, 500, "p1", occurred_at=september)
    with database.transaction("jobs") as session:
        seller = directory.find_seller_by_code(session, "north")
        assert seller is not None
        periods.close(session, now=NOW, seller_id=seller.id, month_label="2026-10", actor="finance")
        row = session.get_one(LedgerTransaction, reverse(session, original.transaction_id, reason="wrong tenant"))
        assert row.effective_at == NOW
        assert (
            trial_balance.through_month(session, seller_id=seller.id, month_label="2026-10").totals[0].debit_minor
            == 500
        )


@pytest.mark.tampers  # usage without its postings
def test_what_charges_and_documents_account_for_is_not_reversed_here(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction() as session:
        use = post(session, account_id, "use", entry("usage_debit", "unbilled", "revenue:compute", 5))
        bare = post(session, account_id, "lines", anchor_hash="ab" * 32)
        paid = post(session, account_id, "paid", entry("bank_credit", "cash:bank", "wallet", 5))
        undone_id = reverse(session, paid.transaction_id)
        for transaction_id, reason in (
            (use.transaction_id, "held_elsewhere"),
            (bare.transaction_id, "nothing_to_reverse"),
            (undone_id, "is_a_reversal"),
        ):
            with pytest.raises(NotReversible) as refused:
                reverse(session, transaction_id)
            assert refused.value.fields["reason"] == reason
        with pytest.raises(NotFound):
            reverse(session, "txn_none")
        again = post(session, account_id, "again", entry("bank_credit", "cash:bank", "wallet", 5))
        with pytest.raises(Invalid):
            reverse(session, again.transaction_id, reason="  ")
        assert len(session.scalars(select(LedgerTransaction)).all()) == 5
