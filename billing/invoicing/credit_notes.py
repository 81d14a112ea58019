"""Credit notes: the only way to correct what was issued. Own series, the invoice named, VAT as tax on all credited so far.

The credit goes against what is open of the invoice first, then against what of it was written off, the rest to the wallet; nothing
more is posted for a refund as credit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.catalog.tables import CommitContract, Sku
from billing.invoicing import (
    contracts,
    credit_entries,
    credits,
    drafts,
    events,
    lines,
    numbers,
    rows,
    sales,
    settlement,
    write_offs,
)
from billing.invoicing.documents import model, page
from billing.invoicing.documents.model import InvoiceDocument, Line
from billing.invoicing.errors import NegativeTotal
from billing.invoicing.tables import InvoiceAllowance, InvoiceHeader, InvoiceLine, InvoiceTax
from billing.kernel.clock import get_zone
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id, new_ids
from billing.kernel.money import Money
from billing.ledger import book
from billing.storage import outbox

_REASON_MAX = 500


@dataclass(frozen=True, kw_only=True)
class Credited:
    """An issued credit note: what was given back in minor units, and where it went."""

    credit_note_id: str
    number: str
    transaction_id: str
    currency: str
    payable_minor: int
    to_receivable_minor: int
    to_wallet_minor: int


def credit(
    session: Session,
    *,
    now: datetime,
    invoice_id: str,
    reason: str,
    actor: str,
    amount_minor: int | None = None,
    lines: Mapping[str, int | None] | None = None,
    full: bool = False,
    account_id: str | None = None,
) -> Credited:
    """Issue a credit note for an issued invoice: by gross amount, by net amounts of lines (None: the line's rest), or the rest.

    Locks the account's head, then the series. `account_id` narrows whose invoice it may be. Raises NotFound, CreditTooHigh,
    Invalid without a reason or with none or several of the three ways.
    """
    reason = _require_reason(reason)
    if sum((amount_minor is not None, lines is not None, full)) != 1:
        raise Invalid(field="amount", reason="one_way_to_credit")
    header, head = drafts.lock_header(session, invoice_id)
    if header.kind != "invoice" or header.state != "issued" or account_id not in (None, header.billing_account_id):
        raise NotFound(invoice_id=invoice_id[:60])
    invoice = model.from_snapshot(header.snapshot or {})
    contract = sales.find_contract(session, header.id) if header.billing_period_id is None else None
    creditable = _creditable(session, header, invoice, contract)
    if amount_minor is not None:
        figures = credits.of_amount(creditable, amount_minor)
    else:
        figures = credits.of_rest(creditable) if lines is None else credits.of_lines(creditable, lines)
    gives_back = any(figures.covers.values()) or bool(figures.allowances)
    if figures.payable_minor < 0 or (figures.payable_minor == 0 and not gives_back):
        raise NegativeTotal(invoice_id=header.id, net_minor=figures.net_minor, currency=header.currency)
    note_id = new_id("drf")
    # What was written off was never paid: a credit takes its place before anything goes to the wallet.
    write_offs.undo_for_payment(
        session,
        now=now,
        head=head,
        invoice_id=header.id,
        amount=Money(minor=figures.payable_minor, currency=header.currency),
        actor=actor,
        source_id=note_id,
    )
    to_receivable = min(figures.payable_minor, settlement.open_minor(session, header.id))

    seller = directory.get_seller(session, header.seller_id)
    today = now.astimezone(get_zone(seller.zone)).date()
    line_ids = dict(zip(figures.lines, new_ids("inl", len(figures.lines)), strict=True))
    tried = numbers.dummy(seller.credit_note_prefix, today)
    page.try_out(_document(note_id, invoice, figures, line_ids, reason, to_receivable, tried))
    entries = credit_entries.of(
        note_id,
        figures,
        [_billed(session, line, invoice) for line in invoice.lines if figures.lines.get(line.id)],
        invoice.allowances,
        to_receivable_minor=to_receivable,
        currency=header.currency,
    )
    taken = numbers.take(session, seller_id=seller.id, prefix=seller.credit_note_prefix, today=today)
    document = _document(note_id, invoice, figures, line_ids, reason, to_receivable, taken)
    digest = model.snapshot_hash(document.to_snapshot())
    posted = book.post(
        session,
        now=now,
        head=head,
        type="credit_note",
        source_type="credit_note",
        source_id=note_id,
        entries=entries,
        occurred_at=now,
        actor=actor,
        memo=f"Credit note {taken.number} for {header.number}",
        anchor_hash=digest,
        linked_id=header.transaction_id,
    )
    note = _header(header, document, now=now, actor=actor, digest=digest, transaction_id=posted.transaction_id)
    _store(session, note, document, corrected={line_id: billed_id for billed_id, line_id in line_ids.items()})
    settlement.record(
        session,
        now=now,
        invoice_id=header.id,
        transaction_id=posted.transaction_id,
        kind="credit_note",
        amount_minor=to_receivable,
        actor=actor,
    )
    _tell(session, header, note, document, now=now, actor=actor)
    return Credited(
        credit_note_id=note_id,
        number=taken.number,
        transaction_id=posted.transaction_id,
        currency=header.currency,
        payable_minor=figures.payable_minor,
        to_receivable_minor=to_receivable,
        to_wallet_minor=figures.payable_minor - to_receivable,
    )


def rest_minor(session: Session, invoice_id: str) -> int:
    """What of an issued invoice can still be credited, gross. Raises NotFound."""
    header = session.get(InvoiceHeader, invoice_id)
    if header is None or header.kind != "invoice" or header.state != "issued":
        raise NotFound(invoice_id=invoice_id[:60])
    contract = sales.find_contract(session, header.id) if header.billing_period_id is None else None
    return _creditable(session, header, model.from_snapshot(header.snapshot or {}), contract).rest_minor


def _require_reason(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > _REASON_MAX:
        raise Invalid(field="reason", limit=_REASON_MAX, reason="reason_needed")
    return reason


def _creditable(
    session: Session, header: InvoiceHeader, invoice: InvoiceDocument, contract: CommitContract | None
) -> credits.Creditable:
    """The invoice with what earlier credit notes took back, from their rows; of a sale at most what is left of its commitment."""
    limit = contracts.left_minor(session, contract) if contract is not None else None
    notes = select(InvoiceHeader.id).where(InvoiceHeader.corrects_id == header.id, InvoiceHeader.state == "issued")
    by_line = session.execute(
        select(InvoiceLine.corrects_line_id, func.sum(InvoiceLine.amount_minor))
        .where(InvoiceLine.invoice_id.in_(notes))
        .group_by(InvoiceLine.corrects_line_id)
    ).all()
    covered: dict[str, dict[str, int]] = {}
    for snapshot in session.scalars(select(InvoiceHeader.snapshot).where(InvoiceHeader.id.in_(notes))):
        _add_covers(covered, model.from_snapshot(snapshot or {}), invoice)
    returned = session.execute(
        select(
            InvoiceAllowance.kind,
            InvoiceAllowance.grant_id,
            InvoiceAllowance.reason,
            InvoiceAllowance.tax_category,
            InvoiceAllowance.tax_rate_bp,
            func.sum(InvoiceAllowance.amount_minor),
        )
        .where(InvoiceAllowance.invoice_id.in_(notes))
        .group_by(
            InvoiceAllowance.kind,
            InvoiceAllowance.grant_id,
            InvoiceAllowance.reason,
            InvoiceAllowance.tax_category,
            InvoiceAllowance.tax_rate_bp,
        )
    ).all()
    back = {tuple(key): int(amount) for *key, amount in returned}
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
                amount_minor=line.amount_minor,
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
                amount_minor=one.amount_minor,
                returned_minor=back.get((one.kind, one.grant_id, one.reason, one.tax_category, one.tax_rate_bp), 0),
            )
            for one in invoice.allowances
        ],
        tax_minor={treatments[group.category, group.rate_bp]: group.tax_minor for group in invoice.taxes},
        credited_tax_minor={treatments[category, rate_bp]: int(amount) for category, rate_bp, amount in by_group},
        rounding_before_minor=int(rounding or 0),
    )


def _document(
    note_id: str,
    invoice: InvoiceDocument,
    figures: credits.Credit,
    line_ids: Mapping[str, str],
    reason: str,
    to_receivable_minor: int,
    taken: numbers.Taken,
) -> InvoiceDocument:
    """Parties and treatments are the invoice's own: a correction speaks of the supply as it was billed."""
    credited = [line for line in invoice.lines if figures.lines.get(line.id)]
    returned = [
        replace(one, seq=seq, amount_minor=figures.allowances[one.seq])
        for seq, one in enumerate((one for one in invoice.allowances if figures.allowances.get(one.seq)), start=1)
    ]
    return InvoiceDocument(
        id=note_id,
        kind="credit_note",
        number=taken.number,
        issued_on=taken.issued_on,
        due_on=None,
        currency=invoice.currency,
        account_code=invoice.account_code,
        zone=invoice.zone,
        period_label=invoice.period_label,
        period_start_at=invoice.period_start_at,
        period_end_at=invoice.period_end_at,
        seller=invoice.seller,
        buyer=invoice.buyer,
        purchase_order=invoice.purchase_order,
        bank_account=None,
        corrects_number=invoice.number,
        corrects_on=invoice.issued_on,
        reason=reason,
        lines=tuple(
            _line(line, line_ids[line.id], figures, seq, invoice) for seq, line in enumerate(credited, start=1)
        ),
        taxes=tuple(lines.of_group(group) for group in figures.groups),
        allowances=tuple(returned),
        allowance_minor=sum(one.amount_minor for one in returned),
        net_minor=figures.net_minor,
        tax_minor=figures.tax_minor,
        total_minor=figures.net_minor + figures.tax_minor,
        rounding_minor=figures.rounding_minor,
        prepaid_minor=0,
        due_minor=figures.payable_minor,
        to_receivable_minor=to_receivable_minor,
        to_wallet_minor=figures.payable_minor - to_receivable_minor,
    )


def _line(billed: Line, line_id: str, figures: credits.Credit, seq: int, invoice: InvoiceDocument) -> Line:
    amount_minor = figures.lines[billed.id]
    where = f"Line {billed.seq} of {invoice.number}"
    if billed.covers:
        where = f"{where}, given back to the commitment"
    return Line(
        id=line_id,
        seq=seq,
        description=billed.description,
        detail=f"{where} · {billed.detail}" if billed.detail else where,
        quantity_text="-1" if amount_minor < 0 else "1",
        unit="credit",
        unit_price_text=lines.plain_money(abs(amount_minor), invoice.currency),
        price_base_text="1",
        beside_text="",
        priced_unit="credit",
        amount_minor=amount_minor,
        tax_category=billed.tax_category,
        tax_rate_bp=billed.tax_rate_bp,
        charge_id=billed.charge_id,
        project_code=billed.project_code,
        family=billed.family,
        period_label=billed.period_label,
        contract_id=billed.contract_id,
        covers=dict(figures.covers.get(billed.id, {})),
    )


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


def _billed(session: Session, line: Line, invoice: InvoiceDocument) -> credit_entries.Billed:
    family = line.family
    if family is None and line.contract_id is None:  # of an invoice from before lines said so
        row = select(Sku.family).join(InvoiceLine, InvoiceLine.sku_code == Sku.code).where(InvoiceLine.id == line.id)
        family = session.scalars(row).one()
    return credit_entries.Billed(
        line_id=line.id, family=family, contract_id=line.contract_id, is_drawdown=bool(line.covers)
    )


def _header(
    invoice: InvoiceHeader, document: InvoiceDocument, *, now: datetime, actor: str, digest: str, transaction_id: str
) -> InvoiceHeader:
    """The row with all that it will ever say: a credit note is issued from its first instant."""
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


def _store(session: Session, note: InvoiceHeader, document: InvoiceDocument, *, corrected: Mapping[str, str]) -> None:
    """Header, lines and taxes; `corrected` gives the invoice's line of each line of the note."""
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


def _tell(
    session: Session,
    invoice: InvoiceHeader,
    note: InvoiceHeader,
    document: InvoiceDocument,
    *,
    now: datetime,
    actor: str,
) -> None:
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
