"""Budgets: a monthly amount for an account or one of its projects, and a notice when a share of it is spent.

Notify only: a budget never stops anything. Each threshold is told once per month, however often it is looked at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.names import require_name
from billing.accounts.tables import BillingAccount, Project
from billing.controls import thresholds
from billing.controls.errors import BudgetNameTaken
from billing.controls.tables import BudgetEvent, BudgetPolicy
from billing.kernel import periods
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.rating import spending
from billing.rating.dimensions import SpendFilter
from billing.storage import audit, outbox


@dataclass(frozen=True, kw_only=True)
class BudgetRow:
    """One budget with what is spent in the month of `now`: minor units, net of tax, as far as usage is rated."""

    id: str
    name: str
    project_id: str | None
    project_code: str | None
    currency: str
    amount_minor: int
    spent_minor: int
    thresholds_percent: tuple[int, ...]
    reached_percent: tuple[int, ...]
    is_active: bool
    period_label: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class PolicyRow:
    """One budget as it was set, without what is spent."""

    id: str
    name: str
    project_code: str | None
    currency: str
    amount_minor: int
    thresholds_percent: tuple[int, ...]
    is_active: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class BudgetEventRow:
    """A threshold that was crossed in one month."""

    id: str
    policy_id: str
    budget_name: str
    period_label: str
    threshold_percent: int
    amount_minor: int
    currency: str
    first_seen_at: datetime
    last_seen_at: datetime
    seen_count: int


def create(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    name: str,
    amount: Money,
    thresholds_percent: Iterable[int],
    actor: str,
    project_id: str | None = None,
) -> str:
    """Set a budget; its id. Locks the account's head.

    Raises BudgetNameTaken, NotFound for another account's project, Invalid for the name, the thresholds, an amount that is not
    above zero or not in the account's currency.
    """
    heads.lock_one(session, account_id)
    name = require_name(name, "name")
    _check(session, account_id, name, amount, project_id)
    policy = BudgetPolicy(
        id=new_id("bud"),
        billing_account_id=account_id,
        project_id=project_id,
        name=name,
        currency=amount.currency,
        amount_minor=amount.minor,
        thresholds_percent=thresholds.checked(thresholds_percent),
        is_active=True,
        created_by=actor,
        created_at=now,
        updated_at=now,
    )
    session.add(policy)
    session.flush()  # the audit row names it
    _record(session, policy, "budget.create", now, actor)
    return policy.id


def update(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    policy_id: str,
    name: str,
    amount: Money,
    thresholds_percent: Iterable[int],
    is_active: bool,
    actor: str,
) -> None:
    """Change a budget; crossings already told stay told. Locks the account's head. Raises as `create` does."""
    heads.lock_one(session, account_id)
    policy = _get(session, account_id, policy_id)
    name = require_name(name, "name")
    _check(session, account_id, name, amount, policy.project_id, except_id=policy.id)
    policy.name, policy.currency, policy.amount_minor = name, amount.currency, amount.minor
    policy.thresholds_percent = thresholds.checked(thresholds_percent)
    policy.is_active, policy.updated_at = is_active, now
    session.flush()  # a unique name must collide here
    _record(session, policy, "budget.update", now, actor)


def list_budgets(session: Session, *, now: datetime, account_id: str) -> list[BudgetRow]:
    """The account's budgets, active ones first, each with what is spent this month."""
    policies = session.scalars(
        select(BudgetPolicy).where(BudgetPolicy.billing_account_id == account_id).order_by(BudgetPolicy.id)
    ).all()
    rows = [_row(session, policy, now) for policy in policies]
    return sorted(rows, key=lambda row: not row.is_active)


def get_budget(session: Session, *, now: datetime, account_id: str, policy_id: str) -> BudgetRow:
    """One budget of the account. Raises NotFound."""
    return _row(session, _get(session, account_id, policy_id), now)


