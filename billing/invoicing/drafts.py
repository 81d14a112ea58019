"""Drafts: an ended period's charges become lines, tax is added, someone approves. Making one closes its charges."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import currencies, directory, heads, names
from billing.accounts.tables import AccountHead, BillingAccount, BillingProfile, Project, Seller
from billing.catalog.meters import CLOSING, kind_of
from billing.invoicing import (
    assembling,
    below_zero,
    beside,
    contracts,
    conversion,
    deductions,
    events,
    lines,
    parties,
    rows,
    sales,
)
from billing.invoicing.documents import model
from billing.invoicing.documents.model import Conversion, InvoiceDocument, Line
from billing.invoicing.errors import DiscountTooHigh, NegativeTotal, NotADraft, PeriodNotEnded, TaxMixed
from billing.invoicing.tables import InvoiceHeader
from billing.invoicing.taxes import inclusive
from billing.invoicing.taxes import service as taxes
from billing.invoicing.taxes.determination import Decision
from billing.kernel import periods as calendar
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.ledger import promos
from billing.rating import closing, periods
from billing.rating.periods import ChargeToInvoice
from billing.rating.tables import BillingPeriod

OPEN_STATES = ("draft", "approved")
REASON_MAX = 200


def generate(
    session: Session, *, now: datetime, period_label: str, account_id: str, actor: str = "job:invoices"
) -> str | None:
    """Draft the account's invoice for an ended period ("2016-12"); its id, or None where there is nothing to bill.

    Everything rated must be posted (rating.errors.UnpostedLines otherwise). Locks the account's head. Late usage of earlier
    invoiced periods comes along, on a document of its own where its tax may not stand beside this period's; then the id is that of
    the first. While a draft of the period is open its id is returned and later charges wait. Charges in
    another currency than the account's invoices are converted. Raises PeriodNotEnded, NegativeTotal, MissingRate, StaleRate.
    """
    heads.lock_one(session, account_id)
    account = directory.get_account(session, account_id)
    calendar.month(period_label, account.zone)
    period = periods.find_period(session, account_id, period_label)
    if period is None:
        return None
    if period.end_at > now:
        raise PeriodNotEnded(account=account.code, period=period_label, ends_at=period.end_at.isoformat())
    opened = _open_draft(session, period)
    if opened is not None:
        return opened
    charges = periods.charges_to_invoice(session, period)
    if not charges:
        return None
    currency = currencies.invoice_currency_of(account)
    billed, converted = conversion.of_charges(
        session, charges, currency=currency, on=parties.last_day(period.end_at, account.zone)
    )
    seller, profile = directory.get_seller(session, account.seller_id), parties.get_profile(session, account)
    taxes.keep_evidence(session, now=now, account=account, seller=seller, profile=profile, actor=actor)
    made = [
        _draft(
            session,
            now=now,
            account=account,
            period=period,
            currency=currency,
            charges=some,
            converted=converted,
            actor=actor,
        )
        for some in _by_document(session, account, seller, profile, billed)
    ]
    return made[0]


def preview(session: Session, *, now: datetime, account_id: str, period_label: str) -> InvoiceDocument | None:
    """The document that the period's charges would give now, writing nothing; None where there is nothing to bill.

    It ties to the later invoice: same lines from the same charges, what may be taken off them as it stands now. Raises rating.errors.UnpostedLines while postings lag.
    """
    account = directory.get_account(session, account_id)
    period = periods.find_period(session, account_id, period_label)
    charges = periods.charges_to_invoice(session, period) if period is not None else []
    if period is None or not charges:
        return None
    currency = currencies.invoice_currency_of(account)
    on = min(parties.last_day(period.end_at, account.zone), parties.last_day(now, account.zone))
    billed, converted = conversion.of_charges(session, charges, currency=currency, on=on)
    seller, profile = directory.get_seller(session, account.seller_id), parties.get_profile(session, account)
    billed = _by_document(session, account, seller, profile, billed)[0]
    document = _document(session, "preview", account, period, currency, billed, now, converted)
    return _signed(session, document, billed)[0]


def with_deductions(
    session: Session,
    document: InvoiceDocument,
    *,
    now: datetime,
    account_id: str,
    discounts: Sequence[deductions.Discount] = (),
) -> InvoiceDocument:
    """The document with what may be taken off its charges as the books stand now; the equal one where nothing has changed.

    A draft shows it, issue does it again under the account's lock. Drawdowns and allowances that it had are left out first.
    """
    before = inclusive.grossed(document.lines)
    charged = [line for line in before if line.charge_id is not None]
    labels = {line.period_label for line in charged if line.period_label is not None}
    gifts = promos.list_usable(session, account_id, document.currency, at=now)
    shown = beside.taken(session, document, account_id=account_id)
    available = deductions.Available(
        commitments=[
            replace(one, left_minor=max(0, one.left_minor - shown.get(one.contract_id, 0)))
            for one in contracts.drawable(
                session, account_id=account_id, currency=document.currency, period_labels=labels
            )
        ],
        discounts=discounts,
        gifts=[
            deductions.Gift(
                grant_id=gift.id, reason=gift.reason, left_minor=max(0, gift.remaining_minor - shown.get(gift.id, 0))
            )
            for gift in gifts
        ],
    )
    made, allowances = deductions.apply(charged, available, currency=document.currency)
    if _same(made, before) and list(allowances) == inclusive.grossed_allowances(document.allowances):
        return document
    return assembling.with_lines(document, made, allowances, [lines.treatment_of(group) for group in document.taxes])


def _is_closing(charge: ChargeToInvoice) -> bool:
    return kind_of(charge.meter_code) == CLOSING


def _same(made: Sequence[Line], before: Sequence[Line]) -> bool:
    """Whether the lines say the same; a drawdown made again has another id."""
    return len(made) == len(before) and all(
        new is old or new == old or replace(new, id=old.id) == old for new, old in zip(made, before, strict=True)
    )


def discount(
    session: Session, *, now: datetime, draft_id: str, amount_minor: int, reason: str, actor: str
) -> InvoiceHeader:
    """Give a discount on a draft, in minor units before tax; it is shared out over the VAT groups. An approved one goes back to draft.

    Zero takes the discount of that reason away; where there is none nothing changes. Locks the account's head. Raises NotADraft, Invalid for a negative amount or an empty
    reason, DiscountTooHigh above what the document has before other allowances.
    """
    reason = names.require_name(" ".join(reason.split()), "reason", max_length=REASON_MAX)
    if amount_minor < 0:
        raise Invalid(field="amount", amount_minor=amount_minor, reason="not_positive")
    header = _locked(session, draft_id)
    document = model.from_snapshot(header.snapshot or {})
    if document.period_label is None:
        raise Invalid(field="draft", value=header.id, reason="no_discount_on_a_sale")
    if document.kind == "credit_note":
        raise Invalid(field="draft", value=header.id, reason="no_discount_on_a_credit_note")
    before = deductions.discounts_of(document.allowances)
    others = [one for one in before if one.reason != reason]
    if amount_minor == 0 and others == before:
        return header  # taken away already, by another tab
    wanted = [deductions.Discount(reason=reason, amount_minor=amount_minor)] if amount_minor else []
    made = with_deductions(
        session, document, now=now, account_id=header.billing_account_id, discounts=[*others, *wanted]
    )
    given = {one.reason: one.amount_minor for one in deductions.discounts_of(made.allowances)}.get(reason, 0)
    if given != amount_minor:
        raise DiscountTooHigh(amount_minor=amount_minor, limit_minor=given, currency=header.currency)
    rows.replace_deductions(session, header, made)
    header.state, header.approved_at, header.approved_by = "draft", None, None
    header.review_started_at = header.reviewed_by = None
    facts = {"amount_minor": amount_minor, "currency": header.currency, "reason": reason}
    events.record(session, header, now=now, type="discounted", actor=actor, facts=facts)
    session.flush()  # whoever approves next reads it
    return header


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
    sales.release(session, header)
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


def decisions_of(
    session: Session, account: BillingAccount, seller: Seller, profile: BillingProfile, labels: Iterable[str]
) -> dict[str, Decision]:
    """{period label: how its charges are taxed}: the tax point is the last day of the period that a charge is of."""
    periods_of = select(BillingPeriod).where(
        BillingPeriod.billing_account_id == account.id, BillingPeriod.label.in_(set(labels))
    )
    points = {of.label: parties.last_day(of.end_at, account.zone) for of in session.scalars(periods_of)}
    return taxes.treat_all(session, account=account, seller=seller, profile=profile, points=points)


def _by_document(
    session: Session,
    account: BillingAccount,
    seller: Seller,
    profile: BillingProfile,
    charges: Sequence[ChargeToInvoice],
) -> list[list[ChargeToInvoice]]:
    """The charges by document, mostly one: late ones whose tax may not stand beside the period's own go on another, behind it."""
    labels = sorted({charge.period_label for charge in charges}, reverse=True)
    if len(labels) == 1:
        return [list(charges)]
    decisions = decisions_of(session, account, seller, profile, labels)
    found: list[list[str]] = []
    for label in labels:
        place = next((some for some in found if _may_stand(decisions, [*some, label])), None)
        if place is None:
            found.append([label])
        else:
            place.append(label)
    return [[charge for charge in charges if charge.period_label in some] for some in found]


