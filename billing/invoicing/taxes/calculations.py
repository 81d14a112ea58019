"""Taxes worked out by a provider for a draft: asked outside of any transaction, kept with its id, put into the draft, checked at issue.

A draft is made with our own treatment first; the provider's takes its place. Sums stay ours: net, tax per group, rounding (BR-CO-17).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import BillingProfile, Seller
from billing.invoicing import assembling, deductions, drafts, events, rows
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument, Line
from billing.invoicing.errors import TaxCalculationNeeded, TaxEvidenceOld
from billing.invoicing.tables import InvoiceHeader, InvoiceLine, TaxCalculation
from billing.invoicing.tax import REVERSE_CHARGE, Treatment
from billing.invoicing.taxes.determination import Decision
from billing.invoicing.taxes.port import (
    Calculation,
    CalculationItem,
    CalculationRefused,
    CalculationRequest,
    TaxCalculator,
)
from billing.invoicing.taxes.service import facts_of
from billing.kernel import canonical
from billing.kernel.clock import get_zone, to_rfc3339
from billing.kernel.ids import new_id
from billing.storage.database import Database

_OPEN = ("draft", "approved")
_WANTED = "wanted"  # of an issued invoice: written down by a page, asked by the job
_ASK_AGAIN = timedelta(hours=1)
_REASONS = {
    "AE": (REVERSE_CHARGE, "VATEX-EU-AE"),
    "O": ("Not subject to VAT here, as the tax provider found", "VATEX-EU-O"),
    "E": ("Exempt from VAT, as the tax provider found", None),
}


def due(session: Session, *, now: datetime) -> list[str]:
    """Open drafts of sellers with a provider whose calculation is missing, of other content, or too old; by id.

    Then issued invoices that somebody wants to bill again, whose calculation was written down and not asked for yet.
    """
    found = session.execute(
        select(InvoiceHeader, Seller)
        .join(Seller, Seller.id == InvoiceHeader.seller_id)
        .where(InvoiceHeader.state.in_(_OPEN), Seller.tax_provider != "own")
        .order_by(InvoiceHeader.id)
    ).all()
    wanted = session.scalars(
        select(TaxCalculation.invoice_id)
        .join(InvoiceHeader, InvoiceHeader.id == TaxCalculation.invoice_id)
        .where(TaxCalculation.state == "asked", InvoiceHeader.state == "issued")
        .distinct()
    )
    drafted = [header.id for header, seller in found if _is_due(session, header, seller, now=now)]
    return drafted + [invoice_id for invoice_id in wanted if _is_wanted(session, invoice_id, now=now)]


def refresh(database: Database, calculator: TaxCalculator, *, now: datetime, invoice_id: str) -> bool:
    """Ask about one draft and put the answer into it; whether it was answered. No transaction is open while the provider works."""
    with database.transaction("jobs") as session:
        request = ask(session, now=now, invoice_id=invoice_id)
    if request is None:
        return False
    try:
        answer = calculator.calculate_tax(request)
    except CalculationRefused as refused:
        with database.transaction("jobs") as session:
            _end(session, request.reference, now=now, state="refused", facts={"cause": str(refused)[:500]})
        return False
    with database.transaction("jobs") as session:
        apply(session, now=now, calculation_id=request.reference, answer=answer)
    return True


def ask(session: Session, *, now: datetime, invoice_id: str) -> CalculationRequest | None:
    """Write down that the provider will be asked about a draft as it is now; None where it is no open draft any more.

    Of an issued invoice that is to be billed again it is asked about the same charges, to today's address.
    """
    header = session.get(InvoiceHeader, invoice_id, populate_existing=True)
    if header is None or header.state not in (*_OPEN, "issued"):
        return None
    seller = directory.get_seller(session, header.seller_id)
    document, profile = model.from_snapshot(header.snapshot or {}), _profile(session, header)
    if header.state == "issued":
        document = as_billed_again(document)
    row = TaxCalculation(
        id=new_id("txc"),
        invoice_id=header.id,
        provider=seller.tax_provider,
        state="asked",
        basis_hash=basis_of(document, profile),
        facts={},
        asked_at=now,
    )
    session.add(row)
    session.flush()  # its answer names it
    points = [facts["on"] for facts in document.tax_facts.get("decisions", ())]
    today = now.astimezone(get_zone(seller.zone)).date()
    return CalculationRequest(
        reference=row.id,
        currency=document.currency,
        items=_items(document),
        includes_tax=document.prices_include_tax,
        street=profile.street,
        city=profile.city,
        postcode=profile.postcode,
        country=profile.country,
        vat_id=profile.vat_id,
        on=max((today.fromisoformat(on) for on in points), default=today),
        today=today,
    )


def apply(session: Session, *, now: datetime, calculation_id: str, answer: Calculation) -> None:
    """Keep an answer and put its treatments into the draft, unless that says something else by now. An approved one goes back to
    draft where its figures change. Locks the account's head."""
    row = session.get_one(TaxCalculation, calculation_id)
    account_id = session.get_one(InvoiceHeader, row.invoice_id).billing_account_id
    heads.lock_one(session, account_id)
    header = session.get_one(InvoiceHeader, row.invoice_id, populate_existing=True)
    facts = {
        "items": [
            {
                "reference": item.reference,
                "category": item.category,
                "rate_bp": item.rate_bp,
                "jurisdiction": item.jurisdiction,
                "tax_minor": item.tax_minor,
            }
            for item in answer.items
        ]
    }
    row = _end(session, calculation_id, now=now, state="answered", facts=facts, reference=answer.reference)
    document = model.from_snapshot(header.snapshot or {})
    if header.state not in _OPEN or basis_of(document, _profile(session, header)) != row.basis_hash:
        return
    made = _taxed(document, row)
    if document.kind == "invoice":  # nothing is taken off what is given back
        made = drafts.with_deductions(
            session,
            made,
            now=now,
            account_id=account_id,
            discounts=deductions.discounts_of(document.allowances),
        )
    for line in made.lines:
        session.execute(
            update(InvoiceLine)
            .where(InvoiceLine.id == line.id)
            .values(tax_category=line.tax_category, tax_rate_bp=line.tax_rate_bp)
        )
    is_other = made.payable_minor != document.payable_minor
    rows.replace_deductions(session, header, made)
    if is_other and header.state == "approved":
        header.state, header.approved_at, header.approved_by = "draft", None, None
    told = {"provider": row.provider, "calculation": answer.reference, "tax_minor": made.tax_minor}
    events.record(session, header, now=now, type="taxed", actor="job:taxes", facts=told)
    session.flush()  # approval and issue read the rows


