"""A line of the bank statement is booked once, pays what is open oldest first or as told, and is taken back by two people."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from billing.accounts.errors import SecondPersonNeeded
from billing.assurance import reconciliation
from billing.invoicing import credit_notes, invoices, settlement
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Conflict, Invalid, NotFound, Refusal
from billing.kernel.money import Money
from billing.ledger import balances, periods, reversal
from billing.ledger.errors import NotReversible
from billing.ledger.tables import LedgerEntry, LedgerMemo, LedgerTransaction
from billing.payments import receipt_issue, sessions
from billing.payments.bank import reversals, transfers
from billing.payments.bank.transfers import Line, TransferRow
from billing.payments.crediting import Share
from billing.payments.errors import AmountOutOfRange
from billing.payments.tables import Payment
from billing.storage.database import Database
from billing.storage.tables import AuditRecord, OutboxMessage
from tests import staff
from tests.service.invoicing import test_write_offs, world
from tests.service.invoicing.world import NOW, Use

TODAY = date(2026, 11, 21)
IBAN = "DE89370400440532013000"


def line(minor: int, reference: str = "S-1", *, currency: str = "USD", **more: Any) -> Line:
    facts: dict[str, Any] = {"value_on": TODAY, "payer": "Calla Labs GmbH", "bank_account": IBAN} | more
    return Line(amount=Money(minor=minor, currency=currency), bank_reference=reference, **facts)


def book(
    database: Database, account_id: str, wanted: Line, *shares: tuple[str, int], now: datetime = NOW, **more: Any
) -> TransferRow:
    chosen = [Share(invoice_id=invoice_id, amount_minor=minor) for invoice_id, minor in shares] if shares else None
    with database.transaction() as session:
        return transfers.book(
            session, now=now, account_id=account_id, line=wanted, actor=staff.MAKER, shares=more.get("shares", chosen)
        )


def taken_back(database: Database, transfer: TransferRow, *, now: datetime = NOW) -> TransferRow:
    with database.transaction("jobs") as session:
        staff.hire_two(session)
        asked = reversals.request(
            session, now=now, transfer_id=transfer.id, maker=staff.MAKER, reason="Of another customer"
        )
        staff.approve(session, asked, now=now)
        return transfers.get_transfer(session, transfer.id)


def asked_as_any_other(database: Database, transfer: TransferRow) -> None:
    """A reversal of its ledger transaction alone."""
    with database.transaction("jobs") as session:
        staff.hire_two(session)
        reversal.request(
            session, now=NOW, transaction_id=transfer.transaction_id, maker=staff.MAKER, reason="Not this way"
        )


def decided_alone(database: Database, transfer: TransferRow) -> None:
    """One person who may do both asks and allows."""
    with database.transaction("jobs") as session:
        staff.hire(session, "usr_root", role="admin")
        asked = reversals.request(session, now=NOW, transfer_id=transfer.id, maker="usr_root", reason="Mine alone")
        staff.approve(session, asked, now=NOW, checker="usr_root")


def held(database: Database, account_id: str) -> tuple[int, int]:
    """(wallet, receivable), the self-check being empty."""
    with database.reading("jobs") as session:
        assert reconciliation.compare(session, now=NOW).found == []
    found = world.balance(database, account_id)
    return found.wallet_minor, found.receivable_minor


def open_minor(database: Database, invoice_id: str) -> int:
    with database.reading() as session:
        return settlement.open_minor(session, invoice_id)


def two_invoices(database: Database) -> tuple[str, InvoiceHeader, InvoiceHeader]:
    """An account with 119.00 open of September and 59.50 of October."""
    account_id = world.open_account(database)
    world.used(database, account_id, Use(10_000, at=datetime(2026, 9, 10, tzinfo=UTC)))
    older = world.issued(database, account_id, period="2026-09")
    world.used(database, account_id, Use(5_000))
    return account_id, older, world.issued(database, account_id)


def test_a_transfer_pays_the_oldest_invoices_first_and_the_rest_is_the_wallets(database: Database) -> None:
    account_id, older, newer = two_invoices(database)
    done = book(database, account_id, line(20_000))
    assert done.parts == ((older.id, older.number, 11_900), (newer.id, newer.number, 5_950))
    assert (done.wallet_minor, done.payer, done.bank_account) == (2_150, "Calla Labs GmbH", IBAN)
    assert held(database, account_id) == (2_150, 0)
    with database.reading() as session:
        rows = session.execute(
            select(LedgerEntry.kind, LedgerEntry.debit_account_id, LedgerEntry.amount_minor)
            .where(LedgerEntry.transaction_id == done.transaction_id)
            .order_by(LedgerEntry.seq)
        ).all()
        assert {row.kind for row in rows} == {"bank_credit"}
        assert {row.debit_account_id.rsplit("/", 2)[1] for row in rows} == {"cash:bank"}
        assert [row.amount_minor for row in rows] == [11_900, 5_950, 2_150]
        assert [invoices.get_invoice(session, now=NOW, key=one.id).row.state for one in (older, newer)] == ["paid"] * 2
        assert balances.of_ledger_account(session, "house/house/cash:bank/USD") == -20_000
        payment = session.get_one(Payment, done.payment_id)
        assert (payment.provider, payment.session_id, payment.amount_minor) == ("bank", None, 20_000)
        [row] = sessions.list_payments(session, account_id=account_id)
        assert (row.purpose, row.session_id, row.rest_minor) == ("bank_transfer", None, 20_000)
        audited = session.scalars(select(AuditRecord.act).where(AuditRecord.actor == staff.MAKER)).all()
    assert {"bank_transfer.book", "payment.receive"} <= set(audited)
    with database.transaction("jobs") as session:
        assert receipt_issue.issue_waiting(session, now=NOW, account_id=account_id) == 1
        [notice] = session.scalars(select(OutboxMessage).where(OutboxMessage.topic == "receipt.issued"))
        assert notice.payload["amount_minor"] == 20_000
    held(database, account_id)


def test_the_operator_says_what_it_pays(database: Database) -> None:
    account_id, older, newer = two_invoices(database)
    done = book(database, account_id, line(6_000), (newer.id, 5_950))
    assert (done.parts, done.wallet_minor) == (((newer.id, newer.number, 5_950),), 50)
    assert (open_minor(database, older.id), open_minor(database, newer.id)) == (11_900, 0)
    assert book(database, account_id, line(1_000, "S-2"), shares=[]).wallet_minor == 1_000
    assert held(database, account_id) == (1_050, -11_900)


def test_the_same_statement_line_is_booked_once(database: Database) -> None:
    account_id, _, _ = two_invoices(database)
    other = world.open_account(database, "other")
    first = book(database, account_id, line(20_000))
    spaced = "de89 3704 0044 0532 0130 00"
    again = book(database, account_id, line(20_000, bank_account=spaced, payer="Somebody"))
    assert again == first
    for account, minor in ((account_id, 20_001), (other, 20_000)):
        with pytest.raises(Conflict) as refused:
            book(database, account, line(minor))
        assert (refused.value.fields["reason"], refused.value.fields["bank_transfer_id"]) == ("line_booked", first.id)
    assert book(database, other, line(20_000, bank_account="DE02120300000000202051")).id != first.id
    assert held(database, account_id) == (2_150, 0)


def test_a_line_booked_at_once_for_two_accounts_is_booked_for_one(database: Database) -> None:
    accounts = [world.open_account(database, code) for code in ("one", "two")] * 2

    def attempt(account_id: str) -> str | None:
        try:
            return book(database, account_id, line(5_000)).billing_account_id
        except Conflict:
            return None

    with ThreadPoolExecutor(4) as pool:
        done = [one for one in pool.map(attempt, accounts) if one is not None]
    assert len(set(done)) == 1
    with database.reading() as session:
        assert session.scalars(select(func.count()).select_from(Payment)).one() == 1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"value_on": TODAY + timedelta(days=1)}, "value_date_ahead"),
        ({"value_on": date(2016, 11, 21)}, "value_date_old"),
        ({"payer": "  "}, "empty"),
        ({"reference": ""}, "empty"),
        ({"reference": "S\u202e1"}, "direction_control"),
        ({"bank_account": "  "}, "empty"),
        ({"currency": "EUR"}, "currency_mismatch"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused_and_books_nothing(
    database: Database, changed: dict[str, Any], reason: str
) -> None:
    account_id, _, _ = two_invoices(database)
    with pytest.raises(Invalid) as refused:
        book(database, account_id, line(5_000, **changed))
    assert refused.value.fields["reason"] == reason
    assert held(database, account_id) == (0, -17_850)


def test_a_share_is_at_most_what_its_invoice_takes_and_what_is_left(database: Database) -> None:
    account_id, older, newer = two_invoices(database)
    foreign = world.invoice_of(database, 1_000, code="foreign")
    refusals: list[type[Refusal]] = []
    for shares in (
        [(older.id, 11_901)],
        [(older.id, 0)],
        [(older.id, -5)],
        [(older.id, 11_900), (newer.id, 101)],
        [(older.id, 1), (older.id, 1)],
        [(foreign.id, 100)],
        [("inv_none\x00", 100)],
    ):
        with pytest.raises(Refusal) as refused:
            book(database, account_id, line(12_000), *shares)
        refusals.append(type(refused.value))
    assert refusals == [*[AmountOutOfRange] * 4, Invalid, NotFound, NotFound]
    for minor in (0, -1, 10**11):
        with pytest.raises(AmountOutOfRange):
            book(database, account_id, line(minor))
    assert held(database, account_id) == (0, -17_850)


def test_a_value_date_in_a_closed_month_counts_on_the_first_open_day(database: Database) -> None:
    account_id, _, _ = two_invoices(database)
    with database.transaction("jobs") as session:
        periods.close(
            session,
            now=NOW,
            seller_id=world.account(database, "calla").seller_id,
            month_label="2026-10",
            actor="usr_ann",
        )
    done = book(database, account_id, line(20_000, value_on=date(2026, 10, 30)))
    with database.reading() as session:
        posted = session.get_one(LedgerTransaction, done.transaction_id)
    assert (posted.occurred_at.date(), posted.effective_at) == (date(2026, 10, 30), datetime(2026, 11, 1, tzinfo=UTC))
    held(database, account_id)


def test_a_wrong_booking_is_taken_back_by_two_and_its_line_can_be_booked_again(database: Database) -> None:
    account_id, older, newer = two_invoices(database)
    wrong = book(database, account_id, line(20_000))
    with pytest.raises(NotReversible):
        asked_as_any_other(database, wrong)
    with pytest.raises(SecondPersonNeeded):
        decided_alone(database, wrong)
    done = taken_back(database, wrong)
    assert done.reversed_at == NOW
    assert held(database, account_id) == (0, -17_850)
    assert (open_minor(database, older.id), open_minor(database, newer.id)) == (11_900, 5_950)
    with database.reading() as session:
        [payment] = sessions.list_payments(session, account_id=account_id)
        assert (payment.reversed_at, payment.rest_minor) == (NOW, 0)
        assert invoices.get_invoice(session, now=NOW, key=older.id).row.state in ("issued", "overdue")
    with pytest.raises(Conflict) as refused:
        taken_back(database, wrong)
    assert refused.value.fields["reason"] == "transfer_reversed"
    other = world.open_account(database, "other")
    right = book(database, other, line(20_000))
    assert (right.id != wrong.id, held(database, other)) == (True, (20_000, 0))


def test_taking_back_a_booking_lets_its_write_off_stand_again(database: Database) -> None:
    invoice = world.invoice_of(database, 10_000)
    test_write_offs._written_off(database, invoice, 11_900)
    wrong = book(database, invoice.billing_account_id, line(5_000), (invoice.id, 5_000))
    assert (wrong.wallet_minor, test_write_offs._figures(database, invoice)["bad_debt"]) == (0, -5_798)
    taken_back(database, wrong)
    after = test_write_offs._figures(database, invoice)
    assert (after["open"], after["receivable"], after["bad_debt"], after["tax"]) == (0, 0, -10_000, 0)


def test_what_was_credited_since_is_owed_by_the_wallet_when_its_payment_is_taken_back(database: Database) -> None:
    """119.00 paid, 59.50 credited into the wallet: without the payment the invoice asks for 59.50, and the wallet owes nothing."""
    invoice = world.invoice_of(database, 10_000)
    account_id = invoice.billing_account_id
    paid = book(database, account_id, line(11_900))
    with database.transaction() as session:
        credit_notes.credit(session, now=NOW, invoice_id=invoice.id, reason="Half", actor="usr_ann", amount_minor=5_950)
    assert held(database, account_id) == (5_950, 0)
    taken_back(database, paid)
    assert held(database, account_id) == (0, -5_950)
    assert open_minor(database, invoice.id) == 5_950


def test_who_paid_can_be_erased_and_the_booking_stands(database: Database) -> None:
    account_id, _, _ = two_invoices(database)
    done = book(database, account_id, line(20_000))
    with database.transaction("jobs") as session:
        session.execute(delete(LedgerMemo).where(LedgerMemo.transaction_id == done.transaction_id))
    with database.reading() as session:
        assert transfers.get_transfer(session, done.id).payer is None
    assert held(database, account_id) == (2_150, 0)
