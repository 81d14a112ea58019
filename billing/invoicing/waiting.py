"""Which accounts wait for the draft of an ended month, and for how long late usage may still come in before it is made."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, false, func, or_, select
from sqlalchemy.orm import Session, aliased

from billing.accounts import directory, heads
from billing.accounts.tables import BillingAccount, Seller
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Invalid, NotFound
from billing.rating import periods
from billing.rating.tables import BillingPeriod, Charge
from billing.storage import audit

GRACE_MAX_HOURS = 24 * 14


@dataclass(frozen=True, kw_only=True)
class Drafting:
    """How far the drafts of a month are, in accounts: drafted or issued, waiting for the job, still open for late usage."""

    drafted: int
    waiting: int
    in_grace: int
    grace_until: datetime | None  # when the last of those may be drafted

    @property
    def total(self) -> int:
        """All accounts that the month bills or will bill."""
        return self.drafted + self.waiting + self.in_grace


@dataclass(frozen=True, kw_only=True)
class Grace:
    """A seller's window for late usage, in hours after a month's end."""

    seller_id: str
    seller_name: str
    hours: int


def list_waiting(session: Session, *, now: datetime) -> list[tuple[str, str]]:
    """(billing account id, period label) of each ended month to be drafted: its grace is over, no draft is open, and it has charges or
    brings along late ones.

    Found by the indexes of periods that are not invoiced and of open charges: what it costs follows what waits.
    """
    rows = session.execute(
        select(BillingPeriod.billing_account_id, BillingPeriod.label)
        .join(BillingAccount, BillingAccount.id == BillingPeriod.billing_account_id)
        .where(*_open(), _ended(session, now))
        .order_by(BillingPeriod.billing_account_id, BillingPeriod.start_at)
    ).all()
    return [(account_id, label) for account_id, label in rows]


def late_without_month(session: Session) -> list[str]:
    """Accounts with late charges and no later month to be invoiced that could bring them along: nothing was used since."""
    later = aliased(BillingPeriod)
    has_month = exists().where(
        later.billing_account_id == BillingPeriod.billing_account_id,
        later.invoiced_at.is_(None),
        later.start_at >= BillingPeriod.end_at,
    )
    rows = session.scalars(
        select(Charge.billing_account_id)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .where(Charge.draft_id.is_(None), Charge.posted_minor != 0, BillingPeriod.invoiced_at.is_not(None), ~has_month)
        .distinct()
        .order_by(Charge.billing_account_id)
    )
    return list(rows)


def open_month(session: Session, *, now: datetime, account_id: str) -> int:
    """Open the running month of an account without usage in it, so that its draft bills what came late; 1. Locks the account's head."""
    heads.lock_one(session, account_id)
    periods.period_at(session, directory.get_account(session, account_id), now)
    return 1


def list_accounts(session: Session, *, period_label: str) -> list[tuple[str, str]]:
    """(code, billing account id) of those whose month has charges and no draft, whatever its grace: for drafts made by hand."""
    rows = session.execute(
        select(BillingAccount.code, BillingAccount.id)
        .join(BillingPeriod, BillingPeriod.billing_account_id == BillingAccount.id)
        .where(BillingPeriod.label == period_label, *_open())
        .order_by(BillingAccount.code)
    ).all()
    return [(code, account_id) for code, account_id in rows]


def drafting(session: Session, *, now: datetime, period_label: str) -> Drafting:
    """How far the drafts of a month are."""
    drafted = session.scalar(
        select(func.count(func.distinct(InvoiceHeader.billing_account_id)))
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .where(BillingPeriod.label == period_label, InvoiceHeader.state.in_(("draft", "approved", "issued")))
    )
    waiting = in_grace = 0
    until: datetime | None = None
    rows = session.execute(
        select(Seller.grace_hours, BillingPeriod.end_at, func.count())
        .join(BillingAccount, BillingAccount.id == BillingPeriod.billing_account_id)
        .join(Seller, Seller.id == BillingAccount.seller_id)
        .where(BillingPeriod.label == period_label, *_open())
        .group_by(Seller.grace_hours, BillingPeriod.end_at)
    )
    for hours, end_at, count in rows:
        due_at = end_at + timedelta(hours=hours)
        if due_at <= now:
            waiting += count
        elif end_at <= now:
            in_grace += count
            until = due_at if until is None else max(until, due_at)
    return Drafting(drafted=int(drafted or 0), waiting=waiting, in_grace=in_grace, grace_until=until)


def list_grace(session: Session) -> list[Grace]:
    """Every seller's window, by name."""
    rows = session.execute(
        select(Seller.id, Seller.legal_name, Seller.grace_hours).order_by(Seller.legal_name, Seller.id)
    )
    return [Grace(seller_id=row.id, seller_name=row.legal_name, hours=row.grace_hours) for row in rows]


def set_grace(session: Session, *, now: datetime, seller_id: str, hours: int, actor: str) -> None:
    """Say how long after a month's end the job waits for late usage, 0 to 336 hours; drafts made by hand do not wait.

    Raises NotFound, Invalid.
    """
    if not 0 <= hours <= GRACE_MAX_HOURS:
        raise Invalid(field="hours", value=hours, limit=GRACE_MAX_HOURS, reason="too_large")
    seller = session.get(Seller, seller_id, with_for_update=True)
    if seller is None:
        raise NotFound(seller_id=seller_id[:60])
    before, seller.grace_hours = seller.grace_hours, hours
    audit.record(
        session,
        now=now,
        actor=actor,
        act="seller.grace",
        subject_type="seller",
        subject_id=seller.id,
        facts={"before_hours": before, "hours": hours},
    )
    session.flush()  # the page that follows reads it


def _open() -> tuple[ColumnElement[bool], ...]:
    """Not invoiced, with charges that no draft has, its own or late ones, and no draft that they wait for."""
    has_charges = exists().where(Charge.billing_period_id == BillingPeriod.id, Charge.draft_id.is_(None))
    before = aliased(BillingPeriod)
    has_late = exists().where(
        Charge.billing_period_id == before.id,
        Charge.draft_id.is_(None),
        Charge.posted_minor != 0,
        before.billing_account_id == BillingPeriod.billing_account_id,
        before.invoiced_at.is_not(None),
        before.start_at < BillingPeriod.start_at,
    )
    has_draft = exists().where(
        InvoiceHeader.billing_period_id == BillingPeriod.id, InvoiceHeader.state.in_(("draft", "approved"))
    )
    return BillingPeriod.invoiced_at.is_(None), has_charges | has_late, ~has_draft


def _ended(session: Session, now: datetime) -> ColumnElement[bool]:
    graces = session.execute(select(Seller.id, Seller.grace_hours)).all()
    return or_(
        false(),
        *(
            (BillingAccount.seller_id == seller_id) & (BillingPeriod.end_at <= now - timedelta(hours=hours))
            for seller_id, hours in graces
        ),
    )
