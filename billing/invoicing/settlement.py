"""What settles an invoice: wallet at issue, payments, credit notes, each from one ledger transaction. The document never changes."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.invoicing import events, exchange_results
from billing.invoicing.errors import SettlementTooHigh
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.storage import outbox


def open_minor(session: Session, invoice_id: str) -> int:
    """What is left to pay of an issued invoice, in minor units of its currency. Read it under the account's lock to act on it.

    Raises NotFound for anything but an issued invoice.
    """
    header = _get(session, invoice_id)
    settled = session.scalars(
        select(func.sum(InvoiceSettlement.amount_minor)).where(InvoiceSettlement.invoice_id == invoice_id)
    ).one()
    return header.payable_minor - int(settled or 0)


def asked_minor(session: Session, invoice_id: str) -> int:
    """What an issued invoice asks for net of the credit notes that name it, paid or not, at least 0 (minor units of its currency).

    Of the sale of a commitment that is all of it, however much was drawn since: what may still be credited is less. Raises NotFound.
    """
    header = _get(session, invoice_id)
    credited = session.scalars(
        select(func.sum(InvoiceHeader.total_minor + InvoiceHeader.rounding_minor)).where(
            InvoiceHeader.corrects_id == invoice_id,
            InvoiceHeader.kind == "credit_note",
            InvoiceHeader.state == "issued",
        )
    ).one()
    return max(0, header.payable_minor - int(credited or 0))


def apply_payment(
    session: Session, *, now: datetime, invoice_id: str, transaction_id: str, amount_minor: int, actor: str
) -> int:
    """Record the part of a payment that the ledger put on this invoice's receivable; what is open after it.

    The caller holds the account's lock and has posted `transaction_id`. A negative amount undoes (a payment returned). The same
    transaction again changes nothing. Raises SettlementTooHigh above what is open, or below nothing paid.
    """
    return record(
        session,
        now=now,
        invoice_id=invoice_id,
        transaction_id=transaction_id,
        kind="payment",
        amount_minor=amount_minor,
        actor=actor,
    )


def record(
    session: Session, *, now: datetime, invoice_id: str, transaction_id: str, kind: str, amount_minor: int, actor: str
) -> int:
    """`apply_payment` for any kind (wallet, payment, credit_note, write_off, dispute); the caller holds the account's lock."""
    before = open_minor(session, invoice_id)
    header = session.get_one(InvoiceHeader, invoice_id)
    repeated = session.scalars(
        select(InvoiceSettlement.id).where(
            InvoiceSettlement.invoice_id == invoice_id,
            InvoiceSettlement.transaction_id == transaction_id,
            InvoiceSettlement.kind == kind,
        )
    ).first()
    if repeated is not None or amount_minor == 0:
        return before
    after = before - amount_minor
    if after < 0 or after > header.payable_minor:
        raise SettlementTooHigh(
            invoice_id=invoice_id, open_minor=before, amount_minor=amount_minor, currency=header.currency
        )
    session.add(
        InvoiceSettlement(
            id=new_id("ins"),
            invoice_id=invoice_id,
            transaction_id=transaction_id,
            kind=kind,
            amount_minor=amount_minor,
            settled_at=now,
        )
    )
    exchange_results.note(session, header, now=now, transaction_id=transaction_id, kind=kind, amount_minor=amount_minor)
    if kind not in ("credit_note", "write_off", "dispute"):  # these write their own event
        facts = {"amount_minor": amount_minor, "open_minor": after, "transaction": transaction_id}
        type_ = "payment_undone" if amount_minor < 0 else "paid" if after == 0 else "part_paid"
        events.record(session, header, now=now, type=type_, actor=actor, facts=facts)
    session.flush()  # the next share of the same act must see it
    if after == 0 and amount_minor > 0 and kind == "payment":
        outbox.enqueue(
            session,
            now=now,
            topic="invoice.paid",
            dedup_key=f"invoice.paid:{invoice_id}:{transaction_id}",
            payload={"invoice_id": invoice_id, "number": header.number, "currency": header.currency},
            billing_account_id=header.billing_account_id,
        )
    return after


def _get(session: Session, invoice_id: str) -> InvoiceHeader:
    header = session.get(InvoiceHeader, invoice_id)
    if header is None or header.kind != "invoice" or header.state != "issued":
        raise NotFound(invoice_id=invoice_id[:60])
    return header
