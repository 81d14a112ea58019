"""Lines, allowances and VAT groups of issued documents: each row says what the document that was issued says, and what its charge holds."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.invoicing.tables import InvoiceAllowance, InvoiceHeader, InvoiceLine, InvoiceTax
from billing.rating.tables import Charge

NAME = "invoice_line"

_LINE = (
    *("id", "seq", "charge_id", "description", "quantity_text", "unit", "unit_price_text", "amount_minor"),
    *("tax_category", "tax_rate_bp"),
)
_SINCE = ("contract_id", "gross_minor")  # said since there are commitments, and prices that include tax
_ALLOWANCE = ("seq", "kind", "grant_id", "reason", "tax_category", "tax_rate_bp", "amount_minor")
_TAX = ("category", "rate_bp", "jurisdiction", "taxable_minor", "tax_minor", "reason")
_TAX_SINCE = ("vatex", "scheme", "registration")  # said since there are tax profiles


def check(session: Session, tally: Tally) -> None:
    """Look at every line, every allowance and every VAT group of every issued document."""
    lines = taxes = allowances = 0
    issued = InvoiceHeader.number.is_not(None)
    again = aliased(InvoiceHeader)
    statement = select(
        InvoiceHeader.id,
        InvoiceHeader.number,
        InvoiceHeader.kind,
        InvoiceHeader.takes_charges,
        InvoiceHeader.snapshot,
        select(again.id).where(again.replaces_id == InvoiceHeader.id).scalar_subquery().label("billed_again_by"),
    )
    for header in streams.stream(session, statement.where(issued).order_by(InvoiceHeader.id)):
        lines += _check_lines(session, tally, header)
        taxes += _check_taxes(session, tally, header)
        allowances += _check_allowances(session, tally, header)
    for table, looked in ((InvoiceLine, lines), (InvoiceTax, taxes), (InvoiceAllowance, allowances)):
        there = select(func.count()).select_from(table).join(InvoiceHeader, InvoiceHeader.id == table.invoice_id)
        tally.expect(table.__tablename__, looked, count(session, there.where(issued)))


def _check_lines(session: Session, tally: Tally, header: Any) -> int:
    rows = session.execute(
        select(
            *(getattr(InvoiceLine, name) for name in (*_LINE, *_SINCE)),
            InvoiceLine.charged_minor,
            Charge.posted_minor,
            Charge.draft_id,
        )
        .outerjoin(Charge, Charge.id == InvoiceLine.charge_id)
        .where(InvoiceLine.invoice_id == header.id)
        .order_by(InvoiceLine.seq)
    ).all()
    tally.look(len(rows))
    said = {line["id"]: line for line in header.snapshot["lines"]}
    for row in rows:
        line = said.pop(row.id, None)
        if line is None:
            tally.differ(row.id, f"is no line of document {header.number} as it was issued", number=header.number)
            continue
        other = [name for name in _LINE if getattr(row, name) != line[name]]
        other += [name for name in _SINCE if getattr(row, name) != line.get(name)]
        if other:
            sentence = f"says other than document {header.number} as it was issued: {', '.join(other)}"
            tally.differ(row.id, sentence, number=header.number)
        if row.charge_id is not None and not _is_held(header, row):
            sentence = f"bills {row.amount_minor}, charge {row.charge_id} of {row.draft_id} holds {row.posted_minor}"
            tally.differ(row.id, sentence, number=header.number)
    for line_id in said:
        tally.differ(line_id, f"is missing from document {header.number}", number=header.number)
    return len(rows)


def _is_held(header: Any, row: Any) -> bool:
    """Whether a line's charge holds what the line says, and belongs to its document; one billed again belongs to a later one."""
    if header.kind == "credit_note" and not header.takes_charges:
        return True  # of the invoice that it corrects
    sign = -1 if header.takes_charges else 1
    is_own = row.draft_id == header.id
    booked_minor = row.amount_minor if row.gross_minor is None else row.gross_minor
    billed = sign * booked_minor if row.charged_minor is None else row.charged_minor
    return bool(row.posted_minor == billed and is_own == (header.billed_again_by is None))


def _check_allowances(session: Session, tally: Tally, header: Any) -> int:
    columns = [getattr(InvoiceAllowance, name) for name in _ALLOWANCE]
    rows = session.execute(select(*columns).where(InvoiceAllowance.invoice_id == header.id)).all()
    tally.look(len(rows))
    stored = sorted(tuple(row) for row in rows)
    said = sorted(tuple(one[name] for name in _ALLOWANCE) for one in header.snapshot.get("allowances", ()))
    if stored != said:
        sentence = f"its allowances are not those of document {header.number} as it was issued"
        tally.differ(header.id, sentence, number=header.number)
    return len(rows)


def _check_taxes(session: Session, tally: Tally, header: Any) -> int:
    columns = [getattr(InvoiceTax, name) for name in (*_TAX, *_TAX_SINCE)]
    rows = session.execute(select(*columns).where(InvoiceTax.invoice_id == header.id)).all()
    tally.look(len(rows))
    stored = sorted(tuple(row) for row in rows)
    said = sorted(
        (*(group[name] for name in _TAX), *(group.get(name) for name in _TAX_SINCE))
        for group in header.snapshot["taxes"]
    )
    if stored != said:
        sentence = f"its VAT groups are not those of document {header.number} as it was issued"
        tally.differ(header.id, sentence, number=header.number)
    return len(rows)
