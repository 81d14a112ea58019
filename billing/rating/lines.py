"""Rated lines as lists: filtered, sorted, a page at a time. One line with all its evidence is in `evidence`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import BigInteger, Select, Text, UnaryExpression, cast, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from billing.accounts.tables import AccountHead, Project
from billing.catalog.tables import Meter, Sku
from billing.kernel.errors import Invalid
from billing.metering import usage
from billing.metering.tables import UsageRecord
from billing.rating.derivations import line_hash
from billing.rating.tables import BillingPeriod, Charge, Posting, RatedLine
from billing.storage.columns import micros

Rows = Select[*tuple[Any, ...]]

PAGE_SIZE = 50
SORTS = ("line", "start", "quantity", "amount")


@dataclass(frozen=True, kw_only=True)
class LineFilters:
    """Which lines to list; None does not narrow. Times hold for the start of the usage, [from_at, to_at).

    `project_code` and `route` may be "": lines without one. A tag is `key=value`, or `key=` for lines without that key, or `key` for
    lines that have it.
    """

    period_label: str | None = None
    meter_code: str | None = None
    service: str | None = None
    sku_code: str | None = None
    variant: str | None = None
    mode: str | None = None
    resource: str | None = None
    route: str | None = None
    tag: str | None = None
    project_id: str | None = None
    project_code: str | None = None
    member_id: str | None = None
    allocation_id: str | None = None
    usage_record_id: str | None = None
    charge_id: str | None = None
    draft_id: str | None = None
    transaction_id: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class LineRow:
    """One rated line in a list; `amount_micro` is in millionths of a minor unit."""

    id: str
    line_seq: int
    usage_record_id: str
    start_at: datetime
    end_at: datetime
    meter_code: str
    unit: str
    quantity: Fraction
    sku_code: str
    sku_name: str
    project_id: str | None
    project_code: str | None
    member_id: str | None
    allocation_id: str | None
    resource: str
    price_version_id: str
    amount_micro: int
    currency: str
    period_label: str
    charge_id: str
    draft_id: str | None
    rated_at: datetime
    is_posted: bool


@dataclass(frozen=True, kw_only=True)
class LinePage:
    """One page of a list; `total` counts all lines that the filters let through."""

    rows: tuple[LineRow, ...]
    total: int
    page: int
    page_size: int


def list_lines(
    session: Session,
    account_id: str,
    filters: LineFilters | None = None,
    *,
    sort: str = "-line",
    page: int = 1,
    page_size: int = PAGE_SIZE,
) -> LinePage:
    """One page of the account's rated lines. `sort` is one of SORTS, with "-" in front for falling; the sort is over all lines.

    Raises Invalid for another sort or a page below 1.
    """
    filters = filters or LineFilters()
    if page < 1 or not 1 <= page_size <= 1000:
        raise Invalid(field="page", value=page, reason="out_of_range")
    narrowed = _narrow(session, _row_query(), account_id, filters)
    ordered = narrowed.order_by(*_order(session, sort)).limit(page_size).offset((page - 1) * page_size)
    head = session.get(AccountHead, account_id)
    posted_seq = head.posted_line_seq if head else 0
    rows = tuple(_row(found, posted_seq) for found in session.execute(ordered))
    return LinePage(rows=rows, total=_count(session, head, account_id, filters), page=page, page_size=page_size)


def list_after(
    session: Session, account_id: str, filters: LineFilters | None = None, *, after_seq: int, limit: int
) -> tuple[LineRow, ...]:
    """The account's lines behind that line number, oldest first: a reader that goes on from its last one misses and repeats none."""
    query = _narrow(session, _row_query(), account_id, filters or LineFilters())
    query = query.where(RatedLine.line_seq > after_seq).order_by(RatedLine.line_seq).limit(limit)
    head = session.get(AccountHead, account_id)
    posted_seq = head.posted_line_seq if head else 0
    return tuple(_row(found, posted_seq) for found in session.execute(query))


def find_row(session: Session, account_id: str, line_id: str) -> LineRow | None:
    """One line of the account as it stands in a list, None where it has none of that id."""
    found = session.execute(
        _narrow(session, _row_query(), account_id, LineFilters()).where(RatedLine.id == line_id)
    ).first()
    return _row(found, session.get_one(AccountHead, account_id).posted_line_seq) if found is not None else None


def find_line_of_usage(session: Session, account_id: str, usage_record_id: str) -> str | None:
    """The id of the line that rated a usage record, None while it waits."""
    return session.scalars(
        select(RatedLine.id).where(
            RatedLine.usage_record_id == usage_record_id, RatedLine.billing_account_id == account_id
        )
    ).first()


def hash_of(line: RatedLine, record_hash: str, price_hash: str) -> str:
    """The hash that a stored line must have (Law 4)."""
    facts = (
        line.id,
        line.billing_account_id,
        line.line_seq,
        line.usage_record_id,
        line.counter_id,
        line.counter_seq,
        line.charge_id,
        line.price_version_id,
        line.quantity_base,
        line.before_base,
        line.amount_micro,
        line.currency,
    )
    return line_hash(facts, micros(line.rated_at), record_hash, price_hash)


