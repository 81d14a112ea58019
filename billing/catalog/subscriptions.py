"""Which plan an account is on, from when on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import BillingAccount
from billing.catalog import plans
from billing.catalog.errors import SubscriptionExists
from billing.catalog.plans import PlanRow
from billing.catalog.tables import Plan, PlanVersion, Subscription
from billing.catalog.withdrawals import is_standing
from billing.kernel.clock import to_rfc3339
from billing.kernel.ids import new_id
from billing.storage import audit


@dataclass(frozen=True, kw_only=True)
class SubscriptionRow:
    """One stretch of an account's history: on the plan in [from_at, until_at), the last without an end."""

    id: str
    billing_account_id: str
    plan_code: str
    plan_name: str
    from_at: datetime
    until_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class PlanStretch:
    """The version of a plan that an account is on in [from_at, until_at), the last without an end."""

    plan: PlanRow
    from_at: datetime
    until_at: datetime | None


def subscribe(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    plan_code: str = plans.DEFAULT_CODE,
    valid_from: datetime = plans.ALWAYS,
    actor: str = "system",
) -> Subscription:
    """Put the account on a plan from an instant on, until its next subscription; the same again gives the same row.

    What usage was rated already is asked by `rating.price_changes`, which wraps this. Locks the account's head: rating must not
    read half of it. Raises NotFound for account or plan, SubscriptionExists where the account changes to another plan at that
    instant, Invalid: too_far_ahead, minimum_in_other_currency where the plan has a minimum and none in the account's currency.
    """
    heads.lock_one(session, account_id)
    plan = plans.get_plan(session, plan_code)
    valid_from = plans.require_start(valid_from, now=now)
    before = session.scalars(
        select(Subscription).where(Subscription.billing_account_id == account_id, Subscription.valid_from == valid_from)
    ).all()
    standing = select(Subscription).where(Subscription.id.in_([row.id for row in before]), is_standing())
    found = session.scalars(standing).first()
    if found is not None:
        if found.plan_id != plan.id:
            raise SubscriptionExists(account_id=account_id, plan=plan_code, valid_from=to_rfc3339(valid_from))
        return found
    _require_currency(session, account_id, plan.code, valid_from)
    subscription = Subscription(
        id=new_id("sub"),
        billing_account_id=account_id,
        plan_id=plan.id,
        valid_from=valid_from,
        take=len(before),
        created_at=now,
    )
    session.add(subscription)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="subscription.create",
        subject_type="subscription",
        subject_id=subscription.id,
        billing_account_id=account_id,
        facts={"plan": plan_code, "valid_from": to_rfc3339(valid_from)} | ({"take": len(before)} if before else {}),
    )
    session.flush()  # whoever rates next in this act must find it
    return subscription


def list_subscriptions(session: Session, account_id: str | None = None) -> Sequence[SubscriptionRow]:
    """An account's history of plans, or everybody's: by account and start."""
    query = select(Subscription, Plan).join(Plan, Plan.id == Subscription.plan_id)
    query = query.where(is_standing()).order_by(Subscription.billing_account_id, Subscription.valid_from)
    if account_id is not None:
        query = query.where(Subscription.billing_account_id == account_id)
    found = [(row, plan) for row, plan in session.execute(query)]
    after = [*(row for row, _ in found), None][1:]
    return [
        SubscriptionRow(
            id=row.id,
            billing_account_id=row.billing_account_id,
            plan_code=plan.code,
            plan_name=plan.name,
            from_at=row.valid_from,
            until_at=None
            if following is None or following.billing_account_id != row.billing_account_id
            else following.valid_from,
            created_at=row.created_at,
        )
        for (row, plan), following in zip(found, after, strict=True)
    ]


def find_account(session: Session, subscription_id: str) -> str | None:
    """The billing account of a subscription, withdrawn or not; None where there is none."""
    return session.scalar(select(Subscription.billing_account_id).where(Subscription.id == subscription_id))


def _require_currency(session: Session, account_id: str, plan_code: str, valid_from: datetime) -> None:
    """Every version of the plan that holds from then on has its minimum, if any, in the account's currency too."""
    account = session.get_one(BillingAccount, account_id)
    versions = plans.list_versions(session, plan_code)
    for version, following in zip(versions, [*versions[1:], None], strict=True):
        is_over = following is not None and following.valid_from <= valid_from
        if not is_over and version.terms.minimums and version.terms.minimum_in(account.currency) is None:
            plans.refuse_minimum(plan_code, account.code, account.currency)


def stretches(session: Session, account_id: str) -> list[PlanStretch]:
    """Which version of which plan the account is on, when: rising, without gaps in which it is on none."""
    versions: dict[str, list[PlanRow]] = {}
    query = select(Plan, PlanVersion).join(PlanVersion, PlanVersion.plan_id == Plan.id)
    subscribed = select(Subscription.plan_id).where(Subscription.billing_account_id == account_id, is_standing())
    for plan, version in session.execute(query.where(Plan.id.in_(subscribed)).order_by(PlanVersion.valid_from)):
        versions.setdefault(plan.code, []).append(plans.row_of(plan, version))
    found = []
    for row in list_subscriptions(session, account_id):
        of_plan = versions.get(row.plan_code, [])
        for version_row, following in zip(of_plan, [*of_plan[1:], None], strict=True):
            from_at = max(row.from_at, version_row.valid_from)
            ends = [at for at in (row.until_at, following.valid_from if following else None) if at is not None]
            until_at = min(ends, default=None)
            if until_at is None or from_at < until_at:
                found.append(PlanStretch(plan=version_row, from_at=from_at, until_at=until_at))
    return found


def plan_at(session: Session, account_id: str, at: datetime) -> PlanStretch | None:
    """What the account is on at the instant, with its terms; None before its first plan begins."""
    return next(
        (
            one
            for one in stretches(session, account_id)
            if one.from_at <= at and (one.until_at is None or at < one.until_at)
        ),
        None,
    )
