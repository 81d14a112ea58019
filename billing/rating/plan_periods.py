"""Which billing periods a plan's terms ask about: those of usage, and those that passed while an account was on the plan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.catalog import subscriptions, terms
from billing.catalog.subscriptions import PlanStretch
from billing.catalog.tables import PlanVersion, Subscription
from billing.catalog.terms import PlanTerms
from billing.kernel import clock
from billing.rating import periods
from billing.rating.curves.terms import Scale
from billing.rating.tables import BillingPeriod


@dataclass(frozen=True, kw_only=True)
class Part:
    """The terms in force in one part of a billing period, and the part's share of it; without a plan nothing is asked."""

    terms: PlanTerms
    scale: Scale
    is_planned: bool = True


def accounts_with_terms(session: Session) -> list[str]:
    """Billing accounts that are, were or will be on a plan with fees, gifts, a minimum or percentages."""
    rows = session.execute(select(PlanVersion.plan_id, PlanVersion.terms)).all()
    asking = {plan_id for plan_id, stored in rows if stored and asks(terms.read(stored))}
    if not asking:
        return []
    wanted = select(Subscription.billing_account_id).where(Subscription.plan_id.in_(asking)).distinct()
    return list(session.scalars(wanted.order_by(Subscription.billing_account_id)))


def asks(found: PlanTerms) -> bool:
    """Whether the terms lead to a charge or a gift of their own."""
    return bool(found.fees or found.minimums or found.grants or found.percentages)


def since(
    session: Session,
    account: BillingAccount,
    stretches: Sequence[PlanStretch],
    wanted: Callable[[PlanTerms], bool],
    *,
    now: datetime,
) -> list[BillingPeriod]:
    """The account's periods that have begun: those there are, and those that passed on a plan whose terms are `wanted`.

    Such periods are opened, also without usage, while the account was on the plan. The caller holds its lock.
    """
    for stretch in stretches:
        if not wanted(stretch.plan.terms):
            continue
        at = stretch.from_at
        end = min(now, stretch.until_at) if stretch.until_at is not None else now
        while at <= end and (stretch.until_at is None or at < stretch.until_at):
            at = periods.period_at(session, account, at).end_at
    begun = [period for period in periods.list_periods(session, account.id) if period.start_at <= now]
    return sorted(begun, key=lambda period: period.start_at)


def parts(stretches: Sequence[PlanStretch], period: BillingPeriod) -> list[Part]:
    """The period cut where the account's plan changes, begins or ends; parts without a plan have no terms."""
    inside = {at for one in stretches for at in (one.from_at, one.until_at) if at is not None}
    borders = [period.start_at, *sorted(at for at in inside if period.start_at < at < period.end_at), period.end_at]
    lengths = tuple(clock.millis_between(*pair) for pair in pairwise(borders))
    found = [terms_at(stretches, start) for start in borders[:-1]]
    return [
        Part(terms=one or terms.NONE, scale=Scale(lengths_ms=lengths, index=index), is_planned=one is not None)
        for index, one in enumerate(found)
    ]


def stretches_of(session: Session, account: BillingAccount) -> list[PlanStretch]:
    """The account's plans over time, from its opening, where any leads to a charge or a gift of its own, else nothing."""
    found = all_stretches(session, account)
    return found if any(asks(one.plan.terms) for one in found) else []


def all_stretches(session: Session, account: BillingAccount) -> list[PlanStretch]:
    """The account's plans over time, from its opening: it is billed from then on. Shares are counted in whole seconds."""
    opened_at = clock.whole_second(account.created_at)
    return [
        replace(one, from_at=max(one.from_at, opened_at))
        for one in subscriptions.stretches(session, account.id)
        if one.until_at is None or opened_at < one.until_at
    ]


def terms_at(stretches: Sequence[PlanStretch], at: datetime) -> PlanTerms | None:
    """The terms in force at an instant; None where the account is on no plan."""
    return next(
        (one.plan.terms for one in stretches if one.from_at <= at and (one.until_at is None or at < one.until_at)),
        None,
    )
