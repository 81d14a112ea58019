"""Posting: each charge's exact amount, rounded once, brought into the ledger (Law 2).

One ledger transaction per account, currency, billing period and run carries the increments of its charges; it anchors the
hashes of all lines it covers, so that the chain holds every line still.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import AccountHead
from billing.kernel import canonical
from billing.kernel.ids import new_ids
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.rating import plain, price_facts
from billing.rating.amounts import OpenAmount
from billing.rating.curves.terms import Curve
from billing.rating.derivations import curve_of
from billing.rating.tables import BillingPeriod, Charge, Counter, Posting, RatedLine
from billing.rating.worksheet import read_scale
from billing.storage import bulk

LINES_PER_RUN = 100_000
_LAST_INSTANT = timedelta(milliseconds=1)
_POSTINGS = cast(Table, Posting.__table__)
_CHARGES = cast(Table, Charge.__table__)
_POSTING_COLUMNS = (
    "id",
    "charge_id",
    "seq",
    "transaction_id",
    "from_line_seq",
    "to_line_seq",
    "quantity_base",
    "increment_minor",
    "posted_minor",
    "currency",
)


@dataclass(slots=True, kw_only=True)
class Group:
    """The charges of one period and currency, and the hashes of their new lines in order."""

    period: BillingPeriod
    currency: str
    amounts: list[OpenAmount] = field(default_factory=list)
    line_hashes: list[str] = field(default_factory=list)


def accounts_to_post(session: Session) -> list[str]:
    """Billing accounts with rated lines that the ledger does not hold yet."""
    return list(
        session.scalars(
            select(AccountHead.billing_account_id)
            .where(AccountHead.line_seq > AccountHead.posted_line_seq)
            .order_by(AccountHead.billing_account_id)
        )
    )


def post_account(session: Session, *, now: datetime, account_id: str, lines_per_run: int = LINES_PER_RUN) -> int:
    """Bring every charge of the account up to date in the ledger; the number of lines that are covered now and were not.

    Locks the account's head. Nothing happens when there is nothing new. Many lines are brought in as several runs, so that
    memory stays flat; the ledger's figures are the same however they are cut (Law 2).
    """
    head = heads.lock_one(session, account_id)
    start_seq = head.posted_line_seq
    while head.posted_line_seq < head.line_seq:
        _post_run(session, head, min(head.posted_line_seq + lines_per_run, head.line_seq), now)
    return head.posted_line_seq - start_seq


def _post_run(session: Session, head: AccountHead, to_line_seq: int, now: datetime) -> None:
    from_line_seq = head.posted_line_seq
    groups = _collect(session, head.billing_account_id, from_line_seq, to_line_seq)
    posted = book.post_many(session, [_request(group, head, to_line_seq, now) for group in groups], now=now)
    for group, transaction in zip(groups, posted, strict=True):
        _record(session, group, transaction.transaction_id, (from_line_seq, to_line_seq))
    head.posted_line_seq = to_line_seq
    session.flush()


def _request(group: Group, head: AccountHead, to_line_seq: int, now: datetime) -> book.Request:
    """The group's ledger transaction. Without an increment it has no entry: it only anchors its lines."""
    return book.Request(
        head=head,
        type="posting",
        source_type="posting_run",
        source_id=f"{group.period.id}:{group.currency}:{to_line_seq}",
        entries=[_entry(amount) for amount in group.amounts if amount.increment_minor],
        # Revenue belongs to the month in which it was used, as far as the books are open for it.
        occurred_at=max(min(now, group.period.end_at - _LAST_INSTANT), group.period.start_at),
        actor="job:post",
        anchor_hash=canonical.merkle_root(group.line_hashes),
    )


def _entry(amount: OpenAmount) -> Entry:
    """The charge's increment; a negative one swaps debit and credit."""
    increment, unbilled, revenue = amount.increment_minor, "unbilled", f"revenue:{amount.family}"
    debit, credit = (unbilled, revenue) if increment > 0 else (revenue, unbilled)
    return Entry(
        kind="usage_debit",
        debit=debit,
        credit=credit,
        amount=Money(minor=abs(increment), currency=amount.currency),
        detail={"charge_id": amount.charge_id},
    )


