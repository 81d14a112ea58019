"""Rescaling (Law 1): a change of price inside a period, known after lines were rated, changes the share that a counter has.

The bounds of the counter are then those of a shorter segment. One line of quantity 0 adds the new curve minus the old one at the
counter's quantity. Like every line it stands on a usage record: its source is SOURCE, its id the counter and how many rescalings
the counter had; rating meets it in the account's queue.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.catalog.tables import PriceVersion, Sku
from billing.kernel import canonical
from billing.metering import records
from billing.metering.tables import UsageRecord
from billing.rating import curves, segments
from billing.rating.curves.terms import Scale
from billing.rating.scales import read_scale
from billing.rating.tables import BillingPeriod, Counter, CounterRescale, RatedLine

SOURCE = "rescale/counter"
_CHUNK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A counter of a price with bounds beside what today's prices say of its share."""

    counter_id: str
    item: Item
    segment_start_at: datetime
    old: Scale | None
    new: Scale | None
    is_possible: bool  # False: its segment begins elsewhere now, or lines lie behind the segment's new end

    @property
    def is_stale(self) -> bool:
        """Whether the share changed."""
        return self.old != self.new


def look(
    session: Session,
    account_id: str,
    prices: PriceTable,
    *,
    period_id: str | None = None,
    sku_code: str | None = None,
    counter_id: str | None = None,
    ends_after: datetime | None = None,
) -> list[Stale]:
    """The account's counters with bounds, or those of a period, a SKU, an id, or of periods that end after an instant."""
    query = (
        select(Counter, BillingPeriod, PriceVersion.model, Sku.meter_code, Sku.variant, Sku.mode)
        .join(BillingPeriod, BillingPeriod.id == Counter.billing_period_id)
        .join(PriceVersion, PriceVersion.id == Counter.price_version_id)
        .join(Sku, Sku.code == PriceVersion.sku_code)
        .where(Counter.billing_account_id == account_id, PriceVersion.model.in_(curves.SCALED))
        .order_by(BillingPeriod.start_at, Counter.segment_start_at, Counter.id)
    )
    if period_id is not None:
        query = query.where(Counter.billing_period_id == period_id)
    if sku_code is not None:
        query = query.where(PriceVersion.sku_code == sku_code)
    if counter_id is not None:
        query = query.where(Counter.id == counter_id)
    if ends_after is not None:
        query = query.where(BillingPeriod.end_at > ends_after)
    found = []
    for counter, period, model, *of in session.execute(query):
        item, start_at = Item(*of), counter.segment_start_at
        segment = segments.find(prices, account_id, item, period, start_at)
        old, new = read_scale(counter.scale), segment.scale_of(model)
        is_possible = old == new or (
            segment.start_at == start_at and not _has_lines_from(session, counter.id, segment.end_at)
        )
        found.append(
            Stale(
                counter_id=counter.id,
                item=item,
                segment_start_at=start_at,
                old=old,
                new=new,
                is_possible=is_possible,
            )
        )
    return found


def enqueue(session: Session, head: AccountHead, found: Sequence[Stale], *, now: datetime) -> int:
    """Put a record into the account's usage for each counter whose share changed, unless one waits there; how many.

    The head is locked; its `usage_seq` rises.
    """
    rows = session.execute(
        select(CounterRescale.counter_id, func.count())
        .where(CounterRescale.billing_account_id == head.billing_account_id)
        .group_by(CounterRescale.counter_id)
    )
    counts: dict[str, int] = {counter_id: count for counter_id, count in rows}  # noqa: C416  rows are not pairs to mypy
    wanted = {
        f"{each.counter_id}/{counts.get(each.counter_id, 0) + 1}": each
        for each in found
        if each.is_stale and each.is_possible
    }
    there = set(
        session.scalars(
            select(UsageRecord.source_id).where(UsageRecord.source == SOURCE, UsageRecord.source_id.in_(wanted))
        )
    )
    pieces = [_piece(source_id, each) for source_id, each in wanted.items() if source_id not in there]
    return records.insert(session, records.rows(head, pieces, now=now))


def marked(session: Session, usage_ids: Collection[str]) -> dict[str, str]:
    """{usage record: counter} of those among the records that rescale a counter."""
    ids, counters = list(usage_ids), {}
    for place in range(0, len(ids), _CHUNK):
        rows = session.execute(
            select(UsageRecord.id, UsageRecord.source_id).where(
                UsageRecord.id.in_(ids[place : place + _CHUNK]), UsageRecord.source == SOURCE
            )
        )
        counters.update({usage_id: source_id.partition("/")[0] for usage_id, source_id in rows})
    return counters


def _has_lines_from(session: Session, counter_id: str, instant: datetime) -> bool:
    line = (
        select(RatedLine.id)
        .join(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
        .where(RatedLine.counter_id == counter_id, UsageRecord.start_at >= instant)
        .limit(1)
    )
    return session.scalar(line) is not None


def _piece(source_id: str, stale: Stale) -> records.Piece:
    origin = records.Origin(
        source=SOURCE,
        source_id=source_id,
        allocation_id=None,
        project_id=None,
        member_id=None,
        resource="",
        tags_json="{}",
        correlation_id=None,
        content_hash=canonical.digest("rescale/1", source_id),
        import_id=None,
    )
    return records.Piece(origin, stale.item, (stale.segment_start_at, stale.segment_start_at), 0)
