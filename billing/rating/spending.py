"""What usage cost, by day and by what it was used for: for charts, tables and totals that agree with the ledger.

Each charge is rounded once, as in the ledger (Law 2), and its rounded amount is then split over what it is shown by, so that the
parts always sum to the whole. A window that crosses a border of two buckets is split there by its length.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Literal

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from billing.accounts.tables import Project
from billing.catalog.tables import Meter, PriceVersion, Sku
from billing.kernel import clock
from billing.kernel.errors import Invalid
from billing.kernel.periods import Grain
from billing.kernel.rounding import half_up_fraction, split_fractions
from billing.metering.tables import UsageRecord
from billing.metering.windows import Buckets
from billing.rating import amounts, price_facts
from billing.rating.curves.per_unit import PerUnit
from billing.rating.derivations import MICRO_PER_MINOR, curve_of
from billing.rating.price_facts import PriceFacts
from billing.rating.tables import BillingPeriod, Charge, Counter, RatedLine
from billing.rating.worksheet import read_scale

Group = Literal["service", "project", "resource"]
GROUPS: tuple[Group, ...] = ("service", "project", "resource")
MAX_BUCKETS = 400

_LONGEST_WINDOW = timedelta(
    days=62
)  # windows end at their period's end; a change of zone makes a period longer than a month
_FETCH_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class SpendFilter:
    """What is looked at; None does not narrow."""

    sku_code: str | None = None
    project_code: str | None = None
    resource: str | None = None


@dataclass(frozen=True, kw_only=True)
class SpendGroup:
    """One row: what was used for it, and what it cost in each bucket and in all (minor units).

    `key` is a SKU code, a project code ("" for none) or a resource; `quantity` is in `unit`, None where units differ.
    """

    key: str
    label: str
    unit: str | None
    quantity: Fraction | None
    line_count: int
    amount_minor: int
    by_bucket: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Spending:
    """One currency's cost over a range. `labels` name the buckets; groups stand in falling order of cost."""

    currency: str
    labels: tuple[str, ...]
    groups: tuple[SpendGroup, ...]
    total_minor: int
    line_count: int

    @property
    def by_bucket(self) -> tuple[int, ...]:
        """The total of each bucket."""
        return tuple(sum(group.by_bucket[i] for group in self.groups) for i in range(len(self.labels)))


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
class Choice:
    """One value that a filter can take."""

    value: str
    label: str


@dataclass(slots=True, kw_only=True)
class _ChargeFacts:
    price: PriceFacts
    per_base: Fraction | None  # minor units per base unit, where the price is a straight line
    before_base: int
    quantity_base: int
    whole_minor: int  # its amount, rounded once


@dataclass(slots=True)
class _GroupSum:
    label: str
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
    group: Group = "service",
    wanted: SpendFilter | None = None,
) -> list[Spending]:
    """What rated usage in [start_at, end_at) cost, one `Spending` per currency, by currency; none where nothing was rated.

    Buckets are taken in `zone` (hours in UTC). Charges that lie whole in the range count with the very amount that the ledger
    holds or will hold of them. Raises Invalid for more than 400 buckets.
    """
    wanted = wanted or SpendFilter()
    calendar = Buckets(by, zone, start_at, end_at)
    if len(calendar.labels) > MAX_BUCKETS:
        raise Invalid(field="by", value=by, limit=MAX_BUCKETS, reason="too_many_buckets")
    sheet = _Sheet(calendar, start_at, end_at)
    lines = _lines(account_id, start_at, end_at, group, wanted).execution_options(yield_per=_FETCH_ROWS)
    for row in session.connection().execute(lines):
        sheet.add(*row)
    facts = _charges(session, sheet.charge_ids())
    return [sheet.result(currency, facts) for currency in sorted({facts[key].price.currency for key in facts})]


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


