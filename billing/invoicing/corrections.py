"""Parties or tax that were wrong: the invoice is credited whole and its charges are billed again, in one transaction (money.md).

A charge is billed once net of credit notes: the credit note gives the charges back to `unbilled` instead of taking them out of
revenue, and the new invoice takes them from there, with today's parties and the treatment of the original tax point.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.accounts.tables import BillingAccount, BillingProfile, Seller
from billing.invoicing import (
    assembling,
    contracts,
    credit_notes,
    creditables,
    credits,
    deductions,
    drafts,
    events,
    issue,
    parties,
    rows,
    write_offs,
)
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument, Line
from billing.invoicing.tables import InvoiceHeader, InvoiceLine, TaxCalculation
from billing.invoicing.tax import Treatment
from billing.invoicing.taxes import calculations, inclusive
from billing.invoicing.taxes import service as taxes
from billing.invoicing.taxes.determination import Decision
from billing.kernel.errors import Conflict, NotFound
from billing.kernel.ids import new_id, new_ids
from billing.rating.tables import BillingPeriod, Charge


@dataclass(frozen=True, kw_only=True)
class Reissued:
    """What took an invoice's place: its credit note and the new invoice, issued together."""

    credit_note_id: str
    credit_note_number: str
    invoice_id: str
    invoice_number: str
    currency: str
    credited_minor: int
    total_minor: int
    due_minor: int


def preview(session: Session, *, now: datetime, invoice_id: str) -> InvoiceDocument:
    """The invoice that `reissue` would issue, without number, writing nothing. Raises as `reissue` does."""
    header = session.get(InvoiceHeader, invoice_id)
    if header is None:
        raise NotFound(invoice_id=invoice_id[:60])
    old, _ = _corrected(session, header)
    _, calculated = _calculated(session, header, old, now=now)
    made = _billed_again(session, header, old, "preview", calculated=calculated, is_credited=False)
    _require_change(old, made)
    return made


def reissue(session: Session, *, now: datetime, invoice_id: str, reason: str, actor: str) -> Reissued:
    """Credit an issued invoice whole and bill its charges again to today's parties; both documents, or nothing at all.

    What had been taken off comes back and is taken off again. Money that had paid the invoice goes to the wallet and pays the new
    one; what was written off of it stays written off. Locks the account's head, then both series. Raises NotFound, ProfileIncomplete, Invalid without a reason, and Conflict for
    a sale, for an invoice that was credited or billed again already, and where neither parties nor tax are other than they were.
    """
    reason = credit_notes.require_reason(reason)
    header, head = drafts.lock_header(session, invoice_id)
    old, creditable = _corrected(session, header)
    account = directory.get_account(session, header.billing_account_id)
    seller, profile = directory.get_seller(session, header.seller_id), parties.get_profile(session, account)
    taxes.keep_evidence(session, now=now, account=account, seller=seller, profile=profile, actor=actor)
    evidence, calculated = _calculated(session, header, old, now=now)
    _require_change(old, _billed_again(session, header, old, "preview", calculated=calculated, is_credited=False))
    written_off, with_tax = write_offs.standing_minor(session, header)
    note = credit_notes.issue(
        session,
        now=now,
        head=head,
        header=header,
        invoice=old,
        figures=credits.of_own_lines(creditable),
        reason=reason,
        actor=actor,
        is_reissued=True,
    )
    document = _billed_again(session, header, old, new_id("drf"), calculated=calculated, is_credited=True)
    made = _store(session, header, replace(document, reason=reason), now=now, actor=actor)
    if evidence is not None:
        calculations.keep_for(session, evidence, made, document)
    issued = issue.issue(session, now=now, draft_id=made.id, actor=actor)
    written_off = write_offs.carry_over(
        session,
        now=now,
        head=head,
        invoice_id=issued.id,
        amount_minor=written_off,
        with_tax=with_tax,
        actor=actor,
    )
    events.record(
        session,
        header,
        now=now,
        type="reissued",
        actor=actor,
        facts={"number": issued.number, "invoice": issued.id, "credit_note": note.credit_note_id},
    )
    return Reissued(
        credit_note_id=note.credit_note_id,
        credit_note_number=note.number,
        invoice_id=issued.id,
        invoice_number=str(issued.number),
        currency=issued.currency,
        credited_minor=note.payable_minor,
        total_minor=issued.payable_minor,
        due_minor=model.from_snapshot(issued.snapshot or {}).due_minor - written_off,
    )


def want_taxes(session: Session, *, now: datetime, invoice_id: str) -> None:
    """Have a provider asked for the taxes of an invoice that is to be billed again; `reissue` goes on once it has answered.

    Locks the account's head. Raises NotFound, Conflict as `reissue` does.
    """
    header, _ = drafts.lock_header(session, invoice_id)
    _corrected(session, header)
    calculations.want(session, now=now, invoice_id=header.id)


def _calculated(
    session: Session, header: InvoiceHeader, old: InvoiceDocument, *, now: datetime
) -> tuple[TaxCalculation | None, Mapping[str, Decision] | None]:
    seller = directory.get_seller(session, header.seller_id)
    if seller.tax_provider == "own":
        return None, None
    return calculations.of_correction(session, header, old, seller, now=now)


def _corrected(session: Session, header: InvoiceHeader) -> tuple[InvoiceDocument, credits.Creditable]:
    """The issued invoice of a month that nothing was credited of, and what it can be credited by."""
    if header.kind != "invoice" or header.state != "issued":
        raise NotFound(invoice_id=header.id)
    facts = {"invoice_id": header.id, "number": header.number}
    if header.billing_period_id is None:
        raise Conflict(**facts, reason="sale_not_reissued")
    if session.scalars(creditables.notes_of(header.id).limit(1)).first() is not None:
        raise Conflict(**facts, reason="already_credited")
    document = model.from_snapshot(header.snapshot or {})
    return document, creditables.read(session, header, document, None)


