"""The facts that a bundle's chain covers: lines with their usage, documents, charges, counters and prices, as plain JSON rows."""

from collections.abc import Collection, Iterator
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, func, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.invoicing.tables import InvoiceHeader
from billing.ledger.tables import LedgerTransaction
from billing.metering.tables import UsageRecord
from billing.rating import price_facts
from billing.rating.tables import Charge, Counter, CounterRescale, Posting, RatedLine
from billing.storage.columns import micros

_CHUNK = 300
_L = cast(Table, RatedLine.__table__)
_U = cast(Table, UsageRecord.__table__)
_LINE = (
    *("id", "billing_account_id", "line_seq", "usage_record_id", "counter_id", "counter_seq", "charge_id"),
    *("price_version_id", "quantity_base", "before_base", "amount_micro", "currency"),
)
_USAGE = (
    *("id", "billing_account_id", "usage_seq", "source", "source_id", "meter_code", "start_at", "end_at"),
    *("quantity_base", "allocation_id", "project_id", "member_id", "resource", "tags"),
    *("variant", "mode", "route", "route_kind", "reseller_id", "corrects_id"),
)


def lines(session: Session, transaction_ids: Collection[str]) -> Iterator[dict[str, Any]]:
    """The lines that these postings anchor, in order of the chain and of the anchor, each with the usage it counts."""
    statement = (
        select(
            LedgerTransaction.id,
            _L.c.rated_at,
            _L.c.line_hash,
            *(_L.c[name].label(f"l_{name}") for name in _LINE),
            *(_U.c[name].label(f"u_{name}") for name in _USAGE),
        )
        .select_from(LedgerTransaction)
        .join(Posting, Posting.transaction_id == LedgerTransaction.id)
        .join(
            _L,
            (_L.c.charge_id == Posting.charge_id)
            & (_L.c.line_seq > Posting.from_line_seq)
            & (_L.c.line_seq <= Posting.to_line_seq),
        )
        .join(_U, _U.c.id == _L.c.usage_record_id)
        .where(LedgerTransaction.id.in_(transaction_ids))
        .order_by(LedgerTransaction.chain_seq, _L.c.line_seq)
    )
    width = 3 + len(_LINE)
    for row in streams.stream(session, statement):
        usage = dict(zip(_USAGE, row[width:], strict=True))
        usage["start_at_micros"], usage["end_at_micros"] = micros(usage.pop("start_at")), micros(usage.pop("end_at"))
        yield {
            "transaction_id": row[0],
            **dict(zip(_LINE, row[3:width], strict=True)),
            "rated_at_micros": micros(row.rated_at),
            "line_hash": row.line_hash,
            "usage": usage,
        }


def invoices(session: Session, account_id: str, document_ids: Collection[str]) -> Iterator[dict[str, Any]]:
    """The documents of these ids, as they were issued."""
    columns = [InvoiceHeader.id, InvoiceHeader.kind, InvoiceHeader.number, InvoiceHeader.transaction_id]
    statement: Select[*tuple[Any, ...]] = select(*columns, InvoiceHeader.snapshot_hash, InvoiceHeader.snapshot).where(
        InvoiceHeader.billing_account_id == account_id
    )
    for row in _by_id(session, statement, InvoiceHeader.id, document_ids):
        yield dict(row._mapping)


def charges(session: Session, charge_ids: Collection[str]) -> Iterator[dict[str, Any]]:
    """The charges of these ids, and the number of the line that opened each."""
    names = (
        "id",
        "counter_id",
        "billing_period_id",
        "project_key",
        "generation",
        "sku_code",
        "currency",
        "before_base",
    )
    first = select(func.min(_L.c.line_seq)).where(_L.c.charge_id == Charge.id).scalar_subquery().label("first_line_seq")
    statement: Select[*tuple[Any, ...]] = select(*(getattr(Charge, name) for name in names), first)
    for row in _by_id(session, statement, Charge.id, charge_ids):
        yield dict(row._mapping)


def counters(session: Session, account_id: str, counter_ids: Collection[str]) -> Iterator[dict[str, Any]]:
    """The counters of these ids, each with the share of its period it began with, and every later one from its line on."""
    changes: dict[str, list[Any]] = {}
    rescales = select(CounterRescale).where(CounterRescale.billing_account_id == account_id)
    for change in session.scalars(rescales.order_by(CounterRescale.counter_id, CounterRescale.counter_seq)):
        changes.setdefault(change.counter_id, []).append(change)
    columns = (Counter.id, Counter.price_version_id, Counter.billing_period_id, Counter.segment_start_at, Counter.scale)
    for row in _by_id(session, select(*columns), Counter.id, counter_ids):
        known = changes.get(row.id, [])
        yield {
            "id": row.id,
            "price_version_id": row.price_version_id,
            "billing_period_id": row.billing_period_id,
            "segment_start_at_micros": micros(row.segment_start_at),
            "scale": known[0].old_scale if known else row.scale,
            "rescales": [{"line_seq": change.line_seq, "scale": change.new_scale} for change in known],
        }


def prices(session: Session, price_ids: Collection[str]) -> Iterator[dict[str, Any]]:
    """The price versions of these ids, with the meter's unit."""
    ordered = sorted(price_ids)
    for place in range(0, len(ordered), _CHUNK):
        found = price_facts.load(session, ordered[place : place + _CHUNK])
        for _, price in sorted(found.items()):
            yield {
                "id": price.id,
                "book_code": price.book_code,
                "sku_code": price.sku_code,
                "currency": price.currency,
                "model": price.model,
                "parameters": price.parameters,
                "valid_from_micros": micros(price.valid_from),
                "price_hash": price.price_hash,
                "meter_code": price.meter_code,
                "unit": price.unit,
                "base_unit": price.base_unit,
                "base_per_unit": price.base_per_unit,
            }


def _by_id(
    session: Session, statement: Select[Any], key: ColumnElement[str] | Any, ids: Collection[str]
) -> Iterator[Any]:
    """The rows of these ids in their order, some hundred at a time."""
    ordered = sorted(ids)
    for place in range(0, len(ordered), _CHUNK):
        yield from session.execute(statement.where(key.in_(ordered[place : place + _CHUNK])).order_by(key))
