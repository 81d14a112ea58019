"""What usage cost, by day and by what it was used for: for charts, tables and totals that agree with the ledger.

The sums come from the database (`cells`). What the ledger holds of each charge, rounded once (Law 2), is then split over what it
is shown by, so that the parts always sum to the whole; of part of a charge, the shown amounts of its lines are summed instead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import Member, Project
from billing.catalog import meters
from billing.catalog.items import UNUSED
from billing.catalog.tables import Meter, Sku
from billing.kernel.errors import Invalid
from billing.kernel.periods import Grain
from billing.metering.windows import Buckets
from billing.rating import booked, cells, dimensions
from billing.rating.cells import Cell, Question
from billing.rating.dimensions import SpendFilter
from billing.rating.tables import BillingPeriod, Charge

MAX_BUCKETS = 400


@dataclass(frozen=True, kw_only=True)
class SpendGroup:
    """One row: what was used for it, and what it cost in each bucket and in all (minor units).

    `key` is a family, a SKU code, a project code ("" for none), a resource, a route, a member id or a tag's value; `note` tells
    rows of the same label apart. `quantity` is in `unit`; None where units differ, or where nothing of it was used (fees), which
    `has_units` tells apart.
    """

    key: str
    label: str
    note: str
    unit: str | None
    quantity: Fraction | None
    has_units: bool
    line_count: int
    amount_minor: int
    by_bucket: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Spending:
    """One currency's cost over a range. `labels` name the buckets; groups stand in falling order of cost.

    `is_ledger`: the total is what the ledger holds or will hold, charge by charge; else a sum of the lines' shown amounts.
    """

    currency: str
    labels: tuple[str, ...]
    groups: tuple[SpendGroup, ...]
    total_minor: int
    line_count: int
    is_ledger: bool

    @property
    def by_bucket(self) -> tuple[int, ...]:
        """The total of each bucket."""
        return tuple(map(sum, zip(*(group.by_bucket for group in self.groups), strict=True)))


@dataclass(frozen=True, kw_only=True)
class MonthRow:
    """One billing period of the account: its label, its two instants, whether its invoice is issued."""

    label: str
    start_at: datetime
    end_at: datetime
    is_invoiced: bool


@dataclass(frozen=True, kw_only=True)
class MonthCost:
    """What the ledger holds of one billing period in one currency."""

    label: str
    currency: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class _Sku:
    code: str
    name: str
    family: str
    meter_code: str
    variant: str
    mode: str
    unit: str
    base_per_unit: int

    @property
    def is_usage(self) -> bool:
        """Whether it was used: a fee, a shortfall and reserved time that nobody used only cost."""
        return meters.kind_of(self.meter_code) == meters.USAGE and self.mode != UNUSED


@dataclass(slots=True)
class _GroupSum:
    label: str
    note: str
    by_bucket: list[int]
    base: dict[tuple[str, int], int] = field(default_factory=dict)  # (unit, base units in it) -> base units
    line_count: int = 0


def spend(
    session: Session,
    account_id: str,
    *,
    start_at: datetime,
    end_at: datetime,
    by: Grain,
    zone: str,
    group: str = dimensions.ITEM,
    wanted: SpendFilter | None = None,
) -> list[Spending]:
    """What rated usage in [start_at, end_at) cost, one `Spending` per currency, by currency; none where nothing was rated.

    Buckets are taken in `zone` (hours in UTC). A range of whole billing periods counts with the very amounts that the ledger
    holds or will hold of their charges. Raises Invalid for more than 400 buckets or an unknown dimension.
    """
    calendar = Buckets(by, zone, start_at, end_at)
    if len(calendar.labels) > MAX_BUCKETS:
        raise Invalid(field="by", value=by, limit=MAX_BUCKETS, reason="too_many_buckets")
    asked = Question(
        account_id=account_id,
        start_at=start_at,
        end_at=end_at,
        by=by,
        zone=zone,
        group=dimensions.require_group(group),
        wanted=wanted or SpendFilter(),
        calendar=calendar,
    )
    found = list(cells.read(session, asked))
    if not found:
        return []
    amounts = booked.amounts(session, asked)
    skus = _skus(session, {cell.sku_code for cell in found})
    names = _Names(session, asked.group, {cell.value for cell in found if cell.value is not None})
    return [
        _spending(asked, currency, [cell for cell in found if cell.currency == currency], skus, names, amounts)
        for currency in sorted({cell.currency for cell in found})
    ]


def months(session: Session, account_id: str) -> list[MonthRow]:
    """The account's billing periods, newest first."""
    rows = session.execute(
        select(BillingPeriod.label, BillingPeriod.start_at, BillingPeriod.end_at, BillingPeriod.invoiced_at)
        .where(BillingPeriod.billing_account_id == account_id)
        .order_by(BillingPeriod.start_at.desc())
    )
    return [
        MonthRow(label=label, start_at=start, end_at=end, is_invoiced=invoiced_at is not None)
        for label, start, end, invoiced_at in rows
    ]


