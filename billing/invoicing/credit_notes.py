"""Credit notes: the only way to correct what was issued. Own series, the invoice named, VAT as tax on all credited so far.

The credit goes against what is open of the invoice first, then against what of it was written off, the rest to the wallet; nothing
more is posted for a refund as credit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.accounts.tables import AccountHead
from billing.catalog.tables import Sku
from billing.invoicing import (
    conversion,
    credit_documents,
    credit_entries,
    credit_rows,
    creditables,
    credits,
    drafts,
    exchange_results,
    numbers,
    sales,
    settlement,
    write_offs,
)
from billing.invoicing.documents import model, page
from billing.invoicing.documents.model import InvoiceDocument, Line
from billing.invoicing.errors import NegativeTotal
from billing.invoicing.tables import InvoiceHeader, InvoiceLine
from billing.kernel.clock import get_zone
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id, new_ids
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry

REASON_MAX = 500


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
    reason = require_reason(reason)
    if sum((amount_minor is not None, lines is not None, full)) != 1:
        raise Invalid(field="amount", reason="one_way_to_credit")
    header, head = drafts.lock_header(session, invoice_id)
    if header.kind != "invoice" or header.state != "issued" or account_id not in (None, header.billing_account_id):
        raise NotFound(invoice_id=invoice_id[:60])
    invoice = model.from_snapshot(header.snapshot or {})
    creditable = _creditable(session, header, invoice)
    if amount_minor is not None:
        figures = credits.of_amount(creditable, amount_minor)
    else:
        figures = credits.of_rest(creditable) if lines is None else credits.of_lines(creditable, lines)
    return issue(
        session, now=now, head=head, header=header, invoice=invoice, figures=figures, reason=reason, actor=actor
    )


def issue(
    session: Session,
    *,
    now: datetime,
    head: AccountHead,
    header: InvoiceHeader,
    invoice: InvoiceDocument,
    figures: credits.Credit,
    reason: str,
    actor: str,
    is_reissued: bool = False,
) -> Credited:
    """Issue the credit note of these figures, whose head the caller holds; the number is taken last.

    `is_reissued`: the invoice's charges are billed again, so that they go back to `unbilled` instead of out of revenue. Raises
    NegativeTotal where nothing is given back.
    """
    gives_back = any(figures.covers.values()) or bool(figures.allowances)
    if figures.payable_minor < 0 or (figures.payable_minor == 0 and not gives_back):
        raise NegativeTotal(invoice_id=header.id, net_minor=figures.net_minor, currency=header.currency)
    note_id = new_id("drf")
    to_receivable = against_open(
        session, now=now, head=head, header=header, payable_minor=figures.payable_minor, actor=actor, source_id=note_id
    )
    seller = directory.get_seller(session, header.seller_id)
    today = now.astimezone(get_zone(seller.zone)).date()
    line_ids = dict(zip(figures.lines, new_ids("inl", len(figures.lines)), strict=True))

    def written(taken: numbers.Taken) -> InvoiceDocument:
        return credit_documents.of_invoice(note_id, invoice, figures, line_ids, reason, to_receivable, taken)

    page.try_out(written(numbers.dummy(seller.credit_note_prefix, today)))
    entries = _entries(session, note_id, invoice, figures, to_receivable, is_reissued=is_reissued)
    document = written(numbers.take(session, seller_id=seller.id, prefix=seller.credit_note_prefix, today=today))
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
        memo=f"Credit note {document.number} for {header.number}",
        anchor_hash=digest,
        linked_id=header.transaction_id,
    )
    note = credit_rows.store(
        session,
        header,
        document,
        now=now,
        actor=actor,
        digest=digest,
        transaction_id=posted.transaction_id,
        corrected={line_id: billed_id for billed_id, line_id in line_ids.items()},
    )
    settlement.record(
        session,
        now=now,
        invoice_id=header.id,
        transaction_id=posted.transaction_id,
        kind="credit_note",
        amount_minor=to_receivable,
        actor=actor,
    )
    exchange_results.note(
        session,
        header,
        now=now,
        transaction_id=posted.transaction_id,
        kind=exchange_results.GIVEN_BACK,
        amount_minor=figures.payable_minor - to_receivable,
    )
    credit_rows.tell(session, header, note, document, now=now, actor=actor)
    return Credited(
        credit_note_id=note_id,
        number=str(document.number),
        transaction_id=posted.transaction_id,
        currency=header.currency,
        payable_minor=figures.payable_minor,
        to_receivable_minor=to_receivable,
        to_wallet_minor=figures.payable_minor - to_receivable,
    )


def _entries(
    session: Session,
    note_id: str,
    invoice: InvoiceDocument,
    figures: credits.Credit,
    to_receivable_minor: int,
    *,
    is_reissued: bool,
) -> list[Entry]:
    """What is given back; where the charges are billed again, each also leaves in its own currency the way it came."""
    found = credit_entries.of(
        note_id,
        figures,
        [_billed(session, line) for line in invoice.lines if figures.lines.get(line.id)],
        invoice.allowances,
        to_receivable_minor=to_receivable_minor,
        currency=invoice.currency,
        is_reissued=is_reissued,
    )
    return found + conversion.entries(invoice, is_returned=True) if is_reissued else found


def against_open(
    session: Session,
    *,
    now: datetime,
    head: AccountHead,
    header: InvoiceHeader,
    payable_minor: int,
    actor: str,
    source_id: str,
) -> int:
    """How much of a credit goes against what is open of an invoice, in minor units; the rest goes to the wallet.

    What was written off was never paid: a credit takes its place before anything goes to the wallet, so that it is undone first.
    """
    amount = Money(minor=payable_minor, currency=header.currency)
    write_offs.undo_for_payment(
        session, now=now, head=head, invoice_id=header.id, amount=amount, actor=actor, source_id=source_id
    )
    return min(payable_minor, settlement.open_minor(session, header.id))


def rest_minor(session: Session, invoice_id: str) -> int:
    """What of an issued invoice can still be credited, gross. Raises NotFound."""
    header = session.get(InvoiceHeader, invoice_id)
    if header is None or header.kind != "invoice" or header.state != "issued":
        raise NotFound(invoice_id=invoice_id[:60])
    return _creditable(session, header, model.from_snapshot(header.snapshot or {})).rest_minor


def require_reason(reason: str) -> str:
    """The reason that a credit note prints. Raises Invalid without one or for one too long."""
    reason = reason.strip()
    if not reason or len(reason) > REASON_MAX:
        raise Invalid(field="reason", limit=REASON_MAX, reason="reason_needed")
    return reason


def _creditable(session: Session, header: InvoiceHeader, invoice: InvoiceDocument) -> credits.Creditable:
    contract = sales.find_contract(session, header.id) if header.billing_period_id is None else None
    return creditables.read(session, header, invoice, contract)


def _billed(session: Session, line: Line) -> credit_entries.Billed:
    family = line.family
    if family is None and line.contract_id is None:  # of an invoice from before lines said so
        row = select(Sku.family).join(InvoiceLine, InvoiceLine.sku_code == Sku.code).where(InvoiceLine.id == line.id)
        family = session.scalars(row).one()
    return credit_entries.Billed(
        line_id=line.id, family=family, contract_id=line.contract_id, is_drawdown=bool(line.covers)
    )
