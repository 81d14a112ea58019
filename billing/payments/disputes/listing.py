"""Disputes as pages, API and command line read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import NotFound
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.payments.disputes import history, states
from billing.payments.disputes.tables import Dispute, DisputeEvent
from billing.payments.tables import Payment

STATES = ("opened", "needs_response", "evidence_due", "evidence_submitted", "won", "lost", "closed")


@dataclass(frozen=True, kw_only=True)
class DisputeRow:
    """One dispute. `held_minor` is what the bank holds now, `lost_minor` what was finally lost (minor units of `currency`).

    Without an account it is a case: `finding` says why nothing is posted.
    """

    id: str
    account_id: str | None
    account_code: str | None
    account_name: str | None
    payment_id: str | None
    payment_minor: int | None
    method_label: str | None
    received_at: datetime | None
    invoice_id: str | None
    invoice_number: str | None
    provider: str
    provider_dispute_id: str
    provider_payment_id: str | None
    is_inquiry: bool
    amount_minor: int
    currency: str
    reason: str
    network_reason_code: str | None
    provider_state: str
    state: str
    funds: str
    finding: str | None
    due_by: datetime | None
    submission_count: int
    opened_at: datetime
    ended_at: datetime | None
    looked_up_at: datetime
    held_minor: int
    lost_minor: int

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is asked of us."""
        return self.state in states.WAITING

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in states.OPEN


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """One thing that happened; `amount_minor` signed as the account's balance moved."""

    seq: int
    type: str
    amount_minor: int | None
    currency: str | None
    source_id: str | None
    transaction_id: str | None
    facts: dict[str, Any]
    actor: str
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class PostingRow:
    """One entry that a dispute made; `debit` and `credit` are ledger accounts by name, `is_house` of the house's own chain."""

    transaction_id: str
    kind: str
    debit: str
    credit: str
    amount_minor: int
    currency: str
    recorded_at: datetime
    is_house: bool


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which disputes: in these states, of this account; None and empty for any."""

    account_id: str | None = None
    states: tuple[str, ...] = ()


def list_disputes(
    session: Session,
    filters: Filters,
    *,
    limit: int = 50,
    offset: int = 0,
    before_id: str | None = None,
    by_deadline: bool = False,
) -> list[DisputeRow]:
    """Newest first, or those that wait for us by deadline before all others; `before_id` goes on behind a dispute."""
    query = _filtered(_rows(), filters)
    if before_id is not None:
        query = query.where(Dispute.id < before_id)
    if by_deadline:
        waits = case((Dispute.state.in_(states.WAITING), 0), (Dispute.state == "evidence_submitted", 1), else_=2)
        query = query.order_by(waits, case((waits == 0, Dispute.due_by), else_=None), Dispute.id.desc())
    else:
        query = query.order_by(Dispute.id.desc())
    return [_row(found) for found in session.execute(query.limit(limit).offset(offset))]


def count_disputes(session: Session, *, account_id: str | None = None) -> dict[str, int]:
    """{state: number of disputes}, every state there is, with 0 where it has none."""
    query = select(Dispute.state, func.count(Dispute.id)).group_by(Dispute.state)
    if account_id is not None:
        query = query.where(Dispute.billing_account_id == account_id)
    return dict.fromkeys(STATES, 0) | {state: int(count) for state, count in session.execute(query)}


def get_dispute(session: Session, *, key: str, account_id: str | None = None) -> DisputeRow:
    """One dispute by our id or the provider's; with `account_id` only of that billing account. Raises NotFound."""
    query = _filtered(_rows(), Filters(account_id=account_id))
    found = session.execute(
        query.where((Dispute.id == key) | (Dispute.provider_dispute_id == key)).limit(1)
    ).one_or_none()
    if found is None:
        raise NotFound(dispute_id=key[:60])
    return _row(found)


