"""An issued invoice as it can be credited: its document, with what earlier credit notes took back of it, read from their rows."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.catalog.tables import CommitContract
from billing.invoicing import contracts, credits, lines, tax
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.tables import InvoiceAllowance, InvoiceHeader, InvoiceLine, InvoiceTax


def read(
    session: Session, header: InvoiceHeader, invoice: InvoiceDocument, contract: CommitContract | None
) -> credits.Creditable:
    """The invoice before one more credit note; of a sale at most what is left of its commitment. Read it under the account's lock.

    Credit notes of charges of their own (`takes_charges`) name the invoice and took nothing back of its lines, but what they gave back
    nobody can be given again.
    """
    limit = contracts.left_minor(session, contract) if contract is not None else None
    notes = notes_of(header.id)
    by_line = session.execute(
        select(InvoiceLine.corrects_line_id, func.sum(func.coalesce(InvoiceLine.gross_minor, InvoiceLine.amount_minor)))
        .where(InvoiceLine.invoice_id.in_(notes))
        .group_by(InvoiceLine.corrects_line_id)
    ).all()
    covered: dict[str, dict[str, int]] = {}
    for snapshot in session.scalars(select(InvoiceHeader.snapshot).where(InvoiceHeader.id.in_(notes))):
        _add_covers(covered, model.from_snapshot(snapshot or {}), invoice)
    back = _returned(session, notes)
    by_group = session.execute(
        select(InvoiceTax.category, InvoiceTax.rate_bp, func.sum(InvoiceTax.tax_minor))
        .where(InvoiceTax.invoice_id.in_(notes))
        .group_by(InvoiceTax.category, InvoiceTax.rate_bp)
    ).all()
    rounding = session.scalars(select(func.sum(InvoiceHeader.rounding_minor)).where(InvoiceHeader.id.in_(notes))).one()
    credited = {line_id: int(amount) for line_id, amount in by_line}
    treatments = {(group.category, group.rate_bp): lines.treatment_of(group) for group in invoice.taxes}
    return credits.Creditable(
        currency=invoice.currency,
        lines=[
            credits.CreditableLine(
                line_id=line.id,
                treatment=treatments[line.tax_category, line.tax_rate_bp],
                amount_minor=line.booked_minor,
                credited_minor=credited.get(line.id, 0),
                family=line.family or "",
                covers=line.covers,
                covers_credited=covered.get(line.id, {}),
                limit_minor=limit,
            )
            for line in invoice.lines
        ],
        allowances=[
            credits.CreditableAllowance(
                seq=one.seq,
                treatment=treatments[one.tax_category, one.tax_rate_bp],
                amount_minor=one.booked_minor,
                returned_minor=back.get((one.kind, one.grant_id, one.reason, one.tax_category, one.tax_rate_bp), 0),
            )
            for one in invoice.allowances
        ],
        tax_minor={treatments[group.category, group.rate_bp]: group.tax_minor for group in invoice.taxes},
        credited_tax_minor={treatments[category, rate_bp]: int(amount) for category, rate_bp, amount in by_group},
        rounding_before_minor=0 if invoice.prices_include_tax else int(rounding or 0),
        includes_tax=invoice.prices_include_tax,
        charges_credited_minor=_of_charges(session, header.id, treatments),
    )


def notes_of(invoice_id: str) -> Select[str]:
    """Ids of the issued credit notes that took back lines of an invoice."""
    return select(InvoiceHeader.id).where(
        InvoiceHeader.corrects_id == invoice_id,
        InvoiceHeader.state == "issued",
        ~InvoiceHeader.takes_charges,
    )


def _of_charges(
    session: Session, invoice_id: str, treatments: Mapping[tuple[str, int], tax.Treatment]
) -> dict[tax.Treatment, int]:
    """{treatment of the invoice: gross minor units} that issued credit notes of charges of their own gave back, naming this invoice.

    What they gave back at a rate that the invoice does not bear counts with its first.
    """
    rows = session.scalars(
        select(InvoiceTax)
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceTax.invoice_id)
        .where(
            InvoiceHeader.corrects_id == invoice_id,
            InvoiceHeader.state == "issued",
            InvoiceHeader.takes_charges,
        )
    )
    found: dict[tax.Treatment, int] = {}
    for row in rows:
        treatment = treatments.get((row.category, row.rate_bp)) or next(iter(treatments.values()))
        found[treatment] = found.get(treatment, 0) + row.taxable_minor + row.tax_minor
    return found


def _returned(session: Session, notes: Select[str]) -> dict[tuple[Any, ...], int]:
    """{(kind, grant, reason, tax category, rate): minor units that came back} of those notes' allowances."""
    key = (
        InvoiceAllowance.kind,
        InvoiceAllowance.grant_id,
        InvoiceAllowance.reason,
        InvoiceAllowance.tax_category,
        InvoiceAllowance.tax_rate_bp,
    )
    rows = session.execute(
        select(*key, func.sum(func.coalesce(InvoiceAllowance.gross_minor, InvoiceAllowance.amount_minor)))
        .where(InvoiceAllowance.invoice_id.in_(notes))
        .group_by(*key)
    ).all()
    return {tuple(found): int(amount) for *found, amount in rows}


def _add_covers(covered: dict[str, dict[str, int]], note: InvoiceDocument, invoice: InvoiceDocument) -> None:
    """Add what a credit note gave back of the invoice's drawdowns, by their line and family."""
    of_contract = {
        (line.contract_id, line.tax_category, line.tax_rate_bp): line.id for line in invoice.lines if line.covers
    }
    for line in note.lines:
        if line.covers:
            own = covered.setdefault(of_contract[line.contract_id, line.tax_category, line.tax_rate_bp], {})
            for family, minor in line.covers.items():
                own[family] = own.get(family, 0) + minor
