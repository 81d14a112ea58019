"""Price locks: under a plan whose terms say so, usage of an allocation keeps the price of the allocation's start for life (RT3)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.catalog import terms
from billing.catalog.items import ON_DEMAND, SPOT, Item
from billing.catalog.prices import PriceTable
from billing.catalog.tables import PlanVersion, PriceVersion, Subscription
from billing.catalog.withdrawals import is_standing
from billing.kernel.clock import to_rfc3339
from billing.metering.tables import Allocation, UsageRecord
from billing.rating.errors import AlreadyRated
from billing.rating.tables import RatedLine

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Locks:
    """The stretches of time [start, end) in which an account's plan locks the price of allocations that start in them."""

    spans: tuple[tuple[datetime, datetime], ...]

    def priced_at(self) -> ColumnElement[datetime]:
        """The instant whose price a usage record takes: its allocation's start where that locked it, else its own.

        For a query that has outer-joined the allocation. Reserved hours are paid as their reservation says, whatever ran in them.
        """
        start_at, allocated_at = UsageRecord.start_at, Allocation.started_at
        if not self.spans:
            return start_at.expression
        is_locked: list[ColumnElement[bool]] = [
            and_(allocated_at >= start, allocated_at < end) for start, end in self.spans
        ]
        is_own = UsageRecord.mode.in_((ON_DEMAND, SPOT))
        return case((and_(is_own, or_(*is_locked)), allocated_at), else_=start_at)


def load(session: Session, account_id: str) -> Locks:
    """The account's locks: of each plan version in force while the account is subscribed to its plan."""
    subscribed: list[tuple[datetime, str]] = [
        (valid_from, plan_id)
        for valid_from, plan_id in session.execute(
            select(Subscription.valid_from, Subscription.plan_id)
            .where(Subscription.billing_account_id == account_id, is_standing())
            .order_by(Subscription.valid_from)
        )
    ]
    versions: dict[str, list[tuple[datetime, Any]]] = {}
    for plan_id, valid_from, content in session.execute(
        select(PlanVersion.plan_id, PlanVersion.valid_from, PlanVersion.terms)
        .where(PlanVersion.plan_id.in_({plan_id for _, plan_id in subscribed}))
        .order_by(PlanVersion.valid_from)
    ):
        versions.setdefault(plan_id, []).append((valid_from, content))
    spans = [
        (max(start, planned), min(end, replaced))
        for start, end, plan_id in _spans(subscribed)
        for planned, replaced, content in _spans(versions.get(plan_id, []))
        if max(start, planned) < min(end, replaced) and terms.read(content).locks_price
    ]
    return Locks(spans=tuple(spans))


def require_kept(session: Session, account_id: str, before: Locks, prices: PriceTable) -> None:
    """Raise AlreadyRated where the locks as they are now would ask for another price than a rated line of an allocation stands on.

    Looked at are lines of allocations that started where the locks differ from what they were `before`; by today's prices.
    """
    after = load(session, account_id)
    differing = _differing(before, after)
    if not differing:
        return
    touched = or_(*(and_(Allocation.started_at >= start, Allocation.started_at < end) for start, end in differing))
    lines = (
        select(UsageRecord.meter_code, UsageRecord.variant, UsageRecord.mode, RatedLine.price_version_id)
        .join(RatedLine, RatedLine.usage_record_id == UsageRecord.id)
        .join(Allocation, Allocation.id == UsageRecord.allocation_id)
        .where(Allocation.billing_account_id == account_id, touched, UsageRecord.mode.in_((ON_DEMAND, SPOT)))
    )
    asked_at = after.priced_at()
    for meter_code, variant, mode, price_id in session.execute(lines.distinct()).all():
        item = Item(meter_code, variant, mode)
        borders = [_FIRST, *prices.edges(account_id, item, _FIRST, _LAST), _LAST]
        for start_at, end_at in pairwise(borders):
            price = prices.price_at(account_id, item, start_at)
            if price is not None and price.id == price_id:
                continue
            of_item = (UsageRecord.meter_code == meter_code, UsageRecord.variant == variant, UsageRecord.mode == mode)
            wrong = lines.with_only_columns(UsageRecord.start_at).where(
                *of_item, RatedLine.price_version_id == price_id, asked_at >= start_at, asked_at < end_at
            )
            found = session.scalar(wrong.order_by(UsageRecord.start_at.desc()).limit(1))
            if found is not None:
                raise AlreadyRated(
                    account=session.get_one(BillingAccount, account_id).code,
                    sku=session.get_one(PriceVersion, price_id).sku_code,
                    valid_from=to_rfc3339(max(start_at, differing[0][0])),
                    rated_until=to_rfc3339(found),
                    price_version_id=price_id,
                )


def _differing(before: Locks, after: Locks) -> list[tuple[datetime, datetime]]:
    """Where one of them locks and the other does not, rising."""
    borders = sorted({border for locks in (before, after) for span in locks.spans for border in span})
    return [(start, end) for start, end in pairwise(borders) if _holds(before, start) != _holds(after, start)]


def _holds(locks: Locks, at: datetime) -> bool:
    return any(start <= at < end for start, end in locks.spans)


def _spans(starts: list[tuple[datetime, Any]]) -> list[tuple[datetime, datetime, Any]]:
    """(start, end, what): each ends where the next starts."""
    ends = [start for start, _ in starts[1:]] + [_LAST]
    return [(start, end, what) for (start, what), end in zip(starts, ends, strict=True)]