def want(session: Session, *, now: datetime, invoice_id: str) -> None:
    """Write down that an issued invoice is to be billed again: the job asks the provider, and then `of_correction` has an answer.

    The caller holds the account's lock. A repeat within the hour changes nothing.
    """
    header = session.get_one(InvoiceHeader, invoice_id)
    latest = _latest(session, header.id)
    basis = basis_of(as_billed_again(model.from_snapshot(header.snapshot or {})), _profile(session, header))
    if latest is not None and latest.basis_hash == basis and latest.asked_at > now - _ASK_AGAIN:
        return
    seller = directory.get_seller(session, header.seller_id)
    session.add(
        TaxCalculation(
            id=new_id("txc"),
            invoice_id=header.id,
            provider=seller.tax_provider,
            state="asked",
            basis_hash=basis,
            facts={_WANTED: True},
            asked_at=now,
        )
    )
    session.flush()  # the job reads it


def of_correction(
    session: Session, header: InvoiceHeader, document: InvoiceDocument, seller: Seller, *, now: datetime
) -> tuple[TaxCalculation, dict[str, Decision]]:
    """The answer about an issued invoice's charges to today's address, and its decisions by tax point.

    Raises TaxCalculationNeeded, TaxEvidenceOld.
    """
    again = as_billed_again(document)
    row = _latest(session, header.id)
    if row is None or row.state != "answered" or row.basis_hash != basis_of(again, _profile(session, header)):
        raise TaxCalculationNeeded(invoice_id=header.id, provider=seller.tax_provider)
    _require_fresh(row, seller, now=now)
    return row, dict(zip(_treatments(row), _decisions(again, row), strict=True))


def keep_for(session: Session, row: TaxCalculation, header: InvoiceHeader, document: InvoiceDocument) -> None:
    """The answer about an invoice is the evidence of the draft that bills its charges again."""
    session.add(
        TaxCalculation(
            id=new_id("txc"),
            invoice_id=header.id,
            provider=row.provider,
            state="answered",
            basis_hash=basis_of(document, _profile(session, header)),
            reference=row.reference,
            facts=row.facts,
            asked_at=row.asked_at,
            answered_at=row.answered_at,
        )
    )
    session.flush()  # issue reads it


def as_billed_again(document: InvoiceDocument) -> InvoiceDocument:
    """An issued invoice's charges, each with the period it is taxed by."""
    charged = [
        replace(line, period_label=line.period_label or str(document.period_label))
        for line in document.lines
        if line.charge_id is not None
    ]
    return replace(document, lines=tuple(charged))


def require(
    session: Session, header: InvoiceHeader, draft: InvoiceDocument, seller: Seller, *, now: datetime
) -> list[Decision]:
    """The provider's decisions for a draft that is issued now. Raises TaxCalculationNeeded, TaxEvidenceOld."""
    row = _latest(session, header.id)
    if row is None or row.answered_at is None or row.basis_hash != basis_of(draft, _profile(session, header)):
        raise TaxCalculationNeeded(invoice_id=header.id, provider=seller.tax_provider)
    _require_fresh(row, seller, now=now)
    return _decisions(draft, row)


def _require_fresh(row: TaxCalculation, seller: Seller, *, now: datetime) -> None:
    at = row.answered_at or row.asked_at
    if at < now - timedelta(days=seller.tax_evidence_days):
        raise TaxEvidenceOld(vat_id=None, at=to_rfc3339(at), limit_days=seller.tax_evidence_days)


