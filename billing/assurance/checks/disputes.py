"""Disputes: what the bank holds is what their movements say, each booked once; what was answered is unaltered."""

import hashlib
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.ledger import balances
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.payments.disputes import history, states
from billing.payments.disputes.tables import Dispute, DisputeEvent, DisputeFile, DisputeSubmission

NAME = "dispute"

_KINDS = ("chargeback_debit", "chargeback_reversal", "chargeback_final")


def check(session: Session, tally: Tally) -> None:
    """Look at every dispute, every movement of one, and every answer."""
    _check_movements(session, tally)
    _check_axes(session, tally)
    _check_held(session, tally)
    _check_answers(session, tally)


def _check_movements(session: Session, tally: Tally) -> None:
    """Each movement's transaction moved the disputed account by exactly that; each such transaction belongs to a dispute."""
    statement = (
        select(DisputeEvent.id, DisputeEvent.transaction_id, DisputeEvent.amount_minor, DisputeEvent.currency)
        .where(DisputeEvent.type.in_((*history.MOVEMENTS, *history.LOSSES)))
        .order_by(DisputeEvent.id)
    )
    for event in streams.stream(session, statement):
        tally.look()
        booked = _on_disputed(session, event.transaction_id)
        if booked != {event.currency: event.amount_minor}:
            sentence = f"says {event.amount_minor} {event.currency}, its ledger transaction moved {booked}"
            tally.differ(event.id, sentence, amount_minor=event.amount_minor)
    strays: Any = (
        select(LedgerTransaction.id)
        .outerjoin(DisputeEvent, DisputeEvent.transaction_id == LedgerTransaction.id)
        .where(
            DisputeEvent.id.is_(None),
            select(LedgerEntry.id)
            .where(LedgerEntry.transaction_id == LedgerTransaction.id, LedgerEntry.kind.in_(_KINDS))
            .exists(),
        )
    )
    for (transaction_id,) in streams.stream(session, strays):
        tally.look()
        tally.differ(transaction_id, "moves disputed money, but no dispute says so")


def _on_disputed(session: Session, transaction_id: str | None) -> dict[str, int]:
    rows = session.execute(
        select(
            LedgerEntry.credit_account_id, LedgerEntry.debit_account_id, LedgerEntry.amount_minor, LedgerEntry.currency
        ).where(LedgerEntry.transaction_id == transaction_id)
    )
    found: dict[str, int] = {}
    for credit, debit, minor, currency in rows:
        found[currency] = found.get(currency, 0) + int(minor) * (("/disputed/" in credit) - ("/disputed/" in debit))
    return found


def _check_axes(session: Session, tally: Tally) -> None:
    """Funds are what the movements make them; a lost dispute holds nothing any more, one that is not lost has lost nothing."""
    rows = session.execute(select(Dispute.id, Dispute.state, Dispute.funds).order_by(Dispute.id)).all()
    for row in rows:
        tally.look()
        moved = history.movements(session, row.id)
        if row.funds != states.funds_of(moved):
            tally.differ(row.id, f"says its funds are {row.funds}, its movements are {moved}")
        lost_minor = sum(history.settled(session, row.id).values())
        if lost_minor != (-sum(moved) if row.state == "lost" else 0):
            sentence = f"is {row.state}, {-sum(moved)} minor units are gone and {lost_minor} are booked as lost"
            tally.differ(row.id, sentence, lost_minor=lost_minor)


def _check_held(session: Session, tally: Tally) -> None:
    """What an account's disputed figure stands at is what its disputes have moved."""
    statement = (
        select(Dispute.billing_account_id, DisputeEvent.currency, func.sum(DisputeEvent.amount_minor))
        .join(DisputeEvent, DisputeEvent.dispute_id == Dispute.id)
        .where(DisputeEvent.amount_minor.is_not(None))
        .group_by(Dispute.billing_account_id, DisputeEvent.currency)
    )
    wanted = {
        (str(account_id), str(currency)): int(minor or 0) for account_id, currency, minor in session.execute(statement)
    }
    for account_id in streams.account_ids(session):
        for balance in balances.of_account(session, account_id):
            said = wanted.pop((account_id, balance.currency), 0)
            tally.look()
            if balance.disputed_minor != said:
                sentence = (
                    f"its disputed figure is {balance.disputed_minor} {balance.currency}, its disputes make {said}"
                )
                tally.differ(account_id, sentence, ledger_minor=balance.disputed_minor, disputes_minor=said)
    for (held_by, currency), minor in wanted.items():
        if minor:
            tally.differ(held_by, f"has disputes of {minor} {currency} that the ledger does not hold")


def _check_answers(session: Session, tally: Tally) -> None:
    """Answers and files are the bytes that were stored."""
    for table in (DisputeSubmission, DisputeFile):
        ids = list(session.scalars(select(table.id).order_by(table.id)))
        for row_id in ids:
            tally.look()
            content, sha256 = session.execute(select(table.content, table.sha256).where(table.id == row_id)).one()
            if hashlib.sha256(content).hexdigest() != sha256:
                tally.differ(row_id, "is not what was stored: its bytes were altered")
    tally.expect("payment_disputes", count(session, select(func.count(Dispute.id))), _opened(session))


def _opened(session: Session) -> int:
    return count(session, select(func.count(DisputeEvent.id)).where(DisputeEvent.type == "opened"))
