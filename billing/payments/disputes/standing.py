"""Whether a dispute stands in the way: asked before money is asked for again, and before it is given back."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.errors import Invalid
from billing.payments.disputes.tables import Dispute

OPEN_STATES = ("opened", "needs_response", "evidence_due", "evidence_submitted")


def is_open(
    session: Session,
    *,
    invoice_id: str | None = None,
    payment_id: str | None = None,
    with_inquiries: bool = True,
) -> bool:
    """Whether a dispute of that payment, or of a payment of that invoice, has not ended.

    An inquiry, by which a bank only asks, counts unless told otherwise: money must not be asked for again meanwhile, but may be
    given back, which is how an inquiry is best answered. Exactly one of the two ids is given.
    """
    return _exists(session, invoice_id, payment_id, OPEN_STATES, with_inquiries=with_inquiries)


def was_lost(session: Session, *, invoice_id: str | None = None, payment_id: str | None = None) -> bool:
    """Whether a dispute of that payment, or of a payment of that invoice, was lost: the card is not charged for it again unasked."""
    return _exists(session, invoice_id, payment_id, ("lost",), with_inquiries=True)


def holds_account(session: Session, account_id: str) -> bool:
    """Whether a dispute of any payment of the account has not ended, an inquiry among them."""
    query = select(Dispute.id).where(Dispute.billing_account_id == account_id, Dispute.state.in_(OPEN_STATES))
    return session.execute(query.limit(1)).first() is not None


def was_lost_since(session: Session, account_id: str, since: datetime) -> bool:
    """Whether a dispute of any payment of the account was lost at or after that time."""
    query = select(Dispute.id).where(
        Dispute.billing_account_id == account_id, Dispute.state == "lost", Dispute.ended_at >= since
    )
    return session.execute(query.limit(1)).first() is not None


def _exists(
    session: Session,
    invoice_id: str | None,
    payment_id: str | None,
    states: tuple[str, ...],
    *,
    with_inquiries: bool,
) -> bool:
    if (invoice_id is None) == (payment_id is None):
        raise Invalid(field="invoice_id", value=None, reason="one_subject_only")
    subject = Dispute.invoice_id == invoice_id if invoice_id is not None else Dispute.payment_id == payment_id
    query = select(Dispute.id).where(subject, Dispute.state.in_(states))
    if not with_inquiries:
        query = query.where(~Dispute.is_inquiry)
    return session.execute(query.limit(1)).first() is not None
