"""Rated lines as pages show them: a list, and one line with all its evidence, from the usage to the ledger (RT4).

The invoice is one floor up: a line names the draft or invoice that closed its charge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import BigInteger, Select, Text, UnaryExpression, cast, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from billing.accounts.tables import AccountHead, Member, Project
from billing.catalog.tables import Meter, Sku
from billing.kernel.errors import Invalid, NotFound
from billing.ledger.tables import LedgerTransaction
from billing.metering.tables import Allocation, UsageRecord
from billing.rating import price_facts
from billing.rating.derivations import Derivation, derive, line_hash
from billing.rating.price_facts import PriceFacts
from billing.rating.tables import BillingPeriod, Charge, Counter, Posting, RatedLine
from billing.rating.worksheet import read_scale
from billing.storage.columns import micros

Rows = Select[*tuple[Any, ...]]

PAGE_SIZE = 50
SORTS = ("line", "start", "quantity", "amount")


@dataclass(frozen=True, kw_only=True)
class LineFilters:
    """Which lines to list; None does not narrow. Times hold for the start of the usage, [from_at, to_at)."""

    period_label: str | None = None
    meter_code: str | None = None
    sku_code: str | None = None
    resource: str | None = None
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


@dataclass(frozen=True, kw_only=True)
class UsageFacts:
    """The usage record behind a line, as it was taken in."""

    id: str
    source: str
    source_id: str
    start_at: datetime
    end_at: datetime
    quantity_base: int
    resource: str
    tags: dict[str, Any]
    correlation_id: str | None
    content_hash: str
    record_hash: str
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Whose usage it was. The member is opaque; its handle is shown to the tenant only."""

    project_id: str | None
    project_code: str | None
    project_name: str | None
    member_id: str | None
    member_handle: str | None
    allocation_id: str | None
    allocation_name: str | None
    allocation_started_at: datetime | None
    allocation_ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class PostingFacts:
    """The posting that brought a line into the ledger, and the ledger transaction that anchors its hash."""

    posting_id: str
    posting_seq: int
    quantity_base: int  # of the charge after it
    increment_minor: int
    posted_minor: int  # of the charge after it
    transaction_id: str
    chain_seq: int
    recorded_at: datetime
    effective_at: datetime
    anchor_hash: str | None
    transaction_hash: str


@dataclass(frozen=True, kw_only=True)
class LineDetail:
    """One line with everything it stands on and everything that stands on it.

    `is_reproduced`: the derivation gives the stored amount again, and the stored facts give the stored hash again.
    """

    row: LineRow
    billing_account_id: str
    counter_id: str
    counter_seq: int
    quantity_base: int
    before_base: int
    line_hash: str
    usage: UsageFacts
    attribution: Attribution
    price: PriceFacts
    derivation: Derivation
    is_reproduced: bool
    charge_generation: int
    charge_before_base: int
    charge_quantity_base: int
    charge_posted_minor: int
    posting: PostingFacts | None


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
    narrowed = _narrow(_row_query(), account_id, filters)
    ordered = narrowed.order_by(*_order(session, sort)).limit(page_size).offset((page - 1) * page_size)
    head = session.get(AccountHead, account_id)
    posted_seq = head.posted_line_seq if head else 0
    rows = tuple(_row(found, posted_seq) for found in session.execute(ordered))
    return LinePage(rows=rows, total=_count(session, head, account_id, filters), page=page, page_size=page_size)


def list_after(
    session: Session, account_id: str, filters: LineFilters | None = None, *, after_seq: int, limit: int
) -> tuple[LineRow, ...]:
    """The account's lines behind that line number, oldest first: a reader that goes on from its last one misses and repeats none."""
    query = _narrow(_row_query(), account_id, filters or LineFilters())
    query = query.where(RatedLine.line_seq > after_seq).order_by(RatedLine.line_seq).limit(limit)
    head = session.get(AccountHead, account_id)
    posted_seq = head.posted_line_seq if head else 0
    return tuple(_row(found, posted_seq) for found in session.execute(query))


