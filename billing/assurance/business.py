"""How the business stands, for operators: who is active, what came in, what was earned by family and month, how far billing is.

Revenue is the ledger's, by accounting period, and is compared with the trial balance in the same breath. Everything is counted in
the database, from tables that stay small: billing periods, days, heads; only revenue reads entries.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, case, cast, distinct, func, select, type_coerce, union_all
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead, BillingAccount
from billing.invoicing.tables import InvoiceHeader
from billing.kernel import periods
from billing.ledger import trial_balance
from billing.ledger.tables import HOUSE, AccountingPeriod, LedgerAccount, LedgerEntry, LedgerTransaction
from billing.rating.tables import BillingPeriod, Charge, RatedDay, UnratedUsage

MONTHS = 12
_REVENUE = "revenue:"


@dataclass(frozen=True, kw_only=True)
class Activity:
    """One month: tenants with a billing period in it, and the usage records that fell into it, as far as days hold them."""

    label: str
    tenant_count: int
    record_count: int


@dataclass(frozen=True, kw_only=True)
class Revenue:
    """What one family earned in one accounting period, net of what was credited, in minor units."""

    label: str
    currency: str
    family: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class Tie:
    """One currency's revenue of all months beside the trial balance's; they are the same sum, or something is badly wrong."""

    currency: str
    months_minor: int
    trial_minor: int

    @property
    def is_same(self) -> bool:
        """Whether both say the same."""
        return self.months_minor == self.trial_minor


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """How many billing periods of one month stand where: still running, ended, drafted, invoiced."""

    label: str
    open_count: int
    ended_count: int
    drafted_count: int
    issued_count: int


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is on its way: records not looked at, without a price, lines not posted; charges of late usage not invoiced yet."""

    taken_in_count: int
    unseen_count: int
    unpriced_count: int
    unposted_count: int
    late_count: int


@dataclass(frozen=True, kw_only=True)
class Business:
    """All of it; `labels` are the twelve months, oldest first."""

    labels: tuple[str, ...]
    activity: tuple[Activity, ...]
    revenue: tuple[Revenue, ...]
    ties: tuple[Tie, ...]
    cycle: tuple[Cycle, ...]
    backlog: Backlog


def of(session: Session, *, now: datetime) -> Business:
    """The twelve months up to the one of `now` (UTC). Reads one snapshot when the session does."""
    labels = _labels(now)
    revenue = _revenue(session)
    return Business(
        labels=labels,
        activity=_activity(session, labels),
        revenue=tuple(row for row in revenue if row.label in labels),
        ties=_ties(session, revenue),
        cycle=_cycle(session, labels, now),
        backlog=_backlog(session),
    )


def _labels(now: datetime) -> tuple[str, ...]:
    month = periods.month_of(now, "UTC")
    first = month.start_at.year * 12 + month.start_at.month - MONTHS
    return tuple(f"{place // 12:04d}-{place % 12 + 1:02d}" for place in range(first, first + MONTHS))


def _activity(session: Session, labels: tuple[str, ...]) -> tuple[Activity, ...]:
    tenants = select(BillingPeriod.label, func.count(distinct(BillingAccount.tenant_id)))
    tenants = tenants.join(BillingAccount, BillingAccount.id == BillingPeriod.billing_account_id)
    tenant_counts = _counts(session, tenants.where(BillingPeriod.label.in_(labels)).group_by(BillingPeriod.label))
    is_text = session.connection().dialect.name == "sqlite"
    month = func.substr(type_coerce(RatedDay.day, Text) if is_text else cast(RatedDay.day, Text), 1, 7)
    first_on = periods.month(labels[0], "UTC").start_at.date()
    records = select(month, func.sum(RatedDay.line_count)).where(RatedDay.day >= first_on).group_by(month)
    record_counts = _counts(session, records)
    return tuple(
        Activity(label=label, tenant_count=tenant_counts.get(label, 0), record_count=record_counts.get(label, 0))
        for label in labels
    )