def month_costs(session: Session, account_id: str, labels: Iterable[str]) -> list[MonthCost]:
    """What the ledger holds of these billing periods, by label and currency; a period without charges has no row."""
    rows = session.execute(
        select(BillingPeriod.label, Charge.currency, func.sum(Charge.posted_minor))
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .where(BillingPeriod.billing_account_id == account_id, BillingPeriod.label.in_(list(labels)))
        .group_by(BillingPeriod.label, Charge.currency)
        .order_by(BillingPeriod.label, Charge.currency)
    )
    return [MonthCost(label=label, currency=currency, amount_minor=int(minor)) for label, currency, minor in rows]


class _Names:
    """What the values of a dimension are called: (key in the URL, label, note)."""

    def __init__(self, session: Session, group: str, values: set[str]) -> None:
        self._group = group
        self._known: dict[str, tuple[str, str]] = {}
        if group == dimensions.PROJECT and values:
            rows = session.execute(select(Project.id, Project.code, Project.name).where(Project.id.in_(values)))
            self._known = {row[0]: (row[1], row[2]) for row in rows}
        elif group == dimensions.SUBMITTER and values:
            rows = session.execute(select(Member.id, Member.id, Member.handle).where(Member.id.in_(values)))
            self._known = {row[0]: (row[1], row[2]) for row in rows}

    def of(self, cell: Cell, sku: _Sku) -> tuple[str, str, str]:
        """The name of a cell's group."""
        if self._group == dimensions.SERVICE:
            return sku.family, dimensions.family_name(sku.family), ""
        if self._group == dimensions.ITEM:
            return sku.code, sku.name, sku.code
        value = cell.value or ""
        key, label = self._known.get(value, (value, value))
        return key, label, key if key != label and self._group == dimensions.PROJECT else ""


def _skus(session: Session, codes: set[str]) -> dict[str, _Sku]:
    rows = session.execute(
        select(
            *(Sku.code, Sku.name, Sku.family, Sku.meter_code, Sku.variant, Sku.mode, Meter.unit, Meter.base_per_unit)
        )
        .join(Meter, Meter.code == Sku.meter_code)
        .where(Sku.code.in_(codes))
    )
    return {
        code: _Sku(
            code=code,
            name=name,
            family=family,
            meter_code=meter_code,
            variant=variant,
            mode=mode,
            unit=unit,
            base_per_unit=base_per_unit,
        )
        for code, name, family, meter_code, variant, mode, unit, base_per_unit in rows
    }


def _spending(
    asked: Question,
    currency: str,
    found: Sequence[Cell],
    skus: dict[str, _Sku],
    names: _Names,
    amounts: booked.Amounts | None,
) -> Spending:
    groups: dict[str, _GroupSum] = {}
    parts: dict[booked.Pool, dict[tuple[str, int], int]] = {}  # pool -> (group, bucket) -> millionths
    counted = {
        sku.code for sku in skus.values() if sku.is_usage or (asked.group == dimensions.ITEM and sku.mode == UNUSED)
    }
    for cell in found:
        sku = skus[cell.sku_code]
        key, label, note = names.of(cell, sku)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _GroupSum(label, note, [0] * len(asked.calendar.labels))
        group.line_count += cell.line_count
        if cell.sku_code in counted:
            measure = (sku.unit, sku.base_per_unit)
            group.base[measure] = group.base.get(measure, 0) + cell.quantity_base
        pool = booked.pool_of(asked, cell, amounts)
        cut = parts.setdefault(pool, {})
        cut[key, cell.bucket] = cut.get((key, cell.bucket), 0) + cell.amount_micro
    for (key, bucket), minor in booked.shared(parts, amounts):
        groups[key].by_bucket[bucket] += minor
    rows = [_group(key, group) for key, group in groups.items()]
    return Spending(
        currency=currency,
        labels=tuple(asked.calendar.labels),
        groups=tuple(sorted(rows, key=lambda row: (-row.amount_minor, row.label, row.key))),
        total_minor=sum(row.amount_minor for row in rows),
        line_count=sum(row.line_count for row in rows),
        is_ledger=amounts is not None,
    )


def _group(key: str, found: _GroupSum) -> SpendGroup:
    measures = [(unit, Fraction(base, per_unit)) for (unit, per_unit), base in found.base.items()]
    unit, quantity = measures[0] if len(measures) == 1 else (None, None)
    return SpendGroup(
        key=key,
        label=found.label,
        note=found.note,
        unit=unit,
        quantity=quantity,
        has_units=bool(measures),
        line_count=found.line_count,
        amount_minor=sum(found.by_bucket),
        by_bucket=tuple(found.by_bucket),
    )
