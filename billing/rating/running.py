"""What runs now and what its next hour costs, at the prices in force and from where each counter stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.catalog.meters import METERS
from billing.catalog.prices import Price, PriceTable
from billing.metering import accrual, allocation_list, shapes
from billing.metering.allocation_list import AllocationRow
from billing.rating.derivations import curve_of
from billing.rating.tables import BillingPeriod, Counter, UnratedUsage

_EPOCH, _HOUR = datetime(1970, 1, 1, tzinfo=UTC), timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Part:
    """What an allocation holds of one meter: `units_per_hour` of `unit`, such as 8 GPU-hours each hour."""

    meter_code: str
    unit: str
    units_per_hour: Fraction


@dataclass(frozen=True, kw_only=True)
class RunningRow:
    """One allocation that has not ended. `per_hour_minor` is exact, in `currency`; None when a part of it has no price.

    A stopped one still holds its storage, which is billed; without storage it costs nothing.
    """

    allocation: AllocationRow
    is_stopped: bool
    parts: tuple[Part, ...]
    currency: str
    per_hour_minor: Fraction | None


@dataclass(frozen=True, kw_only=True)
class Lag:
    """What of an account's usage is not in its figures yet: records rating has not looked at, lines not posted, without a price."""

    unseen_count: int
    unposted_count: int
    unpriced_count: int


def list_running(
    session: Session, account_id: str, *, now: datetime, currency: str, limit: int = 50
) -> Sequence[RunningRow]:
    """The account's open live allocations, newest first, each with the cost of its next hour.

    A price with tiers or an allowance is asked from where its counter stands, so that the figure is what the hour would add.
    Jobs of a log that have not ended are left out: they are counted when the log says how they ended.
    """
    found = [
        row for row in allocation_list.list_allocations(session, account_id, only_open=True, limit=limit) if row.is_live
    ]
    stopped = allocation_list.stopped_among(session, [row.id for row in found])
    prices = PriceTable.load(session, [account_id]) if found else None
    rows = []
    for row in found:
        parts, cost = [], Fraction(0)
        is_priced = bool(row.rates) or row.id in stopped
        for meter_code, rate in sorted(row.rates.items()):
            meter = METERS[meter_code]
            hourly_base = shapes.quantity(meter_code, rate, _EPOCH, _EPOCH + _HOUR)
            parts.append(
                Part(meter_code=meter_code, unit=meter.unit, units_per_hour=Fraction(hourly_base, meter.base_per_unit))
            )
            price = prices.price_at(account_id, accrual.item_of(row, meter_code), now) if prices else None
            if price is None:
                is_priced = False
            else:
                cost += _next_cost(session, account_id, price, now, hourly_base)
        rows.append(
            RunningRow(
                allocation=row,
                is_stopped=row.id in stopped,
                parts=tuple(parts),
                currency=currency,
                per_hour_minor=cost if is_priced else None,
            )
        )
    return rows


def lag(session: Session, account_id: str) -> Lag:
    """How far the account's figures are behind what was taken in: all zeros when they hold everything."""
    head = session.get_one(AccountHead, account_id)
    waiting = session.scalars(
        select(UnratedUsage.usage_record_id).where(UnratedUsage.billing_account_id == account_id).limit(1001)
    ).all()
    return Lag(
        unseen_count=head.usage_seq - head.rated_usage_seq,
        unposted_count=head.line_seq - head.posted_line_seq,
        unpriced_count=len(waiting),
    )


def _next_cost(session: Session, account_id: str, price: Price, now: datetime, hourly_base: int) -> Fraction:
    curve = curve_of(price)
    before = 0
    if price.model != "per_unit":
        before = (
            session.scalars(
                select(Counter.quantity_base)
                .join(BillingPeriod, BillingPeriod.id == Counter.billing_period_id)
                .where(
                    Counter.billing_account_id == account_id,
                    Counter.price_version_id == price.id,
                    BillingPeriod.start_at <= now,
                    BillingPeriod.end_at > now,
                )
                .order_by(Counter.segment_start_at.desc())
            ).first()
            or 0
        )
    return curve.cost(before + hourly_base) - curve.cost(before)