def basis_of(document: InvoiceDocument, profile: BillingProfile) -> str:
    """What an answer depends on: another document or address needs another answer."""
    return canonical.digest(
        "tax-basis/1",
        document.currency,
        document.prices_include_tax,
        [[item.reference, item.amount_minor] for item in _items(document)],
        [profile.street, profile.city, profile.postcode, profile.country, profile.vat_id],
    )


def _items(document: InvoiceDocument) -> list[CalculationItem]:
    """What was charged of each tax point, before anything was taken off it; at least one unit: a rate is asked for, not a sum."""
    sums: dict[str, int] = {}
    for line in document.lines:
        if not line.covers:
            label = line.period_label or ""
            sums[label] = sums.get(label, 0) + line.booked_minor
    return [CalculationItem(reference=label, amount_minor=max(1, minor)) for label, minor in sorted(sums.items())]


def _taxed(document: InvoiceDocument, row: TaxCalculation) -> InvoiceDocument:
    """The draft with the provider's treatments; a credit note of charges keeps its lines' signs, and all of it goes to the wallet
    until issue says what is open. What was taken off an invoice is worked out anew at issue."""
    treatments = _treatments(row)

    def retaxed(line: Line) -> Line:
        of = treatments[line.period_label or ""]
        return replace(line, tax_category=of.category, tax_rate_bp=of.rate_bp)

    charged = [retaxed(line) for line in document.lines if not line.covers]
    as_invoice = replace(document, kind="invoice", to_wallet_minor=0)
    made = assembling.with_lines(as_invoice, charged, (), list(treatments.values()))
    made = replace(made, tax_facts=facts_of(_decisions(made, row)))
    return replace(made, kind=document.kind, to_wallet_minor=made.payable_minor) if document.kind != "invoice" else made


def _treatments(row: TaxCalculation) -> dict[str, Treatment]:
    made = {}
    for item in row.facts["items"]:
        reason, code = _REASONS.get(item["category"], (None, None))
        made[item["reference"]] = Treatment(
            category=item["category"],
            rate_bp=item["rate_bp"],
            jurisdiction=item["jurisdiction"],
            reason=reason,
            vatex=code,
            scheme="provider",
        )
    return made


def _decisions(document: InvoiceDocument, row: TaxCalculation) -> list[Decision]:
    before: Mapping[str, Any] = next(iter(document.tax_facts.get("decisions", ())), {})
    found = []
    for label, treatment in _treatments(row).items():
        facts = dict(before) | {
            "on": _point(document, label, str(before.get("on", ""))),
            "category": treatment.category,
            "rate_bp": treatment.rate_bp,
            "jurisdiction": treatment.jurisdiction,
            "scheme": "provider",
            "registration": None,
            "rule": "provider",
            "article": "",
            "provider": {
                "name": row.provider,
                "reference": row.reference,
                "at": to_rfc3339(row.answered_at) if row.answered_at else "",
            },
        }
        found.append(Decision(treatment=treatment, facts=facts))
    return found


def _point(document: InvoiceDocument, label: str, otherwise: str) -> str:
    """The tax point of a period: the last day that its lines say, else the one that our own treatment had."""
    days = [line.service_to_on for line in document.lines if (line.period_label or "") == label and line.service_to_on]
    return max(days).isoformat() if days else otherwise


def _is_due(session: Session, header: InvoiceHeader, seller: Seller, *, now: datetime) -> bool:
    row = _latest(session, header.id)
    document = model.from_snapshot(header.snapshot or {})
    if row is None or row.basis_hash != basis_of(document, _profile(session, header)):
        return True
    if row.state != "answered":
        return row.asked_at <= now - timedelta(hours=1)  # a refusal may pass; nobody is asked every minute
    return (row.answered_at or row.asked_at) < now - timedelta(days=seller.tax_evidence_days) / 2


def _is_wanted(session: Session, invoice_id: str, *, now: datetime) -> bool:
    """Whether the latest word about it is a wish, or a question that got no answer for an hour."""
    row = _latest(session, invoice_id)
    return row is not None and row.state == "asked" and (_WANTED in row.facts or row.asked_at <= now - _ASK_AGAIN)


def _latest(session: Session, invoice_id: str) -> TaxCalculation | None:
    return session.scalars(
        select(TaxCalculation)
        .where(TaxCalculation.invoice_id == invoice_id)
        .order_by(TaxCalculation.id.desc())
        .limit(1)
    ).first()


def _end(
    session: Session,
    calculation_id: str,
    *,
    now: datetime,
    state: str,
    facts: dict[str, Any],
    reference: str | None = None,
) -> TaxCalculation:
    row = session.get_one(TaxCalculation, calculation_id, populate_existing=True, with_for_update=True)
    if row.state == "asked":
        row.state, row.facts, row.reference, row.answered_at = state, facts, reference, now
        session.flush()  # issue reads it
    return row


def _profile(session: Session, header: InvoiceHeader) -> BillingProfile:
    return session.get_one(BillingProfile, header.billing_account_id, populate_existing=True)
