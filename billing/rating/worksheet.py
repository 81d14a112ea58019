"""The counters and charges of one account while a batch is rated: read when first needed, kept as integers, written once.

Everything here happens under the account's lock.
"""

import itertools
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.catalog.items import Item
from billing.catalog.prices import Price, PriceTable
from billing.kernel import clock
from billing.kernel.ids import new_id
from billing.rating import curves, periods, usage
from billing.rating.curves.per_unit import PerUnit
from billing.rating.curves.terms import Curve, Scale
from billing.rating.derivations import MICRO_PER_MINOR, cost_micro, curve_of
from billing.rating.tables import BillingPeriod, Charge, Counter
from billing.storage import bulk
from billing.storage.columns import micros

_COUNTERS = cast(Table, Counter.__table__)
_CHARGES = cast(Table, Charge.__table__)


@dataclass(slots=True, kw_only=True)
class OpenCharge:
    """A charge that may take lines, and what it counts so far."""

    id: str
    project_key: str
    generation: int
    before_base: int
    quantity_base: int
    is_new: bool
    is_touched: bool = False


@dataclass(slots=True, kw_only=True)
class OpenCounter:
    """A counter, its curve, and where it stands. `rate_*` is the straight line of a per-unit price, in micro per base unit."""

    id: str
    period_id: str
    segment_start_at: datetime
    price: Price
    scale: Scale | None
    curve: Curve
    quantity_base: int
    counter_seq: int
    is_new: bool
    is_per_project: bool
    charges: dict[str, OpenCharge] = field(default_factory=dict)  # the newest generation of each project key
    closed: set[str] = field(default_factory=set)  # ids of charges among them that a draft has closed
    cost_micro: int = 0
    rate_numerator: int = 0
    rate_denominator: int = 0  # 0: not a straight line
    is_touched: bool = False

    def charge_of(self, project_id: str | None) -> OpenCharge:
        """The charge that takes the next line of a project: a new generation where a draft has closed the last one."""
        key = (project_id or "") if self.is_per_project else ""
        charge = self.charges.get(key)
        if charge is not None and charge.id not in self.closed:
            return charge
        generation, before_base = 0, 0
        if charge is not None:
            generation, before_base = charge.generation + 1, charge.before_base + charge.quantity_base
        opened = OpenCharge(
            id=new_id("chg"),
            project_key=key,
            generation=generation,
            before_base=before_base,
            quantity_base=0,
            is_new=True,
        )
        self.charges[key] = opened
        return opened


@dataclass(slots=True, kw_only=True)
class Slot:
    """The stretch of time in which one item's usage goes to one counter, or to none for the reason given."""

    start_micros: int
    end_micros: int
    counter: OpenCounter | None
    reason: str = ""