def _billed_again(
    session: Session,
    header: InvoiceHeader,
    old: InvoiceDocument,
    document_id: str,
    *,
    calculated: Mapping[str, Decision] | None,
    is_credited: bool,
) -> InvoiceDocument:
    """The same charges with what had been taken off them, to today's parties, each taxed as of the last day of its own period, or as
    a provider has `calculated`.

    Commitments are asked for once the old invoice was credited; before that, `is_credited` false, what it drew down is taken.
    """
    account = directory.get_account(session, header.billing_account_id)
    seller, profile = directory.get_seller(session, header.seller_id), parties.get_profile(session, account)
    parties.require_complete(account, profile, seller)
    charged = [line for line in inclusive.grossed(old.lines) if line.charge_id is not None]
    labels = [line.period_label or str(old.period_label) for line in charged]
    if calculated is None:
        decisions: Mapping[str, Decision] = drafts.decisions_of(session, account, seller, profile, set(labels))
    else:
        decisions = calculated
    treatments = {label: decision.treatment for label, decision in decisions.items()}
    taxes.require_one_document(list(treatments.values()))
    made = [
        replace(
            line,
            id=line_id,
            seq=seq,
            period_label=label,
            tax_category=treatments[label].category,
            tax_rate_bp=treatments[label].rate_bp,
        )
        for seq, (line_id, line, label) in enumerate(
            zip(new_ids("inl", len(charged)), charged, labels, strict=True), start=1
        )
    ]
    document = _assembled(session, header, document_id, account, seller, profile, made, list(treatments.values()))
    found, allowances = deductions.apply(
        made, _available(session, header, old, labels, is_credited=is_credited), currency=old.currency
    )
    document = assembling.with_lines(document, found, allowances, list(treatments.values()))
    facts = taxes.facts_of(decisions.values())
    return replace(document, corrects_number=old.number, corrects_on=old.issued_on, tax_facts=facts)


def _assembled(
    session: Session,
    header: InvoiceHeader,
    document_id: str,
    account: BillingAccount,
    seller: Seller,
    profile: BillingProfile,
    made: Sequence[Line],
    treatments: Sequence[Treatment],
) -> InvoiceDocument:
    period = session.get_one(BillingPeriod, header.billing_period_id)
    return assembling.draft(
        document_id,
        account,
        seller,
        profile,
        period=(period.label, period.start_at, period.end_at),
        currency=header.currency,
        made=made,
        treatments=treatments,
    )


def _available(
    session: Session, header: InvoiceHeader, old: InvoiceDocument, labels: Sequence[str], *, is_credited: bool
) -> deductions.Available:
    """What the old invoice took off, and no more of it."""
    drawn = deductions.by_contract(inclusive.grossed(old.lines))
    taken = inclusive.grossed_allowances(old.allowances)
    found = contracts.drawable(
        session,
        account_id=header.billing_account_id,
        currency=old.currency,
        period_labels=set(labels),
        returning={} if is_credited else drawn,
    )
    reasons = {one.grant_id: one.reason for one in old.allowances if one.grant_id is not None}
    return deductions.Available(
        commitments=[
            replace(one, left_minor=min(one.left_minor, drawn[one.contract_id]))
            for one in found
            if one.contract_id in drawn
        ],
        discounts=deductions.discounts_of(taken),
        gifts=[
            deductions.Gift(grant_id=grant_id, reason=reasons[grant_id], left_minor=minor)
            for grant_id, minor in deductions.by_grant(taken).items()
        ],
    )


def _require_change(old: InvoiceDocument, made: InvoiceDocument) -> None:
    def said(document: InvoiceDocument) -> tuple[object, ...]:
        groups = sorted(
            (group.category, group.rate_bp, group.jurisdiction, group.tax_minor) for group in document.taxes
        )
        return document.seller, document.buyer, document.purchase_order, document.buyer_reference, groups

    if said(old) == said(made):
        raise Conflict(invoice=old.number, reason="nothing_to_correct")


def _store(
    session: Session, header: InvoiceHeader, document: InvoiceDocument, *, now: datetime, actor: str
) -> InvoiceHeader:
    """The new draft, approved, with the charges of the old invoice and what its rows said of them."""
    made = rows.store_draft(
        session,
        document,
        now=now,
        account_id=header.billing_account_id,
        seller_id=header.seller_id,
        billing_period_id=header.billing_period_id,
        charges={},
        replaces_id=header.id,
    )
    session.flush()  # its lines are read again
    billed = {
        row.charge_id: row
        for row in session.scalars(
            select(InvoiceLine).where(InvoiceLine.invoice_id == header.id, InvoiceLine.charge_id.is_not(None))
        )
    }
    for row in session.scalars(
        select(InvoiceLine).where(InvoiceLine.invoice_id == made.id, InvoiceLine.charge_id.is_not(None))
    ):
        before = billed[row.charge_id]
        row.sku_code, row.project_id, row.quantity_base = before.sku_code, before.project_id, before.quantity_base
    session.execute(update(Charge).where(Charge.draft_id == header.id).values(draft_id=made.id))
    facts = {"total_minor": made.payable_minor, "currency": made.currency, "replaces": header.id}
    events.record(session, made, now=now, type="drafted", actor=actor, facts=facts)
    made.state, made.approved_at, made.approved_by = "approved", now, actor
    events.record(session, made, now=now, type="approved", actor=actor)
    session.flush()  # issue reads the rows
    return made
