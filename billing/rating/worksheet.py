"""The counters and charges of one account while a batch is rated: read when first needed, kept as integers, written once.

Everything here happens under the account's lock.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.catalog.items import Item
from billing.catalog.prices import Price, PriceTable
from billing.catalog.tables import Meter, PriceVersion, Sku
from billing.kernel.ids import new_id
from billing.kernel.money import MAX_MINOR
from billing.rating import curves, periods, rescaling, scales, segments, usage
from billing.rating.counters import OpenCharge, OpenCounter, Slot, open_counter
from billing.rating.curves.terms import Scale
from billing.rating.derivations import MICRO_PER_MINOR, cost_micro
from billing.rating.tables import BillingPeriod, Charge, Counter, CounterRescale
from billing.storage import bulk
from billing.storage.columns import micros

_COUNTERS = cast(Table, Counter.__table__)
_CHARGES = cast(Table, Charge.__table__)
_RESCALES = cast(Table, CounterRescale.__table__)
_MAX_MICRO = MAX_MINOR * MICRO_PER_MINOR
_ALWAYS = (-(2**63), 2**63)


class Worksheet:
    """One account's counters and charges during one batch."""

    def __init__(self, session: Session, *, account: BillingAccount, prices: PriceTable, now: datetime) -> None:
        self._session = session
        self._account = account
        self._prices = prices
        self._now = now
        self._slots: dict[tuple[Item, int], list[Slot]] = {}
        self._periods: list[BillingPeriod] = []
        self._counters: dict[tuple[str, str, datetime], OpenCounter] = {}  # price version, period, segment start
        self._marked: dict[str, str] = {}  # usage record of a rescaling -> counter
        self._rescales: list[tuple[Any, ...]] = []
        self._looked: dict[tuple[str, str], bool] = {}  # period, SKU -> whether its counters can go on
        self.stale: list[
            rescaling.Stale
        ] = []  # counters whose share changed: their rescalings are to be put in the queue

    def expect(self, marked: dict[str, str]) -> None:
        """Usage records of the batch that rescale a counter: {record: counter}."""
        self._marked |= marked

    def slot(self, item: Item, start_micros: int, priced_micros: int) -> Slot:
        """Where usage of an item that starts at the instant is counted, at the price of the other instant.

        Both in microseconds since 1970; they differ for allocations whose plan locked their price.
        """
        key = (item, 0 if priced_micros == start_micros else priced_micros)
        slots = self._slots.setdefault(key, [])
        for slot in slots:
            if slot.start_micros <= start_micros < slot.end_micros:
                return slot
        slot = self._make_slot(item, usage.instant(start_micros), usage.instant(priced_micros))
        slots.append(slot)
        return slot

    def rescaled(self, usage_id: str, line_seq: int) -> Slot | None:
        """The counter that this record of quantity 0 rescales, its new curve in force; None where it is no such record.

        The caller gives the counter a line of that number; then what the new curve adds is `cost - cost_micro`.
        """
        counter_id = self._marked.get(usage_id)
        if counter_id is None:
            return None
        counter = self._counter_by_id(counter_id)
        (found,) = rescaling.look(self._session, self._account.id, self._prices, counter_id=counter_id)
        start, end = _ALWAYS
        after_micro = cost_micro(counter.curve_with(found.new), counter.quantity_base)
        if not found.is_possible or abs(after_micro) > _MAX_MICRO:
            reason = "amount_too_large" if found.is_possible else "price_changed_after_rating"
            return Slot(start_micros=start, end_micros=end, counter=None, reason=reason)
        seq = counter.counter_seq + 1
        before, after = scales.fields_of(counter.scale), scales.fields_of(found.new)
        self._rescales.append(
            (new_id("rsc"), self._account.id, counter.id, seq, line_seq, before, after, self._now),
        )
        counter.rescale(found.new)
        return Slot(start_micros=start, end_micros=end, counter=counter)

    def save(self) -> None:
        """Write every counter and charge that took lines."""
        touched = [counter for counter in self._counters.values() if counter.is_touched]
        charges = [(counter, charge) for counter in touched for charge in counter.charges.values() if charge.is_touched]
        bulk.insert_rows(
            self._session, _COUNTERS, _COUNTER_COLUMNS, [self._counter_row(c) for c in touched if c.is_new]
        )
        bulk.insert_rows(
            self._session,
            _CHARGES,
            _CHARGE_COLUMNS,
            [self._charge_row(*pair) for pair in charges if pair[1].is_new],
        )
        stands = [{"key": c.id, "quantity": c.quantity_base, "seq": c.counter_seq} for c in touched if not c.is_new]
        if stands:
            self._session.connection().execute(_UPDATE_COUNTER, stands)
        quantities = [{"key": c.id, "quantity": c.quantity_base} for _, c in charges if not c.is_new]
        if quantities:
            self._session.connection().execute(_UPDATE_CHARGE, quantities)
        shares = [{"key": c.id, "share": scales.fields_of(c.scale)} for c in touched if c.is_rescaled]
        if shares:
            self._session.connection().execute(_UPDATE_SCALE, shares)
        bulk.insert_rows(self._session, _RESCALES, _RESCALE_COLUMNS, self._rescales)

    def _make_slot(self, item: Item, start_at: datetime, priced_at: datetime) -> Slot:
        period = self._period_at(start_at)
        segment = segments.find(self._prices, self._account.id, item, period, start_at)
        slot = Slot(start_micros=micros(segment.start_at), end_micros=micros(segment.end_at), counter=None)
        price = self._prices.price_at(self._account.id, item, priced_at)
        if price is None:
            slot.reason = "no_price"
            return slot
        if (
            price.item != item
        ):  # a price of any variant: its counter is cut where that price is, not where the variant's are
            segment = segments.find(self._prices, self._account.id, price.item, period, start_at)
            slot.start_micros = max(slot.start_micros, micros(segment.start_at))
            slot.end_micros = min(slot.end_micros, micros(segment.end_at))
        scale = segment.scale_of(price.model)
        if price.model in curves.SCALED and not self._can_go_on(period, price):
            slot.reason = "price_changed_after_rating"
            return slot
        slot.counter = self._counter(period, price, segment.start_at, scale)
        return slot

    def _period_at(self, instant: datetime) -> BillingPeriod:
        for period in self._periods:
            if period.start_at <= instant < period.end_at:
                return period
        period = periods.period_at(self._session, self._account, instant)
        self._periods.append(period)
        return period

    def _can_go_on(self, period: BillingPeriod, price: Price) -> bool:
        """Whether the SKU's counters of this period have the shares that today's prices give them, or can be given them.

        Where a change of price became known after lines were rated, each counter with another share gets a rescaling line. Lines
        behind the change would stand on the wrong price; that is refused when prices change, and waits visibly if it is met.
        """
        key = (period.id, price.sku_code)
        if key not in self._looked:
            found = rescaling.look(
                self._session, self._account.id, self._prices, period_id=period.id, sku_code=price.sku_code
            )
            self.stale += [each for each in found if each.is_stale and each.is_possible]
            self._looked[key] = all(each.is_possible for each in found)
        return self._looked[key]

    def _counter(self, period: BillingPeriod, price: Price, start_at: datetime, scale: Scale | None) -> OpenCounter:
        key = (price.id, period.id, start_at)
        if key not in self._counters:
            row = self._session.scalars(
                select(Counter).where(
                    Counter.billing_account_id == self._account.id,
                    Counter.price_version_id == price.id,
                    Counter.billing_period_id == period.id,
                    Counter.segment_start_at == start_at,
                )
            ).first()
            self._counters[key] = (
                open_counter(price, scale, new_id("ctr"), period.id, start_at)
                if row is None
                else self._opened(row, price)
            )
        return self._counters[key]

    def _counter_by_id(self, counter_id: str) -> OpenCounter:
        row = self._session.get_one(Counter, counter_id)
        key = (row.price_version_id, row.billing_period_id, row.segment_start_at)
        if key not in self._counters:
            self._counters[key] = self._opened(row, _price_of(self._session, row.price_version_id))
        return self._counters[key]

    def _opened(self, row: Counter, price: Price) -> OpenCounter:
        counter = open_counter(price, scales.read_scale(row.scale), row.id, row.billing_period_id, row.segment_start_at)
        counter.quantity_base, counter.counter_seq, counter.is_new = row.quantity_base, row.counter_seq, False
        counter.cost_micro = cost_micro(counter.curve, row.quantity_base)
        charges = self._session.execute(
            select(
                Charge.id,
                Charge.project_key,
                Charge.generation,
                Charge.before_base,
                Charge.quantity_base,
                Charge.draft_id,
            )
            .where(Charge.counter_id == row.id)
            .order_by(Charge.generation)
        )
        for charge_id, project_key, generation, before_base, quantity_base, draft_id in charges:
            counter.charges[project_key] = OpenCharge(
                id=charge_id,
                project_key=project_key,
                generation=generation,
                before_base=before_base,
                quantity_base=quantity_base,
                is_new=False,
            )
            if draft_id is not None:
                counter.closed.add(charge_id)
        return counter

    def _counter_row(self, counter: OpenCounter) -> tuple[Any, ...]:
        return (
            counter.id,
            self._account.id,
            counter.price.id,
            counter.period_id,
            counter.segment_start_at,
            scales.fields_of(counter.scale),
            counter.quantity_base,
            counter.counter_seq,
        )

    def _charge_row(self, counter: OpenCounter, charge: OpenCharge) -> tuple[Any, ...]:
        return (
            charge.id,
            counter.id,
            self._account.id,
            counter.period_id,
            charge.project_key,
            charge.generation,
            counter.price.sku_code,
            counter.price.currency,
            charge.before_base,
            charge.quantity_base,
            0,
            0,
            None,
        )


