"""Law 1: rated lines are numbered without gaps, unaltered, and their sums are what counters and charges say.

One pass over each account's lines in their order; what is kept meanwhile is a pair of integers per counter and charge of one
account.
"""

from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.assurance import streams
from billing.assurance.checks import rescales
from billing.assurance.report import Tally, count
from billing.catalog.tables import PriceVersion
from billing.metering.tables import UsageRecord
from billing.rating import curves
from billing.rating.derivations import LineFacts, line_hash
from billing.rating.tables import BillingPeriod, Charge, Counter, RatedLine
from billing.storage.columns import micros

NAME = "rated_line"

_L = cast(Table, RatedLine.__table__)
_FACTS = [
    "id",
    "billing_account_id",
    "line_seq",
    "usage_record_id",
    "counter_id",
    "counter_seq",
    "charge_id",
    "price_version_id",
    "quantity_base",
    "before_base",
    "amount_micro",
    "currency",
]


@dataclass(slots=True)
class _Sums:
    """What the lines of one account add up to so far."""

    counters: dict[str, tuple[int, int]] = field(default_factory=dict)  # counter -> (quantity, last counter_seq)
    charges: dict[str, int] = field(default_factory=dict)
    projects: dict[str, set[str]] = field(
        default_factory=dict
    )  # charge -> projects of the usage it counts, "" for none


def check(session: Session, tally: Tally, account_id: str | None = None) -> None:
    """Look at every rated line, counter and charge, of one account or of all."""
    lines = counters = charges = 0
    for each in streams.account_ids(session, account_id):
        looked = _check_account(session, tally, each)
        lines, counters, charges = lines + looked[0], counters + looked[1], charges + looked[2]
    rescales.check(session, tally, account_id)
    for name, table, looked_at in (
        ("rated_usage_lines", RatedLine, lines),
        ("counters", Counter, counters),
        ("charges", Charge, charges),
    ):
        there = select(func.count()).select_from(table)
        if account_id is not None:
            there = there.where(table.billing_account_id == account_id)
        tally.expect(name, looked_at, count(session, there))


def _check_account(session: Session, tally: Tally, account_id: str) -> tuple[int, int, int]:
    sums, lines = _Sums(), 0
    statement = (
        select(
            *(_L.c[name] for name in _FACTS),
            _L.c.rated_at,
            _L.c.line_hash,
            UsageRecord.billing_account_id.label("usage_account_id"),
            UsageRecord.quantity_base.label("usage_base"),
            UsageRecord.project_id.label("usage_project_id"),
            UsageRecord.record_hash,
            PriceVersion.price_hash,
            PriceVersion.currency.label("price_currency"),
        )
        .join(UsageRecord, UsageRecord.id == _L.c.usage_record_id)
        .join(PriceVersion, PriceVersion.id == _L.c.price_version_id)
        .where(_L.c.billing_account_id == account_id)
        .order_by(_L.c.line_seq)
    )
    for row in streams.stream(session, statement):
        lines += 1
        tally.look()
        _check_line(tally, row, lines, sums)
    head = session.execute(
        select(AccountHead.line_seq, AccountHead.posted_line_seq).where(AccountHead.billing_account_id == account_id)
    ).one_or_none()
    line_seq, posted_line_seq = head if head is not None else (0, 0)
    if line_seq != lines or not 0 <= posted_line_seq <= lines:
        tally.differ(account_id, f"its head counts {line_seq} rated lines, {posted_line_seq} posted; there are {lines}")
    return lines, _check_counters(session, tally, account_id, sums), _check_charges(session, tally, account_id, sums)