def _may_stand(decisions: Mapping[str, Decision], labels: Sequence[str]) -> bool:
    try:
        taxes.require_one_document([decisions[label].treatment for label in labels])
    except TaxMixed:
        return False
    return True


def _locked(session: Session, draft_id: str) -> InvoiceHeader:
    header, _ = lock_header(session, draft_id)
    if header.state not in OPEN_STATES:
        raise NotADraft(invoice_id=header.id, state=header.state, number=header.number)
    return header


def _open_draft(session: Session, period: BillingPeriod) -> str | None:
    """The first open draft of the period."""
    found = select(InvoiceHeader.id).where(
        InvoiceHeader.billing_period_id == period.id, InvoiceHeader.state.in_(OPEN_STATES)
    )
    return session.scalars(found.order_by(InvoiceHeader.id).limit(1)).first()


def _draft(
    session: Session,
    *,
    now: datetime,
    account: BillingAccount,
    period: BillingPeriod,
    currency: str,
    charges: Sequence[ChargeToInvoice],
    converted: Mapping[str, Conversion],
    actor: str,
) -> str:
    document, corrects_id = _signed(
        session, _document(session, new_id("drf"), account, period, currency, charges, now, converted), charges
    )
    header = rows.store_draft(
        session,
        document,
        now=now,
        account_id=account.id,
        seller_id=account.seller_id,
        billing_period_id=period.id,
        charges={charge.charge_id: charge for charge in charges},
        corrects_id=corrects_id,
    )
    periods.close_charges(session, [charge.charge_id for charge in charges], header.id)
    conversion.record(
        session,
        document,
        directory.get_seller(session, account.seller_id),
        now=now,
        on=parties.last_day(period.end_at, account.zone),
    )
    facts = {"total_minor": header.payable_minor, "currency": currency, "lines": len(document.lines)}
    events.record(session, header, now=now, type="drafted", actor=actor, facts=facts)
    session.flush()  # approval and issue read the rows
    return header.id