def choices(session: Session, account_id: str, group: Group) -> list[Choice]:
    """The values of a group that the account has rated usage of, for a filter; at most 200."""
    if group == "service":
        rows = session.execute(
            select(Sku.code, Sku.name)
            .where(Sku.code.in_(select(Charge.sku_code).where(Charge.billing_account_id == account_id)))
            .order_by(Sku.name)
        ).all()
        return [Choice(value=code, label=name) for code, name in rows]
    if group == "project":
        found = session.execute(
            select(Project.code, Project.name).where(Project.billing_account_id == account_id).order_by(Project.code)
        ).all()
        return [Choice(value=code, label=name) for code, name in found[:200]]
    resources = session.scalars(
        select(UsageRecord.resource).where(UsageRecord.billing_account_id == account_id).distinct().limit(200)
    )
    return [Choice(value=resource, label=resource) for resource in sorted(resources)]


class _Sheet:
    """The sums of a report while its lines are read: integers only, for there are many lines.

    A window that crosses borders is split by the floored running total, so that its parts sum to it and none is off by a base
    unit (a core for a millisecond) or more.
    """

    def __init__(self, calendar: Buckets, start_at: datetime, end_at: datetime) -> None:
        self._calendar = calendar
        self._start_at, self._end_at = start_at, end_at
        self._values: dict[str, dict[tuple[str, int], int]] = {}  # charge -> (group, bucket) -> base units or micro
        self._counted: dict[str, int] = {}  # charge -> base units in the range
        self._groups: dict[tuple[str, str], _GroupSum] = {}  # (currency, key)

    def charge_ids(self) -> list[str]:
        return list(self._values)

    def add(
        self,
        charge_id: str,
        is_straight: bool,
        currency: str,
        key: str | None,
        label: str | None,
        unit: str,
        base_per_unit: int,
        start_at: datetime,
        end_at: datetime,
        quantity_base: int,
        amount_micro: int,
    ) -> None:
        """Take one line in. Straight prices are followed by quantity, from which the exact cost comes, others by amount."""
        key = key or ""
        group = self._groups.get((currency, key))
        if group is None:
            group = self._groups[currency, key] = _GroupSum(label or "", [0] * len(self._calendar.labels))
        group.line_count += 1
        cells = self._values.setdefault(charge_id, {})
        bucket = self._calendar.index_of(start_at) if start_at >= self._start_at else -1
        if bucket >= 0 and end_at <= self._end_at and end_at <= self._calendar.borders[bucket + 1]:
            inside = quantity_base
            cells[key, bucket] = cells.get((key, bucket), 0) + (quantity_base if is_straight else amount_micro)
        else:
            value, inside = quantity_base if is_straight else amount_micro, 0
            whole_ms = clock.millis_between(start_at, end_at)
            for part, before_ms, through_ms in self._pieces(start_at, end_at):
                share = value * through_ms // whole_ms - value * before_ms // whole_ms
                cells[key, part] = cells.get((key, part), 0) + share
                inside += quantity_base * through_ms // whole_ms - quantity_base * before_ms // whole_ms
        self._counted[charge_id] = self._counted.get(charge_id, 0) + inside
        measure = (unit, base_per_unit)
        group.base[measure] = group.base.get(measure, 0) + inside

    def result(self, currency: str, facts: dict[str, _ChargeFacts]) -> Spending:
        """The report of one currency: each charge rounded once, then split over its groups and buckets."""
        for charge_id, cells in self._values.items():
            charge = facts[charge_id]
            if charge.price.currency != currency:
                continue
            rate = charge.per_base if charge.per_base is not None else Fraction(1, MICRO_PER_MINOR)
            exact = [value * rate for value in cells.values()]
            is_whole = self._counted[charge_id] == charge.quantity_base
            total = charge.whole_minor if is_whole else half_up_fraction(sum(exact, Fraction(0)))
            for (key, bucket), minor in zip(cells, split_fractions(total, exact), strict=True):
                self._groups[currency, key].by_bucket[bucket] += minor
        groups = [_group(key, found) for (owner, key), found in self._groups.items() if owner == currency]
        return Spending(
            currency=currency,
            labels=tuple(self._calendar.labels),
            groups=tuple(sorted(groups, key=lambda group: (-group.amount_minor, group.label, group.key))),
            total_minor=sum(group.amount_minor for group in groups),
            line_count=sum(group.line_count for group in groups),
        )

    def _pieces(self, start_at: datetime, end_at: datetime) -> Sequence[tuple[int, int, int]]:
        """(bucket, its first and last millisecond counted from the window's start), as far as the window lies in the range."""
        origin, borders = clock.to_millis(start_at), self._calendar.borders
        start_at, end_at = max(start_at, self._start_at), min(end_at, self._end_at)
        first, last = self._calendar.index_of(start_at), self._calendar.last_index_of(start_at, end_at)
        return [
            (
                bucket,
                clock.to_millis(max(start_at, borders[bucket])) - origin,
                clock.to_millis(min(end_at, borders[bucket + 1])) - origin,
            )
            for bucket in range(first, last + 1)
        ]


