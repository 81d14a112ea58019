"""What is looked at before an accounting month is closed: each check with its count, and whether it stands in the way."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead, BillingAccount
from billing.assurance.tables import ReconciliationFinding
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.periods import month
from billing.ledger import trial_balance
from billing.ledger.errors import PeriodNotClosable
from billing.rating.tables import BillingPeriod, Charge, RatedLine, UnratedUsage


@dataclass(frozen=True, kw_only=True)
class MonthCheck:
    """One thing that is looked at: `count` of 0 is in order. `is_blocking`: the month is not closed while it is not."""

    name: str
    words: str
    count: int
    is_blocking: bool = False


def look(session: Session, *, seller_id: str, month_label: str) -> list[MonthCheck]:
    """Everything that is looked at before the seller's month is closed. Reads only. Raises Invalid for a label that is no month."""
    end_at = month(month_label, "UTC").end_at
    imbalances = [
        total
        for total in trial_balance.through_month(session, seller_id=seller_id, month_label=month_label).totals
        if total.difference_minor
    ]
    of_seller = BillingAccount.seller_id == seller_id
    unposted = (
        select(func.count(RatedLine.id))
        .join(AccountHead, AccountHead.billing_account_id == RatedLine.billing_account_id)
        .join(BillingAccount, BillingAccount.id == RatedLine.billing_account_id)
        .join(Charge, Charge.id == RatedLine.charge_id)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .where(of_seller, RatedLine.line_seq > AccountHead.posted_line_seq, BillingPeriod.end_at <= end_at)
    )
    unrated = (
        select(func.count(UnratedUsage.usage_record_id))
        .join(BillingAccount, BillingAccount.id == UnratedUsage.billing_account_id)
        .where(of_seller, UnratedUsage.since_at < end_at)
    )
    drafts = (
        select(func.count(InvoiceHeader.id))
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .where(
            InvoiceHeader.seller_id == seller_id,
            InvoiceHeader.state.in_(("draft", "approved")),
            BillingPeriod.end_at <= end_at,
        )
    )
    findings = (
        select(func.count(ReconciliationFinding.id))
        .outerjoin(BillingAccount, BillingAccount.id == ReconciliationFinding.billing_account_id)
        .where(
            ReconciliationFinding.state == "open",
            of_seller | BillingAccount.id.is_(None),
            ReconciliationFinding.period_label.is_(None) | (ReconciliationFinding.period_label <= month_label),
        )
    )
    return [
        MonthCheck(name="balanced", words="Currencies out of balance", count=len(imbalances), is_blocking=True),
        MonthCheck(name="posted", words="Rated lines not in the ledger yet", count=_count(session, unposted)),
        MonthCheck(name="rated", words="Usage records without a price", count=_count(session, unrated)),
        MonthCheck(name="drafts", words="Drafts of ended months not issued", count=_count(session, drafts)),
        MonthCheck(name="differences", words="Open differences of reconciliation", count=_count(session, findings)),
    ]


def require_closable(session: Session, *, seller_id: str, month_label: str) -> None:
    """Raises PeriodNotClosable while something that stands in the way is not in order."""
    for check in look(session, seller_id=seller_id, month_label=month_label):
        if check.is_blocking and check.count:
            raise PeriodNotClosable(month=month_label, reason="out_of_balance")


def _count(session: Session, statement: object) -> int:
    return int(session.execute(statement).scalar_one())  # type: ignore[call-overload]