def list_policies(
    session: Session, *, account_id: str, after_id: str | None = None, limit: int = 50
) -> list[PolicyRow]:
    """The account's budgets as they were set, oldest first, active or not; `after_id` goes on behind a budget."""
    query = _policies(account_id).order_by(BudgetPolicy.id).limit(limit)
    if after_id is not None:
        query = query.where(BudgetPolicy.id > after_id)
    return [_policy_row(*found) for found in session.execute(query)]


def get_policy(session: Session, *, account_id: str, policy_id: str) -> PolicyRow:
    """One budget of the account as it was set, read anew. Raises NotFound."""
    query = _policies(account_id).where(BudgetPolicy.id == policy_id).execution_options(populate_existing=True)
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound(kind="budget", id=policy_id)
    return _policy_row(*found)


def list_events(
    session: Session, *, account_id: str, policy_id: str | None = None, limit: int = 50
) -> list[BudgetEventRow]:
    """Crossings of the account's budgets, newest first."""
    query = (
        select(BudgetEvent, BudgetPolicy.name, BudgetPolicy.currency)
        .join(BudgetPolicy, BudgetPolicy.id == BudgetEvent.policy_id)
        .where(BudgetPolicy.billing_account_id == account_id)
        .order_by(BudgetEvent.first_seen_at.desc(), BudgetEvent.threshold_percent.desc())
        .limit(limit)
    )
    if policy_id is not None:
        query = query.where(BudgetEvent.policy_id == policy_id)
    return [
        BudgetEventRow(
            id=event.id,
            policy_id=event.policy_id,
            budget_name=name,
            period_label=event.period_label,
            threshold_percent=event.threshold_percent,
            amount_minor=event.amount_minor,
            currency=currency,
            first_seen_at=event.first_seen_at,
            last_seen_at=event.last_seen_at,
            seen_count=event.seen_count,
        )
        for event, name, currency in session.execute(query)
    ]


def accounts_with_budgets(session: Session) -> Sequence[str]:
    """Ids of billing accounts that have an active budget, in order."""
    return session.scalars(
        select(BudgetPolicy.billing_account_id)
        .where(BudgetPolicy.is_active)
        .distinct()
        .order_by(BudgetPolicy.billing_account_id)
    ).all()


def evaluate(session: Session, *, now: datetime, account_id: str) -> int:
    """Record the thresholds that this month's spending has reached; how many were reached for the first time.

    A threshold seen again only moves `last_seen_at` and the count; its notice goes out once. Locks the account's head.
    """
    heads.lock_one(session, account_id)
    policies = session.scalars(
        select(BudgetPolicy).where(BudgetPolicy.billing_account_id == account_id, BudgetPolicy.is_active)
    ).all()
    return sum(_evaluate_one(session, policy, now) for policy in policies)


def _evaluate_one(session: Session, policy: BudgetPolicy, now: datetime) -> int:
    row = _row(session, policy, now)
    known = {
        event.threshold_percent: event
        for event in session.scalars(
            select(BudgetEvent).where(BudgetEvent.policy_id == policy.id, BudgetEvent.period_label == row.period_label)
        )
    }
    new = 0
    for percent in row.reached_percent:
        event = known.get(percent)
        if event is not None:
            event.last_seen_at, event.seen_count, event.amount_minor = now, event.seen_count + 1, row.spent_minor
            continue
        new += 1
        session.add(
            BudgetEvent(
                id=new_id("bev"),
                policy_id=policy.id,
                period_label=row.period_label,
                threshold_percent=percent,
                first_seen_at=now,
                last_seen_at=now,
                seen_count=1,
                amount_minor=row.spent_minor,
            )
        )
        outbox.enqueue(
            session,
            now=now,
            topic="budget.crossed",
            dedup_key=f"budget:{policy.id}:{row.period_label}:{percent}",
            payload={
                "budget_id": policy.id,
                "name": policy.name,
                "period": row.period_label,
                "threshold_percent": percent,
                "spent_minor": row.spent_minor,
                "amount_minor": row.amount_minor,
                "currency": row.currency,
            },
            billing_account_id=policy.billing_account_id,
        )
    session.flush()
    return new