def get_line(session: Session, account_id: str, line_id: str) -> LineDetail:
    """One rated line of the account with its evidence both ways. Raises NotFound, for another account's line too."""
    found = session.execute(_narrow(_row_query(), account_id, LineFilters()).where(RatedLine.id == line_id)).first()
    if found is None:
        raise NotFound(kind="rated_line", id=line_id)
    line, usage, charge = session.execute(
        select(RatedLine, UsageRecord, Charge)
        .join(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
        .join(Charge, Charge.id == RatedLine.charge_id)
        .where(RatedLine.id == line_id)
    ).one()
    head = session.get_one(AccountHead, account_id)
    counter = session.get_one(Counter, line.counter_id)
    price = price_facts.load(session, [line.price_version_id])[line.price_version_id]
    derivation = derive(price, line.before_base, line.quantity_base, read_scale(counter.scale))
    is_same = derivation.amount_micro == line.amount_micro
    return LineDetail(
        row=_row(found, head.posted_line_seq),
        billing_account_id=line.billing_account_id,
        counter_id=line.counter_id,
        counter_seq=line.counter_seq,
        quantity_base=line.quantity_base,
        before_base=line.before_base,
        line_hash=line.line_hash,
        usage=_usage_facts(usage),
        attribution=_attribution(session, usage),
        price=price,
        derivation=derivation,
        is_reproduced=is_same and line.line_hash == hash_of(line, usage.record_hash, price.price_hash),
        charge_generation=charge.generation,
        charge_before_base=charge.before_base,
        charge_quantity_base=charge.quantity_base,
        charge_posted_minor=charge.posted_minor,
        posting=_posting_of(session, line),
    )


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


def _narrow(query: Rows, account_id: str, filters: LineFilters) -> Rows:
    """The query for one account's lines that pass the filters; it has joined usage, charge, period and meter."""
    columns: dict[str, ColumnElement[Any]] = {
        "period_label": BillingPeriod.label.expression,
        "meter_code": Sku.meter_code.expression,
        "sku_code": Charge.sku_code.expression,
        "resource": UsageRecord.resource.expression,
        "project_id": UsageRecord.project_id.expression,
        "project_code": Project.code.expression,
        "member_id": UsageRecord.member_id.expression,
        "allocation_id": UsageRecord.allocation_id.expression,
        "usage_record_id": RatedLine.usage_record_id.expression,
        "charge_id": RatedLine.charge_id.expression,
        "draft_id": Charge.draft_id.expression,
    }
    # The account twice: sorted by start, the page then comes from the usage records' index (account, start).
    query = query.where(RatedLine.billing_account_id == account_id, UsageRecord.billing_account_id == account_id)
    for name, column in columns.items():
        if getattr(filters, name) is not None:
            query = query.where(column == getattr(filters, name))
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
    counted = _narrow(_row_query(), account_id, filters).with_only_columns(func.count())
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


def _usage_facts(usage: UsageRecord) -> UsageFacts:
    return UsageFacts(
        id=usage.id,
        source=usage.source,
        source_id=usage.source_id,
        start_at=usage.start_at,
        end_at=usage.end_at,
        quantity_base=usage.quantity_base,
        resource=usage.resource,
        tags=usage.tags,
        correlation_id=usage.correlation_id,
        content_hash=usage.content_hash,
        record_hash=usage.record_hash,
        recorded_at=usage.recorded_at,
    )


def _attribution(session: Session, usage: UsageRecord) -> Attribution:
    project = session.get(Project, usage.project_id) if usage.project_id else None
    member = session.get(Member, usage.member_id) if usage.member_id else None
    allocation = session.get(Allocation, usage.allocation_id) if usage.allocation_id else None
    return Attribution(
        project_id=usage.project_id,
        project_code=project.code if project else None,
        project_name=project.name if project else None,
        member_id=usage.member_id,
        member_handle=member.handle if member else None,
        allocation_id=usage.allocation_id,
        allocation_name=allocation.name if allocation else None,
        allocation_started_at=allocation.started_at if allocation else None,
        allocation_ended_at=allocation.ended_at if allocation else None,
    )


def _posting_of(session: Session, line: RatedLine) -> PostingFacts | None:
    found = session.execute(
        select(Posting, LedgerTransaction)
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(
            Posting.charge_id == line.charge_id,
            Posting.from_line_seq < line.line_seq,
            Posting.to_line_seq >= line.line_seq,
        )
    ).first()
    if found is None:
        return None
    posting, transaction = found
    return PostingFacts(
        posting_id=posting.id,
        posting_seq=posting.seq,
        quantity_base=posting.quantity_base,
        increment_minor=posting.increment_minor,
        posted_minor=posting.posted_minor,
        transaction_id=transaction.id,
        chain_seq=transaction.chain_seq,
        recorded_at=transaction.recorded_at,
        effective_at=transaction.effective_at,
        anchor_hash=transaction.anchor_hash,
        transaction_hash=transaction.hash,
    )