def _row_query() -> Rows:
    return (
        select(
            RatedLine.id,
            RatedLine.line_seq,
            RatedLine.usage_record_id,
            UsageRecord.start_at,
            UsageRecord.end_at,
            UsageRecord.meter_code,
            Meter.unit,
            Meter.base_per_unit,
            RatedLine.quantity_base,
            Sku.code,
            Sku.name,
            UsageRecord.project_id,
            Project.code,
            UsageRecord.member_id,
            UsageRecord.allocation_id,
            UsageRecord.resource,
            RatedLine.price_version_id,
            RatedLine.amount_micro,
            RatedLine.currency,
            BillingPeriod.label,
            RatedLine.charge_id,
            Charge.draft_id,
            RatedLine.rated_at,
        )
        .select_from(RatedLine)
        .join(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
        .join(Charge, Charge.id == RatedLine.charge_id)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .join(Sku, Sku.code == Charge.sku_code)
        .join(Meter, Meter.code == Sku.meter_code)
        .outerjoin(Project, Project.id == UsageRecord.project_id)
    )


def _narrow(session: Session, query: Rows, account_id: str, filters: LineFilters) -> Rows:
    """The query for one account's lines that pass the filters; it has joined usage, charge, period and meter."""
    columns: dict[str, ColumnElement[Any]] = {
        "period_label": BillingPeriod.label.expression,
        "meter_code": Sku.meter_code.expression,
        "service": Sku.family.expression,
        "sku_code": Charge.sku_code.expression,
        "variant": UsageRecord.variant.expression,
        "mode": UsageRecord.mode.expression,
        "resource": UsageRecord.resource.expression,
        "project_id": UsageRecord.project_id.expression,
        "project_code": Project.code.expression,
        "route": UsageRecord.route.expression,
        "member_id": UsageRecord.member_id.expression,
        "allocation_id": UsageRecord.allocation_id.expression,
        "usage_record_id": RatedLine.usage_record_id.expression,
        "charge_id": RatedLine.charge_id.expression,
        "draft_id": Charge.draft_id.expression,
    }
    # The account twice: sorted by start, the page then comes from the usage records' index (account, start).
    query = query.where(RatedLine.billing_account_id == account_id, UsageRecord.billing_account_id == account_id)
    for name, column in columns.items():
        wanted = getattr(filters, name)
        if wanted is not None:
            is_none = wanted == "" and name in ("project_code", "route")
            query = query.where(column.is_(None) if is_none else column == wanted)
    if filters.tag is not None:
        key, sign, value = filters.tag.partition("=")
        held = usage.tag_of(session, UsageRecord.tags, key)
        query = query.where(held == value if value else held.is_(None) if sign else held.is_not(None))
    if filters.from_at is not None:
        query = query.where(UsageRecord.start_at >= filters.from_at)
    if filters.to_at is not None:
        query = query.where(UsageRecord.start_at < filters.to_at)
    if filters.transaction_id is not None:
        query = query.join(
            Posting,
            (Posting.charge_id == RatedLine.charge_id)
            & (Posting.from_line_seq < RatedLine.line_seq)
            & (Posting.to_line_seq >= RatedLine.line_seq),
        ).where(Posting.transaction_id == filters.transaction_id)
    return query


def _count(session: Session, head: AccountHead | None, account_id: str, filters: LineFilters) -> int:
    if filters == LineFilters():
        return head.line_seq if head else 0  # lines are numbered without gaps
    counted = _narrow(session, _row_query(), account_id, filters).with_only_columns(func.count())
    return int(session.execute(counted).scalar_one())


def _order(session: Session, sort: str) -> list[UnaryExpression[Any]]:
    key = sort.removeprefix("-")
    columns: dict[str, list[ColumnElement[Any]]] = {
        "line": [],
        "start": [UsageRecord.start_at.expression],
        "quantity": _number(session, RatedLine.quantity_base.expression),
        "amount": _number(session, RatedLine.amount_micro.expression),
    }
    if key not in columns:
        raise Invalid(field="sort", value=sort[:40], reason="unknown_sort")
    chosen = [*columns[key], RatedLine.line_seq.expression]
    return [column.desc() if sort.startswith("-") else column.asc() for column in chosen]


def _number(session: Session, column: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """What to order a wide integer by. SQLite keeps it as text, and its CAST stops at 2**63: there digits decide further."""
    if session.connection().dialect.name != "sqlite":
        return [column]
    text = cast(column, Text)
    return [cast(text, BigInteger), func.length(text), text]


def _row(found: Sequence[Any], posted_seq: int) -> LineRow:
    (line_id, seq, usage_id, start_at, end_at, meter, unit, per_unit, quantity, sku, sku_name, project, code, *rest) = (
        found
    )
    member, allocation, resource, price, amount, currency, label, charge, draft, rated_at = rest
    return LineRow(
        id=line_id,
        line_seq=seq,
        usage_record_id=usage_id,
        start_at=start_at,
        end_at=end_at,
        meter_code=meter,
        unit=unit,
        quantity=Fraction(quantity, per_unit),
        sku_code=sku,
        sku_name=sku_name,
        project_id=project,
        project_code=code,
        member_id=member,
        allocation_id=allocation,
        resource=resource,
        price_version_id=price,
        amount_micro=amount,
        currency=currency,
        period_label=label,
        charge_id=charge,
        draft_id=draft,
        rated_at=rated_at,
        is_posted=seq <= posted_seq,
    )
