"""Rating: each usage record gets its counter, its charge and its line, in the order in which the account took it in (Law 1).

One batch is one transaction under the account's lock. Per record there are integers in a loop and one hash; rows are written
in bulk.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import AccountHead, BillingAccount
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.kernel import collecting
from billing.kernel.money import MAX_MINOR
from billing.kernel.rounding import half_up
from billing.metering import reserved_hours
from billing.metering.tables import UsageRecord
from billing.rating import price_locks, rescaling, unrated
from billing.rating import usage as usage_rows
from billing.rating.counters import Slot
from billing.rating.derivations import MICRO_PER_MINOR, cost_micro, line_hash
from billing.rating.tables import RatedLine
from billing.rating.unrated import BELOW_ZERO
from billing.rating.usage import Usage
from billing.rating.worksheet import Worksheet
from billing.storage import bulk
from billing.storage.columns import micros

SlotFinder = Callable[[Item, int, int], Slot]
RescaleFinder = Callable[[str, int], Slot | None]

_MAX_MICRO = MAX_MINOR * MICRO_PER_MINOR
_LINES = cast(Table, RatedLine.__table__)
LINE_COLUMNS = (
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
    "rated_at",
    "line_hash",
)


@dataclass(kw_only=True)
class Batch:
    """What one run over some usage gave: lines in order, and the records that must wait with their reason."""

    lines: list[tuple[Any, ...]] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)

    def extend(self, later: "Batch") -> None:
        """Add what a later run gave."""
        self.lines += later.lines
        self.waiting += later.waiting


def _no_rescaling(_usage_id: str, _line_seq: int) -> Slot | None:
    return None


def accounts_with_unrated(session: Session) -> list[str]:
    """Billing accounts with usage that rating has not looked at, or that waited for a price and prices have changed since."""
    fresh = session.scalars(
        select(AccountHead.billing_account_id).where(AccountHead.usage_seq > AccountHead.rated_usage_seq)
    ).all()
    return sorted({*fresh, *unrated.accounts_to_retry(session)})


def rate_account(session: Session, *, now: datetime, account_id: str, limit: int = 10_000) -> int:
    """Rate up to `limit` usage records of one account; how many were looked at: as long as it is `limit`, more may wait.

    Locks the account's head. A record without a price is set aside in `unrated_usage` and looked at again when prices, plans
    or the account's subscriptions change. Usage of a charge that a draft has closed opens the charge's next generation.
    """
    head = heads.lock_one(session, account_id)
    reserved_hours.match(session, head, now=now)
    with collecting.paused():
        return _rate_locked(session, head, limit, now)


def _rate_locked(session: Session, head: AccountHead, limit: int, now: datetime) -> int:
    account_id = head.billing_account_id
    state = unrated.price_state(session, account_id)
    locks = price_locks.load(session, account_id)
    line_seq = head.line_seq
    retried = unrated.take(session, account_id, state=state, line_seq=line_seq, locks=locks, limit=limit)
    fresh = _fresh_usage(session, head, locks, limit - len(retried))
    if not retried and not fresh:
        return 0
    account = session.get_one(BillingAccount, account_id)
    sheet = Worksheet(session, account=account, prices=PriceTable.load(session, [account_id]), now=now)
    batch = _rate_on(session, sheet, [*retried, *fresh], head, now)
    looked = len(retried) + len(fresh)
    if sheet.stale and rescaling.enqueue(session, head, sheet.stale, now=now):
        more = _fresh_usage(session, head, locks, limit - looked)
        looked += len(more)
        batch.extend(_rate_on(session, sheet, more, head, now))
    sheet.save()
    bulk.insert_rows(session, _LINES, LINE_COLUMNS, batch.lines)
    unrated.put_back(
        session,
        account_id,
        state=state,
        line_seq=line_seq,
        retried={usage.id for usage in retried},
        waiting=batch.waiting,
        now=now,
    )
    session.flush()
    return looked


def _fresh_usage(session: Session, head: AccountHead, locks: price_locks.Locks, limit: int) -> Sequence[Usage]:
    """The account's next records that rating has not looked at; the head moves past them."""
    if limit <= 0 or head.usage_seq <= head.rated_usage_seq:
        return ()
    rows = (
        usage_rows.query(session, locks)
        .where(UsageRecord.billing_account_id == head.billing_account_id, UsageRecord.usage_seq > head.rated_usage_seq)
        .order_by(UsageRecord.usage_seq)
        .limit(limit)
    )
    fresh = usage_rows.fetch(session, rows)
    head.rated_usage_seq = fresh[-1].usage_seq
    return fresh