def list_history(session: Session, dispute_id: str) -> list[HistoryRow]:
    """What happened to a dispute, oldest first."""
    rows = session.execute(
        select(DisputeEvent).where(DisputeEvent.dispute_id == dispute_id).order_by(DisputeEvent.seq)
    ).scalars()
    return [
        HistoryRow(
            seq=row.seq,
            type=row.type,
            amount_minor=row.amount_minor,
            currency=row.currency,
            source_id=row.source_id,
            transaction_id=row.transaction_id,
            facts=row.facts,
            actor=row.actor,
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
        )
        for row in rows
    ]


def list_postings(session: Session, dispute_id: str, *, with_house: bool) -> Sequence[PostingRow]:
    """The entries that a dispute made, in order of booking; the house's fees only `with_house`."""
    query = (
        select(
            LedgerTransaction.id,
            LedgerEntry.kind,
            LedgerEntry.debit_account_id,
            LedgerEntry.credit_account_id,
            LedgerEntry.amount_minor,
            LedgerEntry.currency,
            LedgerTransaction.recorded_at,
            LedgerTransaction.type,
        )
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .join(DisputeEvent, DisputeEvent.transaction_id == LedgerTransaction.id)
        .where(DisputeEvent.dispute_id == dispute_id)
        .order_by(DisputeEvent.seq, LedgerEntry.seq)
    )
    if not with_house:
        query = query.where(LedgerTransaction.type != "dispute_fee")
    return [
        PostingRow(
            transaction_id=row.id,
            kind=row.kind,
            debit=_name(row.debit_account_id),
            credit=_name(row.credit_account_id),
            amount_minor=int(row.amount_minor),
            currency=row.currency,
            recorded_at=row.recorded_at,
            is_house=row.type == "dispute_fee",
        )
        for row in session.execute(query)
    ]


def _name(ledger_account_id: str) -> str:
    """`house/n/cash:stripe/USD` and `bac_1/wallet/USD` name the account before the currency."""
    return ledger_account_id.split("/")[-2]


def _moved(types: tuple[str, ...]) -> Any:
    return func.coalesce(
        select(func.sum(DisputeEvent.amount_minor))
        .where(DisputeEvent.dispute_id == Dispute.id, DisputeEvent.type.in_(types))
        .correlate(Dispute)
        .scalar_subquery(),
        0,
    )


def _rows() -> Select[Any]:
    return (
        select(
            Dispute,
            BillingAccount.code,
            BillingAccount.name,
            Payment,
            InvoiceHeader.number,
            _moved(history.MOVEMENTS).label("moved"),
            _moved(history.LOSSES).label("lost"),
        )
        .outerjoin(BillingAccount, BillingAccount.id == Dispute.billing_account_id)
        .outerjoin(Payment, Payment.id == Dispute.payment_id)
        .outerjoin(InvoiceHeader, InvoiceHeader.id == Dispute.invoice_id)
    )


def _filtered(query: Select[Any], filters: Filters) -> Select[Any]:
    if filters.account_id is not None:
        query = query.where(Dispute.billing_account_id == filters.account_id)
    if filters.states:
        query = query.where(Dispute.state.in_(filters.states))
    return query


def _row(found: Any) -> DisputeRow:
    item, code, name, payment, number, moved, lost = found
    held_minor = -int(moved) - int(lost)
    return DisputeRow(
        id=item.id,
        account_id=item.billing_account_id,
        account_code=code,
        account_name=name,
        payment_id=item.payment_id,
        payment_minor=payment.amount_minor if payment else None,
        method_label=payment.method_label if payment else None,
        received_at=payment.received_at if payment else None,
        invoice_id=item.invoice_id,
        invoice_number=number,
        provider=item.provider,
        provider_dispute_id=item.provider_dispute_id,
        provider_payment_id=item.provider_payment_id,
        is_inquiry=item.is_inquiry,
        amount_minor=item.amount_minor,
        currency=item.currency,
        reason=item.reason,
        network_reason_code=item.network_reason_code,
        provider_state=item.provider_state,
        state=item.state,
        funds=item.funds,
        finding=item.finding,
        due_by=item.due_by,
        submission_count=item.submission_count,
        opened_at=item.opened_at,
        ended_at=item.ended_at,
        looked_up_at=item.looked_up_at,
        held_minor=held_minor,
        lost_minor=int(lost),
    )
