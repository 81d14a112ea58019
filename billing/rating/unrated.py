"""Usage that waits for a price: kept with its reason, counted, shown, and looked at again when there are other prices."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from billing.catalog.tables import PlanVersion, PriceVersion, Subscription
from billing.metering.tables import UsageRecord
from billing.rating import usage
from billing.rating.tables import UnratedUsage
from billing.rating.usage import Usage
from billing.storage import bulk

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
    sizes = (
        select(func.count()).select_from(PriceVersion).scalar_subquery(),
        select(func.count()).select_from(PlanVersion).scalar_subquery(),
        select(func.count())
        .select_from(Subscription)
        .where(Subscription.billing_account_id == account_id)
        .scalar_subquery(),
    )
    return ".".join(str(size) for size in session.execute(select(*sizes)).one())


def accounts_to_retry(session: Session) -> list[str]:
    """Billing accounts with waiting usage that was last looked at under other prices."""
    looked = session.execute(select(UnratedUsage.billing_account_id, UnratedUsage.price_state).distinct()).all()
    states = {account_id: price_state(session, account_id) for account_id in {account_id for account_id, _ in looked}}
    return sorted({account_id for account_id, state in looked if state != states[account_id]})


def take(session: Session, account_id: str, *, state: str, limit: int) -> Sequence[Usage]:
    """Up to `limit` waiting records last looked at in another price state, as `Usage`, in their order."""
    waiting = (
        usage.query(session)
        .join(UnratedUsage, UnratedUsage.usage_record_id == UsageRecord.id)
        .where(UnratedUsage.billing_account_id == account_id, UnratedUsage.price_state != state)
        .order_by(UsageRecord.usage_seq)
        .limit(limit)
    )
    return usage.fetch(session, waiting)


def put_back(
    session: Session,
    account_id: str,
    *,
    state: str,
    retried: Collection[str],
    waiting: list[tuple[str, str]],
    now: datetime,
) -> None:
    """Keep what still waits and release what was rated; `waiting` are (usage record id, reason)."""
    new = [(usage_id, account_id, reason, state, now) for usage_id, reason in waiting if usage_id not in retried]
    bulk.insert_rows(
        session, _WAITING, ("usage_record_id", "billing_account_id", "reason", "price_state", "since_at"), new
    )
    still = {usage_id for usage_id, _ in waiting}
    seen = [{"key": usage_id, "why": reason, "state": state} for usage_id, reason in waiting if usage_id in retried]
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