def _rate_on(session: Session, sheet: Worksheet, usage: Sequence[Usage], head: AccountHead, now: datetime) -> Batch:
    """Rate on the account's counters; the head counts the lines."""
    sheet.expect(rescaling.marked(session, [one.id for one in usage if one.quantity_base == "0"]))
    batch = rate(
        sheet.slot, usage, account_id=head.billing_account_id, line_seq=head.line_seq, now=now, rescaled=sheet.rescaled
    )
    head.line_seq += len(batch.lines)
    return batch


def rate(
    find_slot: SlotFinder,
    usage: Iterable[Usage],
    *,
    account_id: str,
    line_seq: int,
    now: datetime,
    rescaled: RescaleFinder = _no_rescaling,
) -> Batch:
    """Rate usage in the given order; lines are numbered after `line_seq`. Pure but for the counters it moves on.

    `find_slot` gives, for an item, an instant and the instant whose price holds (microseconds), the slot that counts its usage;
    `rescaled` gives the counter that a record of quantity 0 rescales with the line of that number, None for all other usage.
    """
    batch = Batch()
    add_line = batch.lines.append
    rated_at_micros = micros(now)
    slots: dict[tuple[str, str, str, int], Slot] = {}
    for usage_id, _, meter_code, variant, mode, start_micros, priced_micros, quantity, project_id, record_hash in usage:
        quantity_base = int(quantity)
        used = (meter_code, variant, mode, priced_micros - start_micros and priced_micros)
        slot = slots.get(used)
        if slot is None or not slot.start_micros <= start_micros < slot.end_micros:
            slot = slots[used] = find_slot(Item(meter_code, variant, mode), start_micros, priced_micros)
        if not quantity_base:
            slot = rescaled(usage_id, line_seq + 1) or slot
        counter = slot.counter
        if counter is None:
            batch.waiting.append((usage_id, slot.reason))
            continue
        before_base = counter.quantity_base
        after_base = before_base + quantity_base
        if counter.rate_denominator:
            after_micro = half_up(after_base * counter.rate_numerator, counter.rate_denominator)
        elif after_base < 0:
            batch.waiting.append((usage_id, BELOW_ZERO))
            continue
        else:
            after_micro = cost_micro(counter.curve, after_base)
        if not -_MAX_MICRO <= after_micro <= _MAX_MICRO:
            batch.waiting.append((usage_id, "amount_too_large"))
            continue
        charge = counter.charge_of(project_id)
        amount_micro = after_micro - counter.cost_micro
        line_seq += 1
        counter.cost_micro = after_micro
        counter.quantity_base = after_base
        counter.counter_seq += 1
        counter.is_touched = True
        charge.quantity_base += quantity_base
        charge.is_touched = True
        price = counter.price
        facts = (
            "rtl" + usage_id[3:],  # line_id_of, without the call
            account_id,
            line_seq,
            usage_id,
            counter.id,
            counter.counter_seq,
            charge.id,
            price.id,
            quantity_base,
            before_base,
            amount_micro,
            price.currency,
        )
        add_line((*facts, now, line_hash(facts, rated_at_micros, record_hash, price.price_hash)))
    return batch


def line_id_of(usage_record_id: str) -> str:
    """The stable rating key (RT1): a usage record has one line, and the line has its record's number under its own prefix."""
    return "rtl" + usage_record_id[3:]
