"""A credit note as stored rows, issued from their first instant, and what is told of it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.invoicing import events, rows
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.tables import InvoiceHeader, InvoiceLine
from billing.storage import outbox


def store(
    session: Session,
    invoice: InvoiceHeader,
    document: InvoiceDocument,
    *,
    now: datetime,
    actor: str,
    digest: str,
    transaction_id: str,
    corrected: Mapping[str, str],
) -> InvoiceHeader:
    """Header, lines, taxes and allowances; `corrected` gives the invoice's line of each line of the note. Flushes."""
    note = _header(invoice, document, now=now, actor=actor, digest=digest, transaction_id=transaction_id)
    session.add(note)
    session.flush()  # lines and taxes refer to it
    billed = {row.id: row for row in session.scalars(select(InvoiceLine).where(InvoiceLine.id.in_(corrected.values())))}
    for line in document.lines:
        row = billed[corrected[line.id]]
        session.add(
            InvoiceLine(
                id=line.id,
                invoice_id=note.id,
                seq=line.seq,
                charge_id=row.charge_id,
                contract_id=row.contract_id,
                corrects_line_id=row.id,
                sku_code=row.sku_code,
                project_id=row.project_id,
                description=line.description,
                quantity_text=line.quantity_text,
                unit=line.unit,
                unit_price_text=line.unit_price_text,
                amount_minor=line.amount_minor,
                tax_category=line.tax_category,
                tax_rate_bp=line.tax_rate_bp,
                gross_minor=line.gross_minor,
                issued_at=note.issued_at,
            )
        )
    for group in document.taxes:
        row_of_group = rows.of_tax(note, group)
        row_of_group.issued_at = note.issued_at
        session.add(row_of_group)
    for one in document.allowances:
        row_of_allowance = rows.of_allowance(note, one)
        row_of_allowance.issued_at = note.issued_at
        session.add(row_of_allowance)
    session.flush()  # the next credit note counts them
    return note


def tell(
    session: Session,
    invoice: InvoiceHeader,
    note: InvoiceHeader,
    document: InvoiceDocument,
    *,
    now: datetime,
    actor: str,
) -> None:
    """Record it on both documents and put its notice into the outbox."""
    facts = {"number": note.number, "amount_minor": document.due_minor, "currency": note.currency}
    events.record(session, note, now=now, type="issued", actor=actor, facts={**facts, "invoice": invoice.id})
    events.record(session, invoice, now=now, type="credited", actor=actor, facts={**facts, "credit_note": note.id})
    outbox.enqueue(
        session,
        now=now,
        topic="credit_note.issued",
        dedup_key=f"credit_note.issued:{note.id}",
        payload={"credit_note_id": note.id, "invoice_id": invoice.id, "invoice_number": invoice.number, **facts},
        billing_account_id=note.billing_account_id,
    )


def _header(
    invoice: InvoiceHeader, document: InvoiceDocument, *, now: datetime, actor: str, digest: str, transaction_id: str
) -> InvoiceHeader:
    return InvoiceHeader(
        id=document.id,
        kind="credit_note",
        number=document.number,
        state="issued",
        billing_account_id=invoice.billing_account_id,
        seller_id=invoice.seller_id,
        billing_period_id=invoice.billing_period_id,
        corrects_id=invoice.id,
        currency=document.currency,
        allowance_minor=document.allowance_minor,
        net_minor=document.net_minor,
        tax_minor=document.tax_minor,
        total_minor=document.total_minor,
        prepaid_minor=0,
        rounding_minor=document.rounding_minor,
        prices_include_tax=document.prices_include_tax,
        reason=document.reason,
        drafted_at=now,
        approved_at=now,
        approved_by=actor,
        issued_at=now,
        issued_on=document.issued_on,
        snapshot=document.to_snapshot(),
        snapshot_hash=digest,
        transaction_id=transaction_id,
    )
