"""Drafts: an ended period's charges become lines, tax is added, someone approves. Making one closes its charges."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import AccountHead, BillingAccount, BillingProfile, Project, Seller
from billing.invoicing import events, lines, parties
from billing.invoicing.documents.model import InvoiceDocument, Line, Tax
from billing.invoicing.errors import NegativeTotal, NotADraft, PeriodNotEnded
from billing.invoicing.tables import InvoiceHeader, InvoiceLine, InvoiceTax
from billing.kernel import periods as calendar
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.rating import periods
from billing.rating.periods import ChargeToInvoice
from billing.rating.tables import BillingPeriod

OPEN_STATES = ("draft", "approved")


def generate(
    session: Session, *, now: datetime, period_label: str, account_id: str, actor: str = "job:invoices"
) -> str | None:
    """Draft the account's invoice for an ended period ("2016-12"); its id, or None where there is nothing to bill.

    Everything rated must be posted (rating.errors.UnpostedLines otherwise). Locks the account's head. Late usage of earlier
    invoiced periods comes along. While a draft of the period is open its id is returned and later charges wait. Charges in
    several currencies give one draft each; the first one's id is returned. Raises PeriodNotEnded, NegativeTotal.
    """
    heads.lock_one(session, account_id)
    account = directory.get_account(session, account_id)
    calendar.month(period_label, account.zone)
    period = periods.find_period(session, account_id, period_label)
    if period is None:
        return None
    if period.end_at > now:
        raise PeriodNotEnded(account=account.code, period=period_label, ends_at=period.end_at.isoformat())
    opened = _open_drafts(session, period)
    by_currency: dict[str, list[ChargeToInvoice]] = {}
    for charge in periods.charges_to_invoice(session, period):
        by_currency.setdefault(charge.currency, []).append(charge)
    made = [
        _draft(session, now=now, account=account, period=period, currency=currency, charges=charges, actor=actor)
        for currency, charges in by_currency.items()
        if currency not in opened
    ]
    return next(iter(made or opened.values()), None)


def preview(session: Session, *, account_id: str, period_label: str) -> InvoiceDocument | None:
    """The document that the period's charges would give now, writing nothing; None where there is nothing to bill.

    It ties to the later invoice: same lines from the same charges. Raises rating.errors.UnpostedLines while postings lag.
    """
    account = directory.get_account(session, account_id)
    period = periods.find_period(session, account_id, period_label)
    charges = periods.charges_to_invoice(session, period) if period is not None else []
    charges = [charge for charge in charges if charge.currency == account.currency]
    if period is None or not charges:
        return None
    return _document(session, "preview", account, period, account.currency, charges)


def approve(session: Session, *, now: datetime, draft_id: str, actor: str) -> InvoiceHeader:
    """Approve a draft for issue. An approved one stays as it is. Locks the account's head. Raises NotADraft."""
    header = _locked(session, draft_id)
    if header.state == "draft":
        header.state, header.approved_at, header.approved_by = "approved", now, actor
        events.record(session, header, now=now, type="approved", actor=actor)
        session.flush()  # callers list what they approved
    return header


def void(session: Session, *, now: datetime, draft_id: str, actor: str) -> InvoiceHeader:
    """Void a draft: its charges open again. Issued documents are corrected by credit notes. Locks the head. Raises NotADraft."""
    header = _locked(session, draft_id)
    header.state = "void"
    reopened = periods.reopen(session, header.id)
    events.record(session, header, now=now, type="voided", actor=actor, facts={"charges": reopened})
    session.flush()  # the next draft finds the charges
    return header


def lock_header(session: Session, header_id: str) -> tuple[InvoiceHeader, AccountHead]:
    """The header, read again after its account's head is locked, and that head. Raises NotFound."""
    account_id = session.scalars(select(InvoiceHeader.billing_account_id).where(InvoiceHeader.id == header_id)).first()
    if account_id is None:
        raise NotFound(invoice_id=header_id[:60])
    head = heads.lock_one(session, account_id)
    return session.get_one(InvoiceHeader, header_id, populate_existing=True), head


def _locked(session: Session, draft_id: str) -> InvoiceHeader:
    header, _ = lock_header(session, draft_id)
    if header.state not in OPEN_STATES:
        raise NotADraft(invoice_id=header.id, state=header.state, number=header.number)
    return header


def _open_drafts(session: Session, period: BillingPeriod) -> dict[str, str]:
    rows = session.execute(
        select(InvoiceHeader.currency, InvoiceHeader.id)
        .where(InvoiceHeader.billing_period_id == period.id, InvoiceHeader.state.in_(OPEN_STATES))
        .order_by(InvoiceHeader.id)
    ).all()
    return {row.currency: row.id for row in rows}