def _record(session: Session, group: Group, transaction_id: str, covered: tuple[int, int]) -> None:
    """One posting row per charge, and where each charge stands now."""
    rows = [
        (
            *(posting_id, amount.charge_id, amount.posting_seq + 1, transaction_id, *covered),
            *(amount.quantity_base, amount.increment_minor, amount.settled_minor, amount.currency),
        )
        for posting_id, amount in zip(new_ids("pst", len(group.amounts)), group.amounts, strict=True)
    ]
    bulk.insert_rows(session, _POSTINGS, _POSTING_COLUMNS, rows)
    session.connection().execute(_BRING_CHARGES_UP, {"key": transaction_id})


def _collect(session: Session, account_id: str, from_line_seq: int, to_line_seq: int) -> list[Group]:
    """The run's lines summed per charge, charges grouped by period and currency, both in an order that no id decides."""
    covered = (
        RatedLine.billing_account_id == account_id,
        RatedLine.line_seq > from_line_seq,
        RatedLine.line_seq <= to_line_seq,
    )
    amounts = {amount.charge_id: amount for amount in _amounts(session, covered)}
    periods = _periods(session, {amount.period_id for amount in amounts.values()})
    groups: dict[tuple[str, str], Group] = {}
    for amount in amounts.values():
        key = (amount.period_id, amount.currency)
        if key not in groups:
            groups[key] = Group(period=periods[amount.period_id], currency=amount.currency)
        groups[key].amounts.append(amount)
    hashes = {amount.charge_id: groups[amount.period_id, amount.currency].line_hashes for amount in amounts.values()}
    lines = session.connection().execute(
        select(RatedLine.charge_id, plain.integer_text(session, RatedLine.quantity_base), RatedLine.line_hash)
        .where(*covered)
        .order_by(RatedLine.line_seq)
    )
    for charge_id, quantity, line_hash in lines.all():
        amounts[charge_id].added_base += int(quantity)
        hashes[charge_id].append(line_hash)
    for amount in amounts.values():
        amount.settle()
    return sorted(groups.values(), key=lambda group: (group.period.start_at, group.currency))


def _amounts(session: Session, covered: Iterable[Any]) -> Iterator[OpenAmount]:
    """Every charge that the covered lines touch, as its last posting left it."""
    rows = session.connection().execute(
        select(
            Charge.id,
            Charge.counter_id,
            Charge.billing_period_id,
            Charge.currency,
            plain.integer_text(session, Charge.before_base),
            Charge.posted_minor,
            Charge.posting_seq,
            plain.integer_text(session, Posting.quantity_base),
        )
        .join(Counter, Counter.id == Charge.counter_id)
        .outerjoin(Posting, (Posting.charge_id == Charge.id) & (Posting.seq == Charge.posting_seq))
        .where(Charge.id.in_(select(RatedLine.charge_id).where(*covered).distinct()))
        .order_by(Charge.sku_code, Counter.segment_start_at, Charge.project_key, Charge.generation, Charge.id)
    )
    found = rows.all()
    counters = _counters(session, {row.counter_id for row in found})
    for charge_id, counter_id, period_id, currency, before, posted_minor, posting_seq, posted in found:
        family, curve = counters[counter_id]
        yield OpenAmount(
            charge_id=charge_id,
            period_id=period_id,
            currency=currency,
            family=family,
            curve=curve,
            before_base=int(before),
            posted_base=int(posted or 0),
            posted_minor=posted_minor,
            posting_seq=posting_seq,
        )


def _counters(session: Session, counter_ids: set[str]) -> dict[str, tuple[str, Curve]]:
    """(family, curve) of each counter."""
    rows = session.execute(
        select(Counter.id, Counter.price_version_id, Counter.scale).where(Counter.id.in_(counter_ids))
    ).all()
    prices = price_facts.load(session, {row.price_version_id for row in rows})
    return {
        row.id: (prices[row.price_version_id].family, curve_of(prices[row.price_version_id], read_scale(row.scale)))
        for row in rows
    }


def _periods(session: Session, period_ids: set[str]) -> dict[str, BillingPeriod]:
    rows = session.scalars(select(BillingPeriod).where(BillingPeriod.id.in_(period_ids)))
    return {period.id: period for period in rows}


_BRING_CHARGES_UP = (
    update(_CHARGES)
    .where(_CHARGES.c.id == _POSTINGS.c.charge_id, _POSTINGS.c.transaction_id == bindparam("key"))
    .values(posted_minor=_POSTINGS.c.posted_minor, posting_seq=_POSTINGS.c.seq)
)