class Worksheet:
    """One account's counters and charges during one batch."""

    def __init__(self, session: Session, *, account: BillingAccount, prices: PriceTable) -> None:
        self._session = session
        self._account = account
        self._prices = prices
        self._slots: dict[Item, list[Slot]] = {}
        self._counters: list[OpenCounter] = []

    def slot(self, item: Item, start_micros: int) -> Slot:
        """Where usage of an item that starts at the instant (microseconds since 1970) is counted."""
        slots = self._slots.setdefault(item, [])
        for slot in slots:
            if slot.start_micros <= start_micros < slot.end_micros:
                return slot
        slot = self._make_slot(item, usage.instant(start_micros))
        slots.append(slot)
        return slot

    def save(self) -> None:
        """Write every counter and charge that took lines."""
        touched = [counter for counter in self._counters if counter.is_touched]
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

    def _make_slot(self, item: Item, start_at: datetime) -> Slot:
        period = periods.period_at(self._session, self._account, start_at)
        edges = self._prices.edges(self._account.id, item, period.start_at, period.end_at)
        borders = [period.start_at, *(edge for edge in edges if period.start_at < edge < period.end_at), period.end_at]
        index = bisect_right(borders, start_at) - 1
        start = borders[index]
        start_micros, end_micros = micros(start), micros(borders[index + 1])
        price = self._prices.price_at(self._account.id, item, start_at)
        if price is None:
            return Slot(start_micros=start_micros, end_micros=end_micros, counter=None, reason="no_price")
        lengths_ms = tuple(clock.millis_between(*pair) for pair in itertools.pairwise(borders))
        if self._has_other_scale(period, price, borders, lengths_ms):
            return Slot(
                start_micros=start_micros, end_micros=end_micros, counter=None, reason="price_changed_after_rating"
            )
        counter = self._find_counter(period, price, start) or self._new_counter(
            period, price, start, _scale(price, lengths_ms, index)
        )
        self._counters.append(counter)
        return Slot(start_micros=start_micros, end_micros=end_micros, counter=counter)

    def _has_other_scale(
        self, period: BillingPeriod, price: Price, borders: list[datetime], lengths_ms: tuple[int, ...]
    ) -> bool:
        """Whether lines of a price with bounds were rated in this period when other changes of price were known.

        Its bounds were then cut otherwise, and going on would give an allowance twice. Such usage waits, visibly.
        """
        if curves.is_per_project(price.model):
            return False
        kept = self._session.execute(
            select(Counter.segment_start_at, Counter.scale)
            .join(Charge, Charge.counter_id == Counter.id)
            .where(Counter.billing_period_id == period.id, Charge.sku_code == price.sku_code, Charge.project_key == "")
            .where(Charge.generation == 0)
        ).all()
        expected = {start: _scale_fields(_scale(price, lengths_ms, index)) for index, start in enumerate(borders[:-1])}
        return any(expected.get(start, "none") != scale for start, scale in kept)

    def _find_counter(self, period: BillingPeriod, price: Price, start_at: datetime) -> OpenCounter | None:
        row = self._session.scalars(
            select(Counter).where(
                Counter.billing_account_id == self._account.id,
                Counter.price_version_id == price.id,
                Counter.billing_period_id == period.id,
                Counter.segment_start_at == start_at,
            )
        ).first()
        if row is None:
            return None
        counter = open_counter(price, read_scale(row.scale), row.id, period.id, start_at)
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

    def _new_counter(self, period: BillingPeriod, price: Price, start_at: datetime, scale: Scale | None) -> OpenCounter:
        return open_counter(price, scale, new_id("ctr"), period.id, start_at)

    def _counter_row(self, counter: OpenCounter) -> tuple[Any, ...]:
        return (
            counter.id,
            self._account.id,
            counter.price.id,
            counter.period_id,
            counter.segment_start_at,
            _scale_fields(counter.scale),
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


def read_scale(fields: dict[str, Any] | None) -> Scale | None:
    """A counter's stored share of its period."""
    return None if fields is None else Scale(lengths_ms=tuple(fields["lengths_ms"]), index=fields["index"])


def _scale(price: Price, lengths_ms: tuple[int, ...], index: int) -> Scale | None:
    if len(lengths_ms) == 1 or curves.is_per_project(price.model):
        return None
    return Scale(lengths_ms=lengths_ms, index=index)


def _scale_fields(scale: Scale | None) -> dict[str, Any] | None:
    return None if scale is None else {"lengths_ms": list(scale.lengths_ms), "index": scale.index}


def open_counter(price: Price, scale: Scale | None, counter_id: str, period_id: str, start_at: datetime) -> OpenCounter:
    curve = curve_of(price, scale)
    rate = curve.per_base * MICRO_PER_MINOR if isinstance(curve, PerUnit) else Fraction(0)
    return OpenCounter(
        id=counter_id,
        period_id=period_id,
        segment_start_at=start_at,
        price=price,
        scale=scale,
        curve=curve,
        quantity_base=0,
        counter_seq=0,
        is_new=True,
        is_per_project=curves.is_per_project(price.model),
        rate_numerator=rate.numerator,
        rate_denominator=rate.denominator if isinstance(curve, PerUnit) else 0,
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
_UPDATE_COUNTER = (
    update(_COUNTERS)
    .where(_COUNTERS.c.id == bindparam("key"))
    .values(quantity_base=bindparam("quantity"), counter_seq=bindparam("seq"))
)
_UPDATE_CHARGE = update(_CHARGES).where(_CHARGES.c.id == bindparam("key")).values(quantity_base=bindparam("quantity"))
