"""Before issue everything is looked at again: the period is over, the draft says what the books and the tax of today say."""

from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount, BillingProfile, Seller
from billing.catalog.tables import CommitContract
from billing.invoicing import parties
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DraftOutdated, PeriodNotEnded
from billing.invoicing.tables import InvoiceHeader, InvoiceLine
from billing.invoicing.taxes import calculations
from billing.invoicing.taxes import service as taxes
from billing.kernel.clock import get_zone
from billing.ledger import balances
from billing.rating.tables import BillingPeriod, Charge, Posting


def ended_period(
    session: Session, header: InvoiceHeader, account: BillingAccount, now: datetime
) -> BillingPeriod | None:
    """The billing period of the draft, None for the sale of a commitment. Raises PeriodNotEnded."""
    if header.billing_period_id is None:
        return None
    period = session.get_one(BillingPeriod, header.billing_period_id)
    if period.end_at > now:
        raise PeriodNotEnded(account=account.code, period=period.label, ends_at=period.end_at.isoformat())
    return period


def books(session: Session, header: InvoiceHeader, draft: InvoiceDocument, contract: CommitContract | None) -> int:
    """Lines, charges, postings and `unbilled` say the same, or DraftOutdated; gives back the wallet in minor units.

    The one line of a sale says what its contract does; it has no charge.
    """
    sign = -1 if header.kind == "credit_note" else 1
    rows_of_lines = session.execute(
        select(
            InvoiceLine.id,
            InvoiceLine.amount_minor,
            # What the charge holds, in its own currency; a credit note of charges says the amount with its sign turned.
            case(
                (InvoiceLine.charged_minor.is_not(None), InvoiceLine.charged_minor),
                else_=sign * func.coalesce(InvoiceLine.gross_minor, InvoiceLine.amount_minor),
            ).label("booked_minor"),
            func.coalesce(InvoiceLine.charged_currency, header.currency).label("booked_currency"),
            Charge.posted_minor,
            Charge.draft_id,
            Charge.currency,
        )
        .outerjoin(Charge, Charge.id == InvoiceLine.charge_id)
        .where(InvoiceLine.invoice_id == header.id)
        .order_by(InvoiceLine.seq)
    ).all()
    _same(
        header,
        "lines",
        [(line.id, line.amount_minor) for line in draft.lines],
        [(row.id, row.amount_minor) for row in rows_of_lines],
    )
    charged = [row for row in rows_of_lines if row.draft_id is not None]
    for row in charged:
        _same(
            header,
            "charge",
            (row.booked_minor, header.id, row.booked_currency),
            (row.posted_minor, row.draft_id, row.currency),
        )
    posted = session.scalars(
        select(func.sum(Posting.increment_minor)).where(
            Posting.charge_id.in_(select(InvoiceLine.charge_id).where(InvoiceLine.invoice_id == header.id))
        )
    ).one()
    _same(header, "postings", sum(row.booked_minor for row in charged), int(posted or 0))
    _same(header, "net", header.net_minor, draft.net_minor)
    _same(header, "tax", header.tax_minor, draft.tax_minor)
    if contract is not None:
        sold = (contract.amount_minor, contract.currency)
        _same(header, "commitment", (draft.net_minor, draft.currency), sold)
    for currency in sorted({row.booked_currency for row in charged}):
        charged_minor = sum(row.booked_minor for row in charged if row.booked_currency == currency)
        unbilled_minor = -balances.of_account(session, header.billing_account_id, currency=currency)[0].unbilled_minor
        if unbilled_minor < charged_minor:
            raise DraftOutdated(
                invoice_id=header.id, what="unbilled", draft=str(charged_minor), books=str(unbilled_minor)
            )
    return balances.of_account(session, header.billing_account_id, currency=header.currency)[0].wallet_minor


def tax(
    session: Session,
    header: InvoiceHeader,
    draft: InvoiceDocument,
    account: BillingAccount,
    seller: Seller,
    profile: BillingProfile,
    *,
    now: datetime,
    actor: str,
) -> dict[str, Any]:
    """The parties may have changed since the draft: its treatment must still be today's, or it is generated again.

    Gives back what led to it, as the document will keep it. Raises DraftOutdated, TaxEvidenceMissing, TaxEvidenceOld.
    """
    taxes.keep_evidence(session, now=now, account=account, seller=seller, profile=profile, actor=actor)
    ends = session.scalars(
        select(BillingPeriod.end_at)
        .join(Charge, Charge.billing_period_id == BillingPeriod.id)
        .where(Charge.draft_id == header.id)
        .distinct()
    ).all()
    today = now.astimezone(get_zone(seller.zone)).date()
    points = {parties.last_day(end_at, account.zone) for end_at in ends} or {today}  # a sale is taxed when it is issued
    named = {on.isoformat(): on for on in sorted(points)}
    decisions = list(taxes.treat_all(session, account=account, seller=seller, profile=profile, points=named).values())
    if seller.tax_provider != "own":
        decisions = calculations.require(session, header, draft, seller, now=now)
    found = {decision.treatment for decision in decisions}
    books = sorted({(treatment.category, treatment.rate_bp, treatment.jurisdiction) for treatment in found})
    _same(
        header,
        "tax treatment",
        sorted((group.category, group.rate_bp, group.jurisdiction) for group in draft.taxes),
        books,
    )
    taxes.require_evidence(seller, decisions, now=now)
    return taxes.facts_of(decisions)


def _same(header: InvoiceHeader, what: str, draft: object, books: object) -> None:
    if draft != books:
        raise DraftOutdated(invoice_id=header.id, what=what, draft=str(draft)[:200], books=str(books)[:200])