def _group(key: str, found: _GroupSum) -> SpendGroup:
    measures = [(unit, Fraction(base, per_unit)) for (unit, per_unit), base in found.base.items()]
    unit, quantity = measures[0] if len(measures) == 1 else (None, None)
    return SpendGroup(
        key=key,
        label=found.label,
        unit=unit,
        quantity=quantity,
        line_count=found.line_count,
        amount_minor=sum(found.by_bucket),
        by_bucket=tuple(found.by_bucket),
    )


def _lines(account_id: str, start_at: datetime, end_at: datetime, group: Group, wanted: SpendFilter) -> Any:
    usage = UsageRecord
    keys: dict[Group, tuple[Any, Any]] = {
        "service": (Sku.code, Sku.name),
        "project": (Project.code, Project.name),
        "resource": (usage.resource, usage.resource),
    }
    query = (
        select(
            RatedLine.charge_id,
            PriceVersion.model == "per_unit",
            RatedLine.currency,
            *keys[group],
            Meter.unit,
            Meter.base_per_unit,
            usage.start_at,
            usage.end_at,
            RatedLine.quantity_base,
            RatedLine.amount_micro,
        )
        .select_from(RatedLine)
        .join(usage, usage.id == RatedLine.usage_record_id)
        .join(PriceVersion, PriceVersion.id == RatedLine.price_version_id)
        .join(Sku, Sku.code == PriceVersion.sku_code)
        .join(Meter, Meter.code == Sku.meter_code)
        .outerjoin(Project, Project.id == usage.project_id)
        .where(
            usage.billing_account_id == account_id,
            usage.start_at >= start_at - _LONGEST_WINDOW,
            usage.start_at < end_at,
            or_(usage.end_at > start_at, and_(usage.end_at == usage.start_at, usage.start_at >= start_at)),
        )
    )
    if wanted.sku_code is not None:
        query = query.where(Sku.code == wanted.sku_code)
    if wanted.project_code is not None:
        query = query.where(Project.code == wanted.project_code)
    if wanted.resource is not None:
        query = query.where(usage.resource == wanted.resource)
    return query


def _charges(session: Session, charge_ids: Sequence[str]) -> dict[str, _ChargeFacts]:
    found: dict[str, _ChargeFacts] = {}
    for place in range(0, len(charge_ids), 500):
        rows = session.execute(
            select(Charge.id, Counter.price_version_id, Counter.scale, Charge.before_base, Charge.quantity_base)
            .join(Counter, Counter.id == Charge.counter_id)
            .where(Charge.id.in_(charge_ids[place : place + 500]))
        ).all()
        prices = price_facts.load(session, {price_id for _, price_id, *_ in rows})
        for charge_id, price_id, scale, before_base, quantity_base in rows:
            curve = curve_of(prices[price_id], read_scale(scale))
            found[charge_id] = _ChargeFacts(
                price=prices[price_id],
                per_base=curve.per_base if isinstance(curve, PerUnit) else None,
                before_base=before_base,
                quantity_base=quantity_base,
                whole_minor=amounts.rounded_minor(curve, before_base, quantity_base),
            )
    return found