def _price_of(session: Session, price_version_id: str) -> Price:
    version, sku, base_per_unit = session.execute(
        select(PriceVersion, Sku, Meter.base_per_unit)
        .join(Sku, Sku.code == PriceVersion.sku_code)
        .join(Meter, Meter.code == Sku.meter_code)
        .where(PriceVersion.id == price_version_id)
    ).one()
    return Price(
        id=version.id,
        sku_code=sku.code,
        family=sku.family,
        item=Item(sku.meter_code, sku.variant, sku.mode),
        currency=version.currency,
        model=version.model,
        parameters=version.parameters,
        valid_from=version.valid_from,
        price_hash=version.price_hash,
        base_per_unit=base_per_unit,
    )


_COUNTER_COLUMNS = (
    "id",
    "billing_account_id",
    "price_version_id",
    "billing_period_id",
    "segment_start_at",
    "scale",
    "quantity_base",
    "counter_seq",
)
_CHARGE_COLUMNS = (
    "id",
    "counter_id",
    "billing_account_id",
    "billing_period_id",
    "project_key",
    "generation",
    "sku_code",
    "currency",
    "before_base",
    "quantity_base",
    "posted_minor",
    "posting_seq",
    "draft_id",
)
_RESCALE_COLUMNS = (
    "id",
    "billing_account_id",
    "counter_id",
    "counter_seq",
    "line_seq",
    "old_scale",
    "new_scale",
    "rescaled_at",
)
_UPDATE_COUNTER = (
    update(_COUNTERS)
    .where(_COUNTERS.c.id == bindparam("key"))
    .values(quantity_base=bindparam("quantity"), counter_seq=bindparam("seq"))
)
_UPDATE_CHARGE = update(_CHARGES).where(_CHARGES.c.id == bindparam("key")).values(quantity_base=bindparam("quantity"))
_UPDATE_SCALE = update(_COUNTERS).where(_COUNTERS.c.id == bindparam("key")).values(scale=bindparam("share"))