def _check_line(tally: Tally, row: Any, expected_seq: int, sums: _Sums) -> None:
    if row.line_seq != expected_seq:
        tally.differ(row.id, f"is number {row.line_seq} of its account, where number {expected_seq} was expected")
    if (
        line_hash(cast(LineFacts, tuple(row[:12])), micros(row.rated_at), row.record_hash, row.price_hash)
        != row.line_hash
    ):
        tally.differ(row.id, "does not hash to what it says: the line, its usage or its price was altered")
    if (row.usage_account_id, row.usage_base) != (row.billing_account_id, row.quantity_base):
        tally.differ(row.id, f"counts {row.quantity_base}, its usage record {row.usage_record_id} {row.usage_base}")
    if row.currency != row.price_currency:
        tally.differ(row.id, f"is in {row.currency}, its price in {row.price_currency}")
    before, last_seq = sums.counters.get(row.counter_id, (0, 0))
    if (row.before_base, row.counter_seq) != (before, last_seq + 1):
        sentence = f"says its counter stood at {row.before_base} ({row.counter_seq}), the lines before it make {before}"
        tally.differ(row.id, sentence, counter=row.counter_id)
    sums.counters[row.counter_id] = (before + row.quantity_base, row.counter_seq)
    sums.charges[row.charge_id] = sums.charges.get(row.charge_id, 0) + row.quantity_base
    sums.projects.setdefault(row.charge_id, set()).add(row.usage_project_id or "")


def _check_counters(session: Session, tally: Tally, account_id: str, sums: _Sums) -> int:
    looked = 0
    is_inside = (
        (BillingPeriod.billing_account_id == Counter.billing_account_id)
        & (BillingPeriod.start_at <= Counter.segment_start_at)
        & (BillingPeriod.end_at > Counter.segment_start_at)
    )
    statement = (
        select(Counter.id, Counter.quantity_base, Counter.counter_seq, is_inside.label("is_inside"))
        .outerjoin(BillingPeriod, BillingPeriod.id == Counter.billing_period_id)
        .where(Counter.billing_account_id == account_id)
    )
    for counter_id, quantity_base, counter_seq, is_in_period in streams.stream(session, statement):
        looked += 1
        tally.look()
        if not is_in_period:
            tally.differ(counter_id, "does not lie in its billing period, or that is another account's")
        lines_base, last_seq = sums.counters.pop(counter_id, (0, 0))
        if (quantity_base, counter_seq) != (lines_base, last_seq):
            sentence = f"counts {quantity_base} in {counter_seq} lines, its lines sum to {lines_base} in {last_seq}"
            tally.differ(counter_id, sentence, account=account_id)
    for counter_id in sums.counters:
        tally.differ(counter_id, "has lines of this account but is not one of its counters", account=account_id)
    return looked


def _check_charges(session: Session, tally: Tally, account_id: str, sums: _Sums) -> int:
    """Charges sum their lines, of their own project where prices are per project; those of one counter and project follow each
    other: `before` is what earlier ones counted."""
    looked = 0
    statement = (
        select(
            Charge.id,
            Charge.counter_id,
            Charge.project_key,
            Charge.generation,
            Charge.before_base,
            Charge.quantity_base,
            Charge.billing_account_id,
            (Charge.billing_period_id == Counter.billing_period_id).label("is_same_period"),
            PriceVersion.model,
        )
        .join(Counter, Counter.id == Charge.counter_id)
        .join(PriceVersion, PriceVersion.id == Counter.price_version_id)
        .where(Counter.billing_account_id == account_id)
        .order_by(Charge.counter_id, Charge.project_key, Charge.generation)
    )
    for _, rows in streams.grouped(streams.stream(session, statement), lambda row: row[1:3]):
        before_base = 0
        for generation, row in enumerate(rows):
            looked += 1
            tally.look()
            lines_base = sums.charges.pop(row.id, 0)
            if row.quantity_base != lines_base:
                tally.differ(row.id, f"counts {row.quantity_base}, its lines sum to {lines_base}", account=account_id)
            if (row.generation, row.before_base) != (generation, before_base):
                tally.differ(row.id, f"starts at {row.before_base}, the generations before it end at {before_base}")
            keys = sums.projects.get(row.id, set()) if curves.is_per_project(row.model) else {""}
            if keys - {row.project_key}:
                tally.differ(row.id, f"is for {row.project_key or 'no project'}, what it counts for {', '.join(keys)}")
            if not row.is_same_period:
                tally.differ(row.id, f"belongs to another billing period than its counter {row.counter_id}")
            if row.billing_account_id != account_id:
                tally.differ(row.id, f"belongs to {row.billing_account_id}, its counter to {account_id}")
            before_base += row.quantity_base
    for charge_id in sums.charges:
        tally.differ(charge_id, "has lines of this account but is not one of its charges", account=account_id)
    return looked
