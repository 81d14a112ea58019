"""A document sent once more, by the wish of a person, to everybody who would get it today."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.invoicing import events, settlement
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import NotFound
from billing.storage import outbox


def send_again(session: Session, *, now: datetime, invoice_id: str, form_key: str, actor: str) -> bool:
    """Queue the mail of an issued invoice or credit note again, with what is open now; False for the same form a second time.

    Locks the account's head. Raises NotFound for a draft.
    """
    header = session.get(InvoiceHeader, invoice_id)
    if header is None or header.number is None:
        raise NotFound(invoice_id=invoice_id[:60])
    heads.lock_one(session, header.billing_account_id)
    is_invoice = header.kind == "invoice"
    topic = "invoice.copy" if is_invoice else "credit_note.copy"
    is_queued = outbox.enqueue(
        session,
        now=now,
        topic=topic,
        dedup_key=f"{topic}:{header.id}:{form_key}",
        payload=_invoice(session, header) if is_invoice else _credit_note(session, header),
        billing_account_id=header.billing_account_id,
    )
    if is_queued:
        events.record(session, header, now=now, type="sent_again", actor=actor)
        session.flush()  # the page that follows shows it
    return is_queued


def _invoice(session: Session, header: InvoiceHeader) -> dict[str, object]:
    return {
        "invoice_id": header.id,
        "number": header.number,
        "total_minor": header.payable_minor,
        "due_minor": settlement.open_minor(session, header.id),
        "due_on": str(header.due_on),
        "currency": header.currency,
    }


def _credit_note(session: Session, header: InvoiceHeader) -> dict[str, object]:
    corrected = session.get(InvoiceHeader, header.corrects_id) if header.corrects_id else None
    return {
        "credit_note_id": header.id,
        "invoice_id": header.corrects_id,
        "invoice_number": corrected.number if corrected is not None else None,
        "number": header.number,
        "amount_minor": header.payable_minor,
        "currency": header.currency,
    }