def _signed(
    session: Session, document: InvoiceDocument, charges: Sequence[ChargeToInvoice]
) -> tuple[InvoiceDocument, str | None]:
    """The document; below zero the credit note that it is then, and the id of the invoice that it names. Raises NegativeTotal without one."""
    if document.payable_minor >= 0:
        return document, None
    corrected = below_zero.find_corrected(session, charges, currency=document.currency)
    if corrected is None:
        raise NegativeTotal(
            account=document.account_code,
            period=document.period_label,
            net_minor=document.net_minor,
            currency=document.currency,
        )
    return below_zero.turned(document, corrected), corrected.id


def _document(
    session: Session,
    document_id: str,
    account: BillingAccount,
    period: BillingPeriod,
    currency: str,
    charges: Sequence[ChargeToInvoice],
    now: datetime,
    converted: Mapping[str, Conversion] | None = None,
) -> InvoiceDocument:
    seller, profile = directory.get_seller(session, account.seller_id), parties.get_profile(session, account)
    decisions = decisions_of(session, account, seller, profile, {charge.period_label for charge in charges})
    treatments = {label: decision.treatment for label, decision in decisions.items()}
    taxes.require_one_document(list(treatments.values()))
    codes = session.execute(
        select(Project.id, Project.code).where(
            Project.id.in_({charge.project_id for charge in charges if charge.project_id})
        )
    ).all()
    made = lines.of_charges(
        charges,
        treatments=treatments,
        project_codes={row.id: row.code for row in codes},
        notes=closing.words_of(session, [charge.charge_id for charge in charges if _is_closing(charge)]),
        converted=converted,
    )
    document = assembling.draft(
        document_id,
        account,
        seller,
        profile,
        period=(period.label, period.start_at, period.end_at),
        currency=currency,
        made=made,
        treatments=list(treatments.values()),
    )
    document = replace(document, tax_facts=taxes.facts_of(decisions.values()))
    on = min(parties.last_day(period.end_at, account.zone), parties.last_day(now, account.zone))
    document = conversion.with_tax_currency_if_known(session, document, seller, on=on)
    if document.payable_minor < 0:
        return document
    deducted = with_deductions(session, document, now=now, account_id=account.id)
    return document if deducted.payable_minor < 0 else deducted