def _policies(account_id: str) -> Select[BudgetPolicy, str | None]:
    return (
        select(BudgetPolicy, Project.code)
        .outerjoin(Project, Project.id == BudgetPolicy.project_id)
        .where(BudgetPolicy.billing_account_id == account_id)
    )


def _policy_row(policy: BudgetPolicy, project_code: str | None) -> PolicyRow:
    return PolicyRow(
        id=policy.id,
        name=policy.name,
        project_code=project_code,
        currency=policy.currency,
        amount_minor=policy.amount_minor,
        thresholds_percent=tuple(int(percent) for percent in policy.thresholds_percent),
        is_active=policy.is_active,
        created_at=policy.created_at,
        updated_at=policy.updated_at,
    )


def _row(session: Session, policy: BudgetPolicy, now: datetime) -> BudgetRow:
    account = session.get_one(BillingAccount, policy.billing_account_id)
    project = session.get_one(Project, policy.project_id) if policy.project_id else None
    month = periods.month_of(now, account.zone)
    label = periods.label_of(month.start_at, "month", account.zone)
    if project is None:
        costs = spending.month_costs(session, account.id, [label])
        spent_minor = sum(cost.amount_minor for cost in costs if cost.currency == policy.currency)
    else:
        found = spending.spend(
            session,
            account.id,
            start_at=month.start_at,
            end_at=month.end_at,
            by="month",
            zone=account.zone,
            group="project",
            wanted=SpendFilter(project_code=project.code),
        )
        spent_minor = sum(one.total_minor for one in found if one.currency == policy.currency)
    percents = tuple(int(percent) for percent in policy.thresholds_percent)
    return BudgetRow(
        id=policy.id,
        name=policy.name,
        project_id=policy.project_id,
        project_code=project.code if project else None,
        currency=policy.currency,
        amount_minor=policy.amount_minor,
        spent_minor=spent_minor,
        thresholds_percent=percents,
        reached_percent=tuple(thresholds.reached(spent_minor, policy.amount_minor, percents)),
        is_active=policy.is_active,
        period_label=label,
        created_at=policy.created_at,
    )


def _get(session: Session, account_id: str, policy_id: str) -> BudgetPolicy:
    policy = session.get(BudgetPolicy, policy_id)
    if policy is None or policy.billing_account_id != account_id:
        raise NotFound(kind="budget", id=policy_id)
    return policy


def _check(
    session: Session, account_id: str, name: str, amount: Money, project_id: str | None, *, except_id: str | None = None
) -> None:
    account = session.get_one(BillingAccount, account_id)
    if amount.currency != account.currency:
        raise Invalid(field="amount", value=amount.currency, expected=account.currency, reason="currency_mismatch")
    if amount.minor <= 0:
        raise Invalid(field="amount", amount_minor=amount.minor, currency=amount.currency, reason="not_positive")
    if project_id is not None:
        project = session.get(Project, project_id)
        if project is None or project.billing_account_id != account_id:
            raise NotFound(kind="project", id=project_id)
    same = select(BudgetPolicy.id).where(
        BudgetPolicy.billing_account_id == account_id, BudgetPolicy.name == name, BudgetPolicy.is_active
    )
    if set(session.scalars(same)) - {except_id}:
        raise BudgetNameTaken(field="name", name=name)


def _record(session: Session, policy: BudgetPolicy, act: str, now: datetime, actor: str) -> None:
    audit.record(
        session,
        now=now,
        actor=actor,
        act=act,
        subject_type="budget",
        subject_id=policy.id,
        billing_account_id=policy.billing_account_id,
        facts={
            "amount_minor": policy.amount_minor,
            "currency": policy.currency,
            "thresholds_percent": policy.thresholds_percent,
            "is_active": int(policy.is_active),
        },
    )
