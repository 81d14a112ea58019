"""Usage that waits for a price: kept with its reason, counted, shown, and looked at again when there are other prices."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, bindparam, case, delete, func, select, update
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.catalog.tables import (
    PlanVersion,
    PriceBookActivation,
    PriceOverride,
    PriceVersion,
    Subscription,
    SubscriptionWithdrawal,
)
from billing.metering.tables import UsageRecord
from billing.rating import usage
from billing.rating.price_locks import Locks
from billing.rating.tables import UnratedUsage
from billing.rating.usage import Usage
from billing.storage import bulk

BELOW_ZERO = "below_zero"
_WAITING = cast(Table, UnratedUsage.__table__)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How many records of an account wait for the same reason, and since when."""

    billing_account_id: str
    meter_code: str
    reason: str
    count: int
    since_at: datetime


def price_state(session: Session, account_id: str) -> str:
    """A name for what prices an account could have: those tables only grow, so their sizes tell states apart.

    Read it before the prices themselves: a price that arrives in between is then seen as a change, never missed.
    """
    shared = (PriceVersion, PlanVersion, PriceBookActivation)
    own = (Subscription, SubscriptionWithdrawal, PriceOverride)
    sizes = [
        *(select(func.count()).select_from(table).scalar_subquery() for table in shared),
        *(
            select(func.count()).select_from(table).where(table.billing_account_id == account_id).scalar_subquery()
            for table in own
        ),
    ]
    return ".".join(str(size) for size in session.execute(select(*sizes)).one())


def accounts_to_retry(session: Session) -> list[str]:
    """Billing accounts with waiting usage that was last looked at under other prices or, below zero, before their last lines."""
    looked = session.execute(
        select(UnratedUsage.billing_account_id, UnratedUsage.reason, UnratedUsage.price_state, AccountHead.line_seq)
        .join(AccountHead, AccountHead.billing_account_id == UnratedUsage.billing_account_id)
        .distinct()
    ).all()
    states = {account_id: price_state(session, account_id) for account_id in {row[0] for row in looked}}
    return sorted(
        {
            account_id
            for account_id, reason, state, line_seq in looked
            if state != _state(reason, states[account_id], line_seq)
        }
    )


def take(session: Session, account_id: str, *, state: str, line_seq: int, locks: Locks, limit: int) -> Sequence[Usage]:
    """Up to `limit` waiting records last looked at in another state than today's, as `Usage`, in their order."""
    is_below = UnratedUsage.reason == BELOW_ZERO
    waiting = (
        usage.query(session, locks)
        .join(UnratedUsage, UnratedUsage.usage_record_id == UsageRecord.id)
        .where(
            UnratedUsage.billing_account_id == account_id,
            UnratedUsage.price_state != case((is_below, _state(BELOW_ZERO, state, line_seq)), else_=state),
        )
        .order_by(UsageRecord.usage_seq)
        .limit(limit)
    )
    return usage.fetch(session, waiting)


def _state(reason: str, state: str, line_seq: int) -> str:
    """What must change before a record is looked at again: prices, and for one below zero also the account's lines."""
    return f"{state}/{line_seq}" if reason == BELOW_ZERO else state


def put_back(
    session: Session,
    account_id: str,
    *,
    state: str,
    line_seq: int,
    retried: Collection[str],
    waiting: list[tuple[str, str]],
    now: datetime,
) -> None:
    """Keep what still waits and release what was rated; `waiting` are (usage record id, reason).

    `state` and `line_seq` are the account's from before the run: what the run itself rated may raise a counter again.
    """
    new = [
        (usage_id, account_id, reason, _state(reason, state, line_seq), now)
        for usage_id, reason in waiting
        if usage_id not in retried
    ]
    bulk.insert_rows(
        session, _WAITING, ("usage_record_id", "billing_account_id", "reason", "price_state", "since_at"), new
    )
    still = {usage_id for usage_id, _ in waiting}
    seen = [
        {"key": usage_id, "why": reason, "state": _state(reason, state, line_seq)}
        for usage_id, reason in waiting
        if usage_id in retried
    ]
    rated = [{"key": usage_id} for usage_id in sorted(set(retried) - still)]
    connection = session.connection()
    if seen:
        connection.execute(_LOOK_AGAIN, seen)
    if rated:
        connection.execute(_RELEASE, rated)


def summarize(session: Session, account_id: str | None = None) -> list[Waiting]:
    """What waits, per account, meter and reason: Waiting(billing_account_id, meter_code, reason, count, since_at)."""
    query = (
        select(
            UnratedUsage.billing_account_id,
            UsageRecord.meter_code,
            UnratedUsage.reason,
            func.count(),
            func.min(UnratedUsage.since_at),
        )
        .join(UsageRecord, UsageRecord.id == UnratedUsage.usage_record_id)
        .group_by(UnratedUsage.billing_account_id, UsageRecord.meter_code, UnratedUsage.reason)
        .order_by(UnratedUsage.billing_account_id, UsageRecord.meter_code, UnratedUsage.reason)
    )
    if account_id is not None:
        query = query.where(UnratedUsage.billing_account_id == account_id)
    return [
        Waiting(billing_account_id=owner, meter_code=meter, reason=reason, count=count, since_at=since_at)
        for owner, meter, reason, count, since_at in session.execute(query)
    ]


_LOOK_AGAIN = (
    update(_WAITING)
    .where(_WAITING.c.usage_record_id == bindparam("key"))
    .values(reason=bindparam("why"), price_state=bindparam("state"))
)
_RELEASE = delete(_WAITING).where(_WAITING.c.usage_record_id == bindparam("key"))