def _revenue(session: Session) -> list[Revenue]:
    """Every month's, by month, currency and family."""
    sides = union_all(
        *(
            select(
                (LedgerEntry.amount_minor * sign).label("figure"),
                LedgerEntry.transaction_id,
                LedgerAccount.name,
                LedgerAccount.currency,
            )
            .join(LedgerAccount, LedgerAccount.id == side)
            .where(LedgerAccount.owner == HOUSE, LedgerAccount.name.startswith(_REVENUE, autoescape=True))
            for side, sign in ((LedgerEntry.credit_account_id, 1), (LedgerEntry.debit_account_id, -1))
        )
    ).subquery()
    keys = (AccountingPeriod.month, sides.c.currency, sides.c.name)
    rows = session.execute(
        select(*keys, func.sum(sides.c.figure))
        .join(LedgerTransaction, LedgerTransaction.id == sides.c.transaction_id)
        .join(AccountingPeriod, AccountingPeriod.id == LedgerTransaction.accounting_period_id)
        .group_by(*keys)
        .order_by(*keys)
    )
    return [
        Revenue(label=label, currency=currency, family=name.removeprefix(_REVENUE), amount_minor=int(figure))
        for label, currency, name, figure in rows
    ]


def _ties(session: Session, revenue: list[Revenue]) -> tuple[Tie, ...]:
    trial: dict[str, int] = {}
    for row in trial_balance.now(session).rows:
        if row.owner == HOUSE and row.name.startswith(_REVENUE):
            trial[row.currency] = trial.get(row.currency, 0) + row.credit_minor - row.debit_minor
    months: dict[str, int] = {}
    for one in revenue:
        months[one.currency] = months.get(one.currency, 0) + one.amount_minor
    return tuple(
        Tie(currency=currency, months_minor=months.get(currency, 0), trial_minor=trial.get(currency, 0))
        for currency in sorted({*trial, *months})
    )


def _cycle(session: Session, labels: tuple[str, ...], now: datetime) -> tuple[Cycle, ...]:
    is_drafted = (
        select(InvoiceHeader.id)
        .where(
            InvoiceHeader.billing_period_id == BillingPeriod.id,
            InvoiceHeader.kind == "invoice",
            InvoiceHeader.state.in_(("draft", "approved")),
        )
        .exists()
    )
    stage = case(
        (BillingPeriod.end_at > now, "open"),
        (is_drafted, "drafted"),
        (BillingPeriod.invoiced_at.is_not(None), "issued"),
        else_="ended",
    ).label("stage")
    staged = select(BillingPeriod.label, stage).where(BillingPeriod.label.in_(labels)).subquery()
    rows = session.execute(
        select(staged.c.label, staged.c.stage, func.count()).group_by(staged.c.label, staged.c.stage)
    )
    counts = {(label, name): count for label, name, count in rows}
    return tuple(
        Cycle(
            label=label,
            open_count=counts.get((label, "open"), 0),
            ended_count=counts.get((label, "ended"), 0),
            drafted_count=counts.get((label, "drafted"), 0),
            issued_count=counts.get((label, "issued"), 0),
        )
        for label in labels
    )


def _backlog(session: Session) -> Backlog:
    head = AccountHead
    taken_in, unseen, unposted = session.execute(
        select(
            func.coalesce(func.sum(head.usage_seq), 0),
            func.coalesce(func.sum(head.usage_seq - head.rated_usage_seq), 0),
            func.coalesce(func.sum(head.line_seq - head.posted_line_seq), 0),
        )
    ).one()
    late = select(func.count()).where(Charge.generation > 0, Charge.draft_id.is_(None))
    return Backlog(
        taken_in_count=int(taken_in),
        unseen_count=int(unseen),
        unpriced_count=session.scalar(select(func.count()).select_from(UnratedUsage)) or 0,
        unposted_count=int(unposted),
        late_count=session.scalar(late) or 0,
    )


def _counts(session: Session, query: object) -> dict[str, int]:
    return {label: int(count) for label, count in session.execute(query)}  # type: ignore[call-overload]  # any select of two
