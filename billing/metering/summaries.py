"""Exact sums of usage and counts of jobs by calendar bucket. Windows are split at the borders; nothing is rounded."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount, Project
from billing.catalog.items import ON_DEMAND, UNUSED
from billing.catalog.meters import METERS, USAGE, kind_of
from billing.catalog.tables import Meter, Sku
from billing.kernel.clock import get_zone, millis_between
from billing.kernel.errors import Invalid
from billing.kernel.periods import Grain, Period
from billing.metering import usage
from billing.metering.tables import Allocation, UsageRecord
from billing.metering.windows import Buckets

Count = Literal["started", "ended", "running"]

MAX_BUCKETS = 100_000
_SHORTEST_S = {"hour": 3_600, "day": 82_800, "month": 2_415_600, "year": 31_532_400}  # a day of 23 hours is possible
_FETCH_ROWS = 10_000
_ONE_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """One bucket: `period` is its label, `account` a code or None for all accounts, `quantity` exact in `unit`.

    `group` is the value of the dimension asked for, "" for none of it; None where none was asked for.
    """

    period: str
    account: str | None
    group: str | None
    meter: str
    unit: str
    quantity: Fraction


@dataclass(frozen=True, kw_only=True)
class _Scope:
    """What is looked at: one account or all, in [from_at, to_at)."""

    account_id: str | None
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, kw_only=True)
class _Account:
    code: str
    zone: str


CalendarOf = Callable[[str], Buckets]


_Key = tuple[str, str, str | None, str]


class _Sums:
    """Base units by (bucket label, account id or "", group, meter): integers, and fractions only where a record splits unevenly."""

    def __init__(self, *, per_account: bool) -> None:
        self._per_account = per_account
        self._whole: defaultdict[_Key, int] = defaultdict(int)
        self._parts: defaultdict[_Key, Fraction] = defaultdict(Fraction)

    def add(
        self, label: str, account_id: str, meter: str, numerator: int, denominator: int = 1, *, group: str | None = None
    ) -> None:
        key = (label, account_id if self._per_account else "", group, meter)
        whole, rest = divmod(numerator, denominator)
        self._whole[key] += whole
        if rest:
            self._parts[key] += Fraction(rest, denominator)

    def fill(self, labels: Iterable[str], meters: Iterable[str]) -> None:
        for meter in meters:
            for label in labels:
                self._whole[label, "", None, meter] += 0

    def meters(self) -> set[str]:
        return {meter for *_, meter in self._whole}

    def items(self) -> Iterable[tuple[_Key, Fraction]]:
        return ((key, whole + self._parts.get(key, Fraction())) for key, whole in self._whole.items())


def summarize(
    session: Session,
    *,
    by: Grain,
    meter_code: str | None = None,
    count: Count | None = None,
    account_id: str | None = None,
    per_account: bool = False,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    zone: str = "UTC",
    now: datetime | None = None,
    variant: str | None = None,
    mode: str | None = None,
    group_by: str | None = None,
) -> list[SummaryRow]:
    """Usage of one meter (of all, without `meter_code`), or with `count` the jobs that started, ended or ran, by bucket.

    Buckets are taken in `zone`, or with "account" in each account's own; hours are always UTC. The range is [from_at, to_at),
    where not given that of the usage there is. Totals have a row for every bucket of the range, zeros included; with
    `per_account` or `group_by` (service, item, project, resource, route, submitter, allocation, or "tag:" and a key) only buckets
    with usage have rows. `variant` and `mode` narrow usage to those items. Jobs that never got a node are left out of the counts; open ones run until
    `to_at`, else `now`.
    Raises Invalid for an unknown meter, zone or dimension, an end before the start, or more than 100,000 buckets.
    """
    if zone != "account":
        get_zone(zone)
    meters = _meters(session, meter_code) if count is None else {str(count): ("jobs", 1)}
    accounts = _accounts(session, account_id)
    scope = _scope(session, account_id, from_at, to_at, now)
    if scope is None:
        return []
    calendar_of = _calendars(by, zone, accounts, scope)
    sums = _Sums(per_account=per_account)
    if count is None:
        group_of = _grouping(session, group_by)
        _sum_usage(session, sums, _Items(meter_code, variant, mode), scope, calendar_of, group_of)
    else:
        _count_jobs(session, sums, count, scope, calendar_of)
    if not per_account and group_by is None:
        labels = {label for owner_id in accounts for label in calendar_of(owner_id).labels}
        shown = [meter_code] if meter_code else sums.meters() if count is None else [str(count)]
        sums.fill(labels, shown)
    rows = [
        SummaryRow(
            period=label,
            account=accounts[owner_id].code if owner_id else None,
            group=group,
            meter=meter,
            unit=meters[meter][0],
            quantity=exact / meters[meter][1],
        )
        for (label, owner_id, group, meter), exact in sums.items()
    ]
    return sorted(rows, key=lambda row: (row.period, row.account or "", row.group or "", row.meter))


def _meters(session: Session, meter_code: str | None) -> dict[str, tuple[str, int]]:
    """{code: (unit, base units in it)}."""
    rows = session.execute(select(Meter.code, Meter.unit, Meter.base_per_unit)).all()
    if meter_code is not None and meter_code not in {code for code, _, _ in rows}:
        raise Invalid(field="meter", value=meter_code[:60], reason="unknown_meter")
    return {code: (unit, base_per_unit) for code, unit, base_per_unit in rows}


def _accounts(session: Session, account_id: str | None) -> dict[str, _Account]:
    query = select(BillingAccount.id, BillingAccount.code, BillingAccount.zone)
    if account_id is not None:
        query = query.where(BillingAccount.id == account_id)
    return {owner_id: _Account(code=code, zone=zone) for owner_id, code, zone in session.execute(query)}


def _calendars(by: Grain, zone: str, accounts: dict[str, _Account], scope: _Scope) -> CalendarOf:
    if (scope.to_at - scope.from_at).total_seconds() / _SHORTEST_S[by] > MAX_BUCKETS:
        raise Invalid(field="by", value=by, limit=MAX_BUCKETS, reason="too_many_buckets")
    if zone != "account":
        only = Buckets(by, zone, scope.from_at, scope.to_at)
        return lambda _owner_id: only
    by_zone = {
        name: Buckets(by, name, scope.from_at, scope.to_at) for name in {account.zone for account in accounts.values()}
    }
    return lambda owner_id: by_zone[accounts[owner_id].zone]


def _scope(
    session: Session, account_id: str | None, from_at: datetime | None, to_at: datetime | None, now: datetime | None
) -> _Scope | None:
    """What is asked for, open ends filled in from the data; None where there is no data to fill them from."""
    if from_at is None or to_at is None:
        first, last = _extent(session, account_id, now)
        if first is None or last is None:
            return None
        # The end is exclusive: a job of no length at the last instant is still inside.
        from_at, to_at = from_at or first, to_at or last + _ONE_MS
        if to_at <= from_at:
            return None
    period = Period(start_at=from_at, end_at=to_at)
    return _Scope(account_id=account_id, from_at=period.start_at, to_at=period.end_at)


def _extent(session: Session, account_id: str | None, now: datetime | None) -> tuple[datetime | None, datetime | None]:
    firsts, lasts = [], []
    open_query = select(func.count()).where(Allocation.ended_at.is_(None))
    for first, last, owner in (
        (Allocation.started_at, Allocation.accrued_at, Allocation.billing_account_id),
        (UsageRecord.start_at, UsageRecord.end_at, UsageRecord.billing_account_id),
    ):
        query: Any = select(func.min(first), func.max(last))
        if account_id is not None:
            query = query.where(owner == account_id)
            open_query = open_query.where(Allocation.billing_account_id == account_id)
        low, high = session.execute(query).one()
        firsts += [low] if low is not None else []
        lasts += [high] if high is not None else []
    if now is not None and lasts and session.execute(open_query).scalar_one():
        lasts.append(now)
    return min(firsts, default=None), max(lasts, default=None)


class _Items(NamedTuple):
    """Which items are summed; None does not narrow."""

    meter_code: str | None
    variant: str | None
    mode: str | None


class _Grouping(NamedTuple):
    """The column of a dimension, and what its values are called."""

    column: Any
    name_of: Callable[[Any], str]


def _grouping(session: Session, group_by: str | None) -> _Grouping | None:
    """How usage is told apart by a dimension. Raises Invalid(field="group_by", reason="unknown_group")."""
    if group_by is None:
        return None
    record = UsageRecord
    if group_by in ("service", "item"):
        skus = {
            (meter, variant, mode): (code, family)
            for meter, variant, mode, code, family in session.execute(
                select(Sku.meter_code, Sku.variant, Sku.mode, Sku.code, Sku.family)
            )
        }
        item = record.meter_code + "|" + record.variant + "|" + record.mode

        def name_of(text: str) -> str:
            meter, variant, mode = text.split("|")
            found = skus.get((meter, variant, mode)) or skus.get((meter, "", mode)) or skus.get((meter, "", ON_DEMAND))
            return meter if found is None else found[0] if group_by == "item" else found[1]

        return _Grouping(item, name_of)
    key = group_by.removeprefix("tag:")
    if group_by.startswith("tag:") and key and not set(key) & {'"', "\\"}:
        return _Grouping(usage.tag_of(session, record.tags, key), _or_none)
    if group_by == "project":
        codes = dict(session.execute(select(Project.id, Project.code)).all())
        return _Grouping(record.project_id, lambda project_id: codes.get(project_id, ""))
    columns = {
        "resource": record.resource,
        "route": record.route,
        "submitter": record.member_id,
        "allocation": record.allocation_id,
    }
    if group_by not in columns:
        raise Invalid(field="group_by", value=group_by[:60], reason="unknown_group")
    return _Grouping(columns[group_by], _or_none)


def _or_none(value: str | None) -> str:
    return value or ""


def _sum_usage(
    session: Session,
    sums: _Sums,
    items: _Items,
    scope: _Scope,
    calendar_of: CalendarOf,
    grouping: _Grouping | None,
) -> None:
    record = UsageRecord
    touches = or_(
        and_(record.start_at < scope.to_at, record.end_at > scope.from_at),
        and_(record.start_at == record.end_at, record.start_at >= scope.from_at, record.start_at < scope.to_at),
    )
    held = literal(None) if grouping is None else grouping.column
    query = select(
        record.billing_account_id, record.meter_code, record.start_at, record.end_at, record.quantity_base, held
    )
    query = query.where(touches)
    if scope.account_id is not None:
        query = query.where(record.billing_account_id == scope.account_id)
    for column, value in zip((record.meter_code, record.variant, record.mode), items, strict=True):
        if value is not None:
            query = query.where(column == value)
    if items.meter_code is None:  # fees and shortfalls are not used, nor is what was reserved in vain
        counted = [code for code in METERS if kind_of(code) == USAGE]
        query = query.where(record.meter_code.in_(counted), or_(record.mode != UNUSED, literal(items.mode == UNUSED)))
    for owner_id, meter, start_at, end_at, quantity_base, value in session.execute(
        query.execution_options(yield_per=_FETCH_ROWS)
    ):
        group = None if grouping is None else grouping.name_of(value)
        calendar = calendar_of(owner_id)
        first = calendar.index_of(max(start_at, scope.from_at))
        if scope.from_at <= start_at and end_at <= min(calendar.borders[first + 1], scope.to_at):
            sums.add(calendar.labels[first], owner_id, meter, quantity_base, group=group)
            continue
        whole_ms = millis_between(start_at, end_at)
        start_at, stop_at = max(start_at, scope.from_at), min(end_at, scope.to_at)
        for index in range(first, calendar.last_index_of(start_at, stop_at) + 1):
            piece_ms = millis_between(max(start_at, calendar.borders[index]), min(stop_at, calendar.borders[index + 1]))
            sums.add(calendar.labels[index], owner_id, meter, quantity_base * piece_ms, whole_ms, group=group)


def _count_jobs(session: Session, sums: _Sums, count: Count, scope: _Scope, calendar_of: CalendarOf) -> None:
    job = Allocation
    in_scope = {
        "started": and_(job.started_at >= scope.from_at, job.started_at < scope.to_at),
        "ended": and_(job.ended_at >= scope.from_at, job.ended_at < scope.to_at),
        "running": and_(job.started_at < scope.to_at, or_(job.ended_at.is_(None), job.ended_at >= scope.from_at)),
    }[count]
    query = select(job.billing_account_id, job.started_at, job.ended_at).where(
        in_scope, or_(job.node_count.is_(None), job.node_count > 0)
    )
    if scope.account_id is not None:
        query = query.where(job.billing_account_id == scope.account_id)
    for owner_id, start_at, end_at in session.execute(query.execution_options(yield_per=_FETCH_ROWS)):
        calendar = calendar_of(owner_id)
        if count == "running":
            if end_at == scope.from_at and start_at < scope.from_at:
                continue  # it ended as the range began
            start_at, end_at = max(start_at, scope.from_at), min(end_at or scope.to_at, scope.to_at)
            for index in range(calendar.index_of(start_at), calendar.last_index_of(start_at, end_at) + 1):
                sums.add(calendar.labels[index], owner_id, count, 1)
        else:
            at = end_at if count == "ended" and end_at is not None else start_at
            sums.add(calendar.labels[calendar.index_of(at)], owner_id, count, 1)
