"""Who hears of a dispute: the audit log, the disputed invoice, finance and the tenant."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.invoicing import events
from billing.invoicing.tables import InvoiceHeader
from billing.payments.disputes import states
from billing.payments.disputes.tables import Dispute
from billing.storage import audit, outbox

# State -> the last word of the notice that finance gets of it.
_TOLD = {
    "opened": "opened",
    "needs_response": "opened",
    "evidence_due": "evidence_due",
    "won": "won",
    "lost": "lost",
}


def tell(
    session: Session, item: Dispute, *, now: datetime, state_before: str | None, was_standing: bool, actor: str
) -> None:
    """Leave the invoice's event, an audit row and the notices of a state that has changed; each notice once per dispute and state.

    `was_standing`: `is_standing` as it was before.
    """
    _mark_invoice(session, item, now, was_standing, actor)
    if item.state == state_before:
        return
    audit.record(
        session,
        now=now,
        actor=actor,
        act=f"dispute.{item.state}",
        subject_type="payment_dispute",
        subject_id=item.id,
        billing_account_id=item.billing_account_id,
        facts=_facts(item) | {"before": state_before},
    )
    if state_before is None:
        _tell_finance(session, item, now, "opened")
        if not item.is_inquiry:
            _tell_tenant(session, item, now, "disputed")
    word = _TOLD.get(item.state)
    if word is not None:
        _tell_finance(session, item, now, word)
    if item.state in ("won", "lost") and not item.is_inquiry:
        _tell_tenant(session, item, now, "dispute_ended", suffix=f":{item.state}")


def is_standing(item: Dispute) -> bool:
    """Whether it makes its invoice a disputed one: open, and more than a question."""
    return item.state in states.OPEN and not item.is_inquiry and item.invoice_id is not None


def _mark_invoice(session: Session, item: Dispute, now: datetime, was_standing: bool, actor: str) -> None:
    """The invoice is disputed from the first open state to the last: one event at either end."""
    if item.invoice_id is None:
        return
    header = session.get_one(InvoiceHeader, item.invoice_id)
    is_now = is_standing(item)
    if was_standing != is_now:
        facts = {"dispute_id": item.id, "outcome": item.state}
        events.record(
            session, header, now=now, type="disputed" if is_now else "dispute_ended", actor=actor, facts=facts
        )


def _tell_finance(session: Session, item: Dispute, now: datetime, word: str) -> None:
    outbox.enqueue(
        session,
        now=now,
        topic=f"dispute.{word}",
        dedup_key=f"dispute.{word}:{item.id}",
        payload=_facts(item),
        billing_account_id=item.billing_account_id,
    )


def _tell_tenant(session: Session, item: Dispute, now: datetime, word: str, *, suffix: str = "") -> None:
    if item.billing_account_id is None:
        return
    outbox.enqueue(
        session,
        now=now,
        topic=f"payment.{word}",
        dedup_key=f"payment.{word}:{item.id}{suffix}",
        payload=_facts(item),
        billing_account_id=item.billing_account_id,
    )


def _facts(item: Dispute) -> dict[str, object]:
    return {
        "dispute_id": item.id,
        "payment_id": item.payment_id,
        "invoice_id": item.invoice_id,
        "amount_minor": item.amount_minor,
        "currency": item.currency,
        "reason": item.reason,
        "state": item.state,
        "is_inquiry": item.is_inquiry,
        "due_by": item.due_by.isoformat() if item.due_by else None,
    }