def _draft(
    session: Session,
    *,
    now: datetime,
    account: BillingAccount,
    period: BillingPeriod,
    currency: str,
    charges: Sequence[ChargeToInvoice],
    actor: str,
) -> str:
    document = _document(session, new_id("drf"), account, period, currency, charges)
    header = InvoiceHeader(
        id=document.id,
        kind="invoice",
        state="draft",
        billing_account_id=account.id,
        seller_id=account.seller_id,
        billing_period_id=period.id,
        currency=currency,
        net_minor=document.net_minor,
        tax_minor=document.tax_minor,
        total_minor=document.total_minor,
        prepaid_minor=0,
        rounding_minor=0,
        drafted_at=now,
        snapshot=document.to_snapshot(),
    )
    session.add(header)
    session.flush()  # lines and taxes refer to it
    session.add_all(_line_row(header, line, charge) for line, charge in zip(document.lines, charges, strict=True))
    session.add_all(tax_row(header, group) for group in document.taxes)
    periods.close_charges(session, [charge.charge_id for charge in charges], header.id)
    facts = {"total_minor": header.total_minor, "currency": currency, "lines": len(document.lines)}
    events.record(session, header, now=now, type="drafted", actor=actor, facts=facts)
    session.flush()  # approval and issue read the rows
    return header.id


def _document(
    session: Session,
    document_id: str,
    account: BillingAccount,
    period: BillingPeriod,
    currency: str,
    charges: Sequence[ChargeToInvoice],
) -> InvoiceDocument:
    seller, profile = directory.get_seller(session, account.seller_id), parties.get_profile(session, account)
    treatments = {
        of.label: parties.treatment_on(seller, profile, on=parties.last_day(of.end_at, account.zone))
        for of in session.scalars(
            select(BillingPeriod).where(BillingPeriod.id.in_({charge.billing_period_id for charge in charges}))
        )
    }
    codes = session.execute(
        select(Project.id, Project.code).where(
            Project.id.in_({charge.project_id for charge in charges if charge.project_id})
        )
    ).all()
    made = lines.of_charges(charges, treatments=treatments, project_codes={row.id: row.code for row in codes})
    net_minor = sum(line.amount_minor for line in made)
    if net_minor < 0:
        raise NegativeTotal(account=account.code, period=period.label, net_minor=net_minor, currency=currency)
    taxes = lines.breakdown(made, list(treatments.values()))
    return _assemble(document_id, account, seller, profile, period, currency, made, taxes)


def _assemble(
    document_id: str,
    account: BillingAccount,
    seller: Seller,
    profile: BillingProfile,
    period: BillingPeriod,
    currency: str,
    made: tuple[Line, ...],
    taxes: tuple[Tax, ...],
) -> InvoiceDocument:
    net_minor, tax_minor = sum(line.amount_minor for line in made), sum(group.tax_minor for group in taxes)
    return InvoiceDocument(
        id=document_id,
        kind="invoice",
        number=None,
        issued_on=None,
        due_on=None,
        currency=currency,
        account_code=account.code,
        zone=account.zone,
        period_label=period.label,
        period_start_at=period.start_at,
        period_end_at=period.end_at,
        seller=parties.of_seller(seller),
        buyer=parties.of_buyer(profile),
        purchase_order=profile.purchase_order,
        bank_account=seller.bank_account,
        corrects_number=None,
        corrects_on=None,
        reason=None,
        lines=made,
        taxes=taxes,
        net_minor=net_minor,
        tax_minor=tax_minor,
        total_minor=net_minor + tax_minor,
        rounding_minor=0,
        prepaid_minor=0,
        due_minor=net_minor + tax_minor,
        to_receivable_minor=0,
        to_wallet_minor=0,
    )


def _line_row(header: InvoiceHeader, line: Line, charge: ChargeToInvoice) -> InvoiceLine:
    return InvoiceLine(
        id=line.id,
        invoice_id=header.id,
        seq=line.seq,
        charge_id=line.charge_id,
        sku_code=charge.sku_code,
        project_id=charge.project_id,
        description=line.description,
        quantity_base=charge.quantity_base,
        quantity_text=line.quantity_text,
        unit=line.unit,
        unit_price_text=line.unit_price_text,
        amount_minor=line.amount_minor,
        tax_category=line.tax_category,
        tax_rate_bp=line.tax_rate_bp,
    )


def tax_row(header: InvoiceHeader, group: Tax) -> InvoiceTax:
    """The stored row of a VAT group."""
    return InvoiceTax(
        invoice_id=header.id,
        category=group.category,
        rate_bp=group.rate_bp,
        jurisdiction=group.jurisdiction,
        taxable_minor=group.taxable_minor,
        tax_minor=group.tax_minor,
        reason=group.reason,
    )
