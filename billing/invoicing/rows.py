"""What a document says, as stored rows: lines, VAT groups, allowances. A draft's rows may be replaced, an issued one's never."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, delete, update
from sqlalchemy.orm import Session

from billing.invoicing import conversion
from billing.invoicing.documents.model import Allowance, InvoiceDocument, Line, Tax
from billing.invoicing.tables import InvoiceAllowance, InvoiceHeader, InvoiceLine, InvoiceTax
from billing.rating.periods import ChargeToInvoice
from billing.storage import bulk

_LINES = cast(Table, InvoiceLine.__table__)
_LINE_COLUMNS = tuple(column.name for column in _LINES.columns)


def of_line(header: InvoiceHeader, line: Line, charge: ChargeToInvoice | None = None) -> dict[str, Any]:
    """A line's row by column; one without a charge sells a commitment or draws it down. No object: invoices have many lines."""
    return {
        "id": line.id,
        "invoice_id": header.id,
        "seq": line.seq,
        "charge_id": line.charge_id,
        "contract_id": line.contract_id,
        "sku_code": charge.sku_code if charge else None,
        "project_id": charge.project_id if charge else None,
        "description": line.description,
        "quantity_base": charge.quantity_base if charge else None,
        "quantity_text": line.quantity_text,
        "unit": line.unit,
        "unit_price_text": line.unit_price_text,
        "amount_minor": line.amount_minor,
        "tax_category": line.tax_category,
        "tax_rate_bp": line.tax_rate_bp,
        "gross_minor": line.gross_minor,
        "charged_currency": line.converted.currency if line.converted else None,
        "charged_minor": conversion.charged_minor(line.converted) if line.converted else None,
        "corrects_line_id": None,
        "issued_at": None,
    }


def of_tax(header: InvoiceHeader, group: Tax) -> InvoiceTax:
    """The stored row of a VAT group."""
    return InvoiceTax(
        invoice_id=header.id,
        category=group.category,
        rate_bp=group.rate_bp,
        jurisdiction=group.jurisdiction,
        taxable_minor=group.taxable_minor,
        tax_minor=group.tax_minor,
        reason=group.reason,
        vatex=group.vatex,
        scheme=group.scheme,
        registration=group.registration,
    )


def of_allowance(header: InvoiceHeader, allowance: Allowance) -> InvoiceAllowance:
    """The stored row of an allowance."""
    return InvoiceAllowance(
        invoice_id=header.id,
        seq=allowance.seq,
        kind=allowance.kind,
        grant_id=allowance.grant_id,
        reason=allowance.reason,
        tax_category=allowance.tax_category,
        tax_rate_bp=allowance.tax_rate_bp,
        amount_minor=allowance.amount_minor,
        gross_minor=allowance.gross_minor,
    )


def replace_deductions(session: Session, header: InvoiceHeader, document: InvoiceDocument) -> None:
    """Make a draft's rows say what its document says now: other drawdowns, allowances and VAT, the same charges. Flushes."""
    session.execute(delete(InvoiceLine).where(InvoiceLine.invoice_id == header.id, InvoiceLine.charge_id.is_(None)))
    for table in (InvoiceTax, InvoiceAllowance):
        session.execute(delete(table).where(table.invoice_id == header.id))
    session.add_all(InvoiceLine(**of_line(header, line)) for line in document.lines if line.charge_id is None)
    session.add_all(of_tax(header, group) for group in document.taxes)
    session.add_all(of_allowance(header, one) for one in document.allowances)
    header.net_minor, header.tax_minor = document.net_minor, document.tax_minor
    header.total_minor, header.allowance_minor = document.total_minor, document.allowance_minor
    header.rounding_minor = document.rounding_minor
    if document.prices_include_tax:  # what is taken off moves the net of each charge's line too
        for line in document.lines:
            session.execute(update(InvoiceLine).where(InvoiceLine.id == line.id).values(amount_minor=line.amount_minor))
    header.snapshot = document.to_snapshot()
    session.flush()  # issue checks the rows against the document


def store_draft(
    session: Session,
    document: InvoiceDocument,
    *,
    now: datetime,
    account_id: str,
    seller_id: str,
    billing_period_id: str | None,
    charges: Mapping[str, ChargeToInvoice],
    corrects_id: str | None = None,
    replaces_id: str | None = None,
) -> InvoiceHeader:
    """Store a document as a new draft with its rows; `charges` by id.

    `corrects_id` is the invoice that a credit note of these charges names, `replaces_id` the one whose charges are billed again.
    """
    header = InvoiceHeader(
        id=document.id,
        kind=document.kind,
        corrects_id=corrects_id,
        takes_charges=corrects_id is not None,
        replaces_id=replaces_id,
        reason=document.reason,
        state="draft",
        billing_account_id=account_id,
        seller_id=seller_id,
        billing_period_id=billing_period_id,
        currency=document.currency,
        allowance_minor=document.allowance_minor,
        net_minor=document.net_minor,
        tax_minor=document.tax_minor,
        total_minor=document.total_minor,
        prepaid_minor=0,
        rounding_minor=document.rounding_minor,
        prices_include_tax=document.prices_include_tax,
        drafted_at=now,
        snapshot=document.to_snapshot(),
    )
    session.add(header)
    session.flush()  # lines and taxes refer to it
    made = (of_line(header, line, charges.get(line.charge_id or "")) for line in document.lines)
    values = (tuple(row[name] for name in _LINE_COLUMNS) for row in made)
    bulk.insert_rows(session, _LINES, _LINE_COLUMNS, values)
    session.add_all(of_tax(header, group) for group in document.taxes)
    session.add_all(of_allowance(header, one) for one in document.allowances)
    return header


def freeze(
    session: Session,
    header: InvoiceHeader,
    document: InvoiceDocument,
    *,
    now: datetime,
    snapshot: dict[str, Any],
    digest: str,
    transaction_id: str,
) -> None:
    """Write the number and all that goes with it in one UPDATE: from then on the database refuses any change (IV4)."""
    header.number, header.state = document.number, "issued"
    header.issued_at, header.issued_on, header.due_on = now, document.issued_on, document.due_on
    header.prepaid_minor, header.transaction_id = document.prepaid_minor, transaction_id
    header.snapshot, header.snapshot_hash = snapshot, digest
    session.execute(update(InvoiceLine).where(InvoiceLine.invoice_id == header.id).values(issued_at=now))
    for table in (InvoiceTax, InvoiceAllowance):
        session.execute(update(table).where(table.invoice_id == header.id).values(issued_at=now))
    session.flush()  # settlement reads the state
