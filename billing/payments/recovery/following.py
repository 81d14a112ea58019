"""What followed a payment: its receipt, its refunds, its disputes."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.invoicing.documents.receipt_tables import Receipt
from billing.payments.disputes.tables import Dispute
from billing.payments.tables import RefundRequest


@dataclass(frozen=True, kw_only=True)
class Followed:
    """One refund or dispute: our id, its state, how much, since when."""

    id: str
    state: str
    amount_minor: int
    currency: str
    at: datetime
    provider_id: str | None


@dataclass(frozen=True, kw_only=True)
class Follows:
    """Everything that hangs on one payment, oldest first."""

    receipt_id: str | None
    receipt_number: str | None
    refunds: tuple[Followed, ...]
    disputes: tuple[Followed, ...]


NOTHING = Follows(receipt_id=None, receipt_number=None, refunds=(), disputes=())


def of_payment(session: Session, *, payment_id: str, transaction_id: str | None) -> Follows:
    """The receipt, refunds and disputes of one of our payments; three reads by index."""
    receipt = session.execute(
        select(Receipt.id, Receipt.number).where(Receipt.transaction_id == (transaction_id or ""))
    ).one_or_none()
    refunds = session.execute(
        select(RefundRequest).where(RefundRequest.payment_id == payment_id).order_by(RefundRequest.id)
    ).scalars()
    disputes = session.execute(select(Dispute).where(Dispute.payment_id == payment_id).order_by(Dispute.id)).scalars()
    return Follows(
        receipt_id=None if receipt is None else receipt.id,
        receipt_number=None if receipt is None else receipt.number,
        refunds=tuple(
            Followed(
                id=item.id,
                state=item.state,
                amount_minor=item.amount_minor,
                currency=item.currency,
                at=item.requested_at,
                provider_id=item.provider_refund_id,
            )
            for item in refunds
        ),
        disputes=tuple(
            Followed(
                id=item.id,
                state=item.state,
                amount_minor=item.amount_minor,
                currency=item.currency,
                at=item.opened_at,
                provider_id=item.provider_dispute_id,
            )
            for item in disputes
        ),
    )
