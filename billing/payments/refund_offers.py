"""What can be asked back of an account now, each with its most: payments to their card or bank account, and invoices as credit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.invoicing import credit_notes, invoices
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.errors import NotFound
from billing.kernel.money import Money
from billing.payments import refund_limits, refund_subjects, sessions
from billing.payments.refund_limits import FundsLeft
from billing.payments.sessions import PaymentRow
from billing.payments.tables import RefundRequest

_CREDITABLE = ("issued", "part_paid", "paid", "overdue", "uncollectible", "credited")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One way to get money back. With a payment and an invoice, the invoice is credited first."""

    mode: str
    payment: PaymentRow | None
    invoice_id: str | None
    invoice_number: str | None
    limit: Money

    @property
    def key(self) -> str:
        """What a form calls it: payment:<id>, payment:<id>:<invoice id>, transfer:<id>..., or invoice:<id>."""
        if self.payment is None:
            return f"invoice:{self.invoice_id}"
        kind = "transfer" if self.mode == "bank" else "payment"
        return ":".join(part for part in (kind, self.payment.id, self.invoice_id) if part)


@dataclass(frozen=True, kw_only=True)
class RefundLimits:
    """What an operator sees before deciding: the rest of the payment, what can be credited, and the funds that may leave.

    None is what does not bind a refund of that mode.
    """

    rest_minor: int | None
    creditable_minor: int | None
    funds_minor: int | None
    limit_minor: int
    reason: str
    currency: str
    is_within: bool


def refundable(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    payment_id: str,
    invoice_id: str | None = None,
    left: FundsLeft | None = None,
) -> Money:
    """What of a payment may be asked back now: its rest, less what is asked already, at most the refundable funds.

    With an invoice, which is credited first: at most what can be credited of it. `left` are the funds where they were read before.
    """
    payment = refund_subjects.require_payment(session, account_id, payment_id)
    asked = RefundRequest(
        id="",
        billing_account_id=account_id,
        payment_id=payment_id,
        invoice_id=invoice_id,
        origin="request",
        mode="card",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
    )
    found = refund_limits.standing(session, asked, now=now, with_waiting=True, left=left)
    is_stopped = refund_limits.is_disputed(session, asked, found)
    return Money(minor=0 if is_stopped else max(0, found.limit_minor), currency=payment.currency)


def limits_of(session: Session, *, now: datetime, refund_id: str) -> RefundLimits:
    """What an operator sees before deciding a request."""
    item = session.get(RefundRequest, refund_id)
    if item is None:
        raise NotFound(refund_id=refund_id)
    found = refund_limits.standing(session, item, now=now)
    is_stopped = item.origin == "request" and refund_limits.is_disputed(session, item, found)
    limit_minor = 0 if is_stopped else found.limit_minor
    return RefundLimits(
        rest_minor=found.rest_minor if item.payment_id else None,
        creditable_minor=found.creditable_minor,
        funds_minor=max(0, found.funds.minor) if found.funds else None,
        limit_minor=limit_minor,
        reason="disputed" if is_stopped else found.reason,
        currency=item.currency,
        is_within=item.amount_minor <= limit_minor,
    )


def list_offers(session: Session, *, now: datetime, account_id: str, limit: int, is_staff: bool = False) -> list[Offer]:
    """The newest payments and invoices of which something is left; an operator may also send a card's money by transfer."""
    found: list[Offer] = []
    left: dict[str, FundsLeft] = {}
    payments = sessions.list_payments(session, account_id=account_id, limit=limit)
    paid = _paid_by(session, [payment.transaction_id for payment in payments])
    for payment in payments:
        if payment.currency not in left:
            left[payment.currency] = refund_limits.funds(
                session, now=now, account_id=account_id, currency=payment.currency
            )
        found += _of_payment(
            session, now, account_id, payment, paid.get(payment.transaction_id, []), left[payment.currency], is_staff
        )
    for row in invoices.list_invoices(
        session, now=now, account_id=account_id, states=_CREDITABLE, kind="invoice", limit=limit
    ):
        rest = credit_notes.rest_minor(session, row.id) - refund_limits.waiting_minor(session, invoice_id=row.id)
        if rest > 0:
            most = Money(minor=rest, currency=row.currency)
            found.append(Offer(mode="credit", payment=None, invoice_id=row.id, invoice_number=row.number, limit=most))
    return found


def _of_payment(
    session: Session,
    now: datetime,
    account_id: str,
    payment: PaymentRow,
    paid: Sequence[tuple[str, str]],
    left: FundsLeft,
    is_staff: bool,
) -> list[Offer]:
    modes = ["bank" if payment.provider == "bank" else "card"]
    if is_staff and modes == ["card"] and refund_subjects.may_go_by_transfer(session, payment.id):
        modes.append("bank")
    found = []
    for invoice_id, number in [(None, None), *paid]:
        most = refundable(
            session, now=now, account_id=account_id, payment_id=payment.id, invoice_id=invoice_id, left=left
        )
        found += [
            Offer(mode=mode, payment=payment, invoice_id=invoice_id, invoice_number=number, limit=most)
            for mode in modes
            if most.minor > 0
        ]
    return found


def _paid_by(session: Session, transaction_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """{ledger transaction of a payment: (id, number) of each invoice that it paid}."""
    query = (
        select(InvoiceSettlement.transaction_id, InvoiceHeader.id, InvoiceHeader.number)
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceSettlement.invoice_id)
        .where(InvoiceSettlement.transaction_id.in_(transaction_ids), InvoiceSettlement.kind == "payment")
        .order_by(InvoiceHeader.number)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for transaction_id, invoice_id, number in session.execute(query).all():
        found.setdefault(transaction_id, []).append((invoice_id, number or ""))
    return found
