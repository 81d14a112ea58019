"""Money in and out: no credit without its payment, no payment without its credit, refunds held and counted as booked."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.ledger import balances
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.payments.tables import Payment, PaymentSession, RefundRequest

NAME = "payment"

_HELD = ("approved", "sent", "unknown")
_GONE = (*_HELD, "succeeded")
_MONEY = ("card", "bank")


def check(session: Session, tally: Tally) -> None:
    """Look at every payment, every credit from a provider, every refund request."""
    _check_payments(session, tally)
    _check_credits(session, tally)
    _check_refunds(session, tally)


def _check_payments(session: Session, tally: Tally) -> None:
    """Each payment's ledger transaction credited its account with exactly its amount, once; its refunds sum to what it says."""
    refunded: dict[str, int] = {}
    statement: Any = (
        select(RefundRequest.payment_id, func.sum(RefundRequest.amount_minor))
        .where(RefundRequest.mode.in_(_MONEY), RefundRequest.state.in_(_GONE))
        .group_by(RefundRequest.payment_id)
    )
    for payment_id, minor in session.execute(statement):
        refunded[payment_id] = int(minor)
    looked = 0
    statement = (
        select(
            *Payment.__table__.c,
            PaymentSession.state.label("session_state"),
            PaymentSession.amount_minor.label("asked_minor"),
            PaymentSession.currency.label("asked_currency"),
            LedgerTransaction.billing_account_id.label("credited_account_id"),
        )
        .outerjoin(PaymentSession, PaymentSession.id == Payment.session_id)
        .outerjoin(LedgerTransaction, LedgerTransaction.id == Payment.transaction_id)
        .order_by(Payment.id)
    )
    for row in streams.stream(session, statement):
        looked += 1
        tally.look()
        credited = _credited(session, row.transaction_id)
        if credited != {row.currency: row.amount_minor} or row.credited_account_id != row.billing_account_id:
            sentence = f"says {row.amount_minor} {row.currency}, its ledger transaction {row.transaction_id} credited {credited}"
            tally.differ(row.id, sentence, amount_minor=row.amount_minor)
        asked = (row.asked_minor, row.asked_currency, row.session_state)
        if row.session_id is not None and asked != (row.amount_minor, row.currency, "paid"):
            sentence = f"is not what its session {row.session_id} asked for, or that is not marked paid"
            tally.differ(row.id, sentence, asked_minor=row.asked_minor, session_state=row.session_state)
        if row.refunded_minor != refunded.pop(row.id, 0):
            tally.differ(row.id, f"says {row.refunded_minor} was refunded, its refund requests sum to something else")
    for payment_id, minor in refunded.items():
        tally.differ(payment_id, f"is refunded {minor} minor units and is not there")
    tally.expect("payments", looked, count(session, select(func.count()).select_from(Payment)))
    paid = select(func.count()).select_from(PaymentSession).where(PaymentSession.state == "paid")
    asked_for = select(func.count()).select_from(Payment).where(Payment.session_id.is_not(None))
    tally.expect("paid sessions with a payment", count(session, asked_for), count(session, paid))


def _credited(session: Session, transaction_id: str) -> dict[str, int]:
    """{currency: amount} that a transaction brought in by entries of kind stripe_credit or bank_credit."""
    rows = session.execute(
        select(LedgerEntry.currency, func.sum(LedgerEntry.amount_minor))
        .where(LedgerEntry.transaction_id == transaction_id, LedgerEntry.kind.in_(("stripe_credit", "bank_credit")))
        .group_by(LedgerEntry.currency)
    )
    return {currency: int(minor) for currency, minor in rows}


def _check_credits(session: Session, tally: Tally) -> None:
    """A wallet is never explained by nothing: each provider's credit has exactly one payment."""
    statement = (
        select(LedgerTransaction.id, Payment.id.label("payment_id"))
        .outerjoin(Payment, Payment.transaction_id == LedgerTransaction.id)
        .where(
            select(LedgerEntry.id)
            .where(LedgerEntry.transaction_id == LedgerTransaction.id, LedgerEntry.kind == "stripe_credit")
            .exists()
        )
    )
    for transaction_id, payment_id in streams.stream(session, statement):
        tally.look()
        if payment_id is None:
            tally.differ(transaction_id, "credits money from a provider, but there is no payment of it")


def _check_refunds(session: Session, tally: Tally) -> None:
    """What stands in refund_pending is what approved refunds hold and has not left our cash; each was held once, for its amount."""
    tally.look(count(session, select(func.count()).select_from(RefundRequest)))
    statement = (
        select(RefundRequest.billing_account_id, RefundRequest.currency, func.sum(RefundRequest.amount_minor))
        .where(RefundRequest.mode.in_(_MONEY), RefundRequest.state.in_(_HELD), RefundRequest.booked_at.is_(None))
        .group_by(RefundRequest.billing_account_id, RefundRequest.currency)
    )
    held = {(account_id, currency): int(minor) for account_id, currency, minor in session.execute(statement)}
    for account_id in streams.account_ids(session):
        for balance in balances.of_account(session, account_id):
            wanted = held.pop((account_id, balance.currency), 0)
            tally.look()
            if balance.refund_pending_minor != wanted:
                sentence = (
                    f"holds {balance.refund_pending_minor} {balance.currency} for refunds, its requests make {wanted}"
                )
                tally.differ(account_id, sentence, ledger_minor=balance.refund_pending_minor, requests_minor=wanted)
    for (account_id, currency), minor in held.items():
        tally.differ(account_id, f"has refunds of {minor} {currency} under way that the ledger does not hold")
    _check_holds(session, tally)


def _check_holds(session: Session, tally: Tally) -> None:
    """Every refund in money that was approved has its hold in the ledger, of its own amount, and no other has one."""
    holds: dict[str, tuple[str, int]] = {}
    statement: Any = (
        select(LedgerTransaction.source_id, LedgerEntry.currency, LedgerEntry.amount_minor)
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .where(LedgerTransaction.type == "refund_hold", LedgerEntry.kind == "refund_hold")
    )
    for refund_id, currency, minor in streams.stream(session, statement):
        holds[refund_id] = (currency, int(minor))
    statement = select(RefundRequest.id, RefundRequest.currency, RefundRequest.amount_minor).where(
        RefundRequest.mode.in_(_MONEY), RefundRequest.state.not_in(("requested", "rejected"))
    )
    for refund_id, currency, minor in streams.stream(session, statement):
        tally.look()
        held = holds.pop(refund_id, None)
        if held != (currency, minor):
            tally.differ(refund_id, f"was approved for {minor} {currency}, the ledger held {held}", amount_minor=minor)
    for refund_id, (currency, minor) in holds.items():
        tally.differ(refund_id, f"holds {minor} {currency} in the ledger and was never approved", amount_minor=minor)
