"""Posting: each charge's exact amount, rounded once, brought into the ledger (Law 2).

One ledger transaction per account, currency, billing period and run carries the increments of its charges; it anchors the
hashes of all lines it covers, so that the chain holds every line still.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import AccountHead
from billing.catalog import meters
from billing.kernel import canonical, collecting
from billing.kernel.ids import new_ids
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.rating import plain, price_facts, scales
from billing.rating.amounts import OpenAmount
from billing.rating.curves.terms import Curve
from billing.rating.derivations import PriceTerms, curve_of
from billing.rating.scales import History
from billing.rating.tables import BillingPeriod, Charge, Counter, Posting, RatedLine
from billing.storage import bulk

ChargeRow = tuple[str, str, str, str, int, int, str | None]

LINES_PER_RUN = 100_000
# What is counted decides what its entries are called (money.md's table).
ENTRY_KINDS = {meters.USAGE: "usage_debit", meters.FEE: "opening_charge", meters.CLOSING: "closing_charge"}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A billing period's id and its two instants."""

    id: str
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFacts:
    """What all charges of one counter share. `history` only where its share of the period was ever changed."""

    period: Period
    family: str
    kind: str
    terms: PriceTerms
    curve: Curve
    history: History | None


@dataclass(slots=True, kw_only=True)
class Group:
    """The charges of one period and currency, and the hashes of their new lines in order."""

    period: Period
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
        with collecting.paused():
            _post_run(session, head, min(head.posted_line_seq + lines_per_run, head.line_seq), now)
    return head.posted_line_seq - start_seq


def _post_run(session: Session, head: AccountHead, to_line_seq: int, now: datetime) -> None:
    from_line_seq = head.posted_line_seq
    groups = _collect(session, head.billing_account_id, from_line_seq, to_line_seq)
    with session.no_autoflush:  # the head is written once, with what the post adds to it
        head.posted_line_seq = to_line_seq
        posted = book.post_many(session, [_request(group, head, to_line_seq, now) for group in groups], now=now)
    session.flush()  # also where every transaction was there before
    for group, transaction in zip(groups, posted, strict=True):
        _record(session, group, transaction.transaction_id, (from_line_seq, to_line_seq))


def _request(group: Group, head: AccountHead, to_line_seq: int, now: datetime) -> book.Request:
    """The group's ledger transaction. Without an increment it has no entry: it only anchors its lines."""
    return book.Request(
        head=head,
        type="posting",
        source_type="posting_run",
        source_id=f"{group.period.id}:{group.currency}:{to_line_seq}",
        entries=[_entry(amount, increment) for amount in group.amounts if (increment := amount.increment_minor)],
        # Revenue belongs to the month in which it was used, as far as the books are open for it.
        occurred_at=max(min(now, group.period.end_at - _LAST_INSTANT), group.period.start_at),
        actor="job:post",
        anchor_hash=canonical.merkle_root(group.line_hashes),
    )


def _entry(amount: OpenAmount, increment: int) -> Entry:
    """The charge's increment; a negative one swaps debit and credit."""
    unbilled, revenue = "unbilled", f"revenue:{amount.family}"
    debit, credit = (unbilled, revenue) if increment > 0 else (revenue, unbilled)
    return Entry(
        kind=amount.kind,
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
    lines = _lines(session, covered)
    charges = _charges(session, {charge_id for charge_id, _, _ in lines})
    counters = _counters(session, {counter_id for _, counter_id, *_ in charges}, to_line_seq)
    opened = _opened(session, charges, counters)
    amounts: dict[str, OpenAmount] = {}
    hashes: dict[str, list[str]] = {}
    groups: dict[tuple[str, str], Group] = {}
    for charge_id, counter_id, currency, before, posted_minor, posting_seq, posted in charges:
        counter = counters[counter_id]
        group = groups.get((counter.period.id, currency))
        if group is None:
            group = groups[counter.period.id, currency] = Group(period=counter.period, currency=currency)
        amount = OpenAmount(
            charge_id=charge_id,
            currency=currency,
            family=counter.family,
            curve=counter.curve,
            before_base=int(before),
            posted_base=int(posted or 0),
            posted_minor=posted_minor,
            posting_seq=posting_seq,
            kind=counter.kind,
            opened=opened.get(charge_id),
        )
        group.amounts.append(amount)
        amounts[charge_id], hashes[charge_id] = amount, group.line_hashes
    for charge_id, quantity, line_hash in lines:
        amounts[charge_id].added_base += int(quantity)
        hashes[charge_id].append(line_hash)
    for amount in amounts.values():
        amount.settle()
    return sorted(groups.values(), key=lambda group: (group.period.start_at, group.currency))


def _lines(session: Session, covered: Iterable[Any]) -> Sequence[tuple[str, str, str]]:
    """(charge, quantity as text, hash) of the covered lines in order, straight from the driver."""
    rows = select(RatedLine.charge_id, plain.integer_text(session, RatedLine.quantity_base), RatedLine.line_hash)
    with session.connection().execute(rows.where(*covered).order_by(RatedLine.line_seq)) as result:
        return result.cursor.fetchall()


def _charges(session: Session, charge_ids: Collection[str]) -> Sequence[ChargeRow]:
    """(id, counter, currency, before, posted, posting seq, quantity posted) of these charges, straight from the driver."""
    rows = (
        select(
            Charge.id,
            Charge.counter_id,
            Charge.currency,
            plain.integer_text(session, Charge.before_base),
            Charge.posted_minor,
            Charge.posting_seq,
            plain.integer_text(session, Posting.quantity_base),
        )
        .join(Counter, Counter.id == Charge.counter_id)
        .outerjoin(Posting, (Posting.charge_id == Charge.id) & (Posting.seq == Charge.posting_seq))
        .where(Charge.id.in_(plain.texts(session, charge_ids)))
        .order_by(Charge.sku_code, Counter.segment_start_at, Charge.project_key, Charge.generation, Charge.id)
    )
    with session.connection().execute(rows) as result:
        return result.cursor.fetchall()


def _counters(session: Session, counter_ids: set[str], to_line_seq: int) -> dict[str, CounterFacts]:
    """What the counters' charges need, by counter id; curves as they are once that line is counted."""
    rows = session.execute(
        select(
            Counter.id,
            Counter.scale,
            Counter.price_version_id,
            BillingPeriod.id,
            BillingPeriod.start_at,
            BillingPeriod.end_at,
        )
        .join(BillingPeriod, BillingPeriod.id == Counter.billing_period_id)
        .where(Counter.id.in_(counter_ids))
    ).all()
    prices = price_facts.load(session, {row.price_version_id for row in rows})
    histories = scales.rescaled(session, counter_ids=counter_ids)
    found = {}
    for counter_id, scale, price_id, period_id, start_at, end_at in rows:
        price, history = prices[price_id], histories.get(counter_id)
        found[counter_id] = CounterFacts(
            period=Period(id=period_id, start_at=start_at, end_at=end_at),
            family=price.family,
            kind=ENTRY_KINDS[meters.kind_of(price.meter_code)],
            terms=price,
            curve=curve_of(price, history.at(to_line_seq) if history else scales.read_scale(scale)),
            history=history,
        )
    return found


def _opened(session: Session, charges: Sequence[ChargeRow], counters: dict[str, CounterFacts]) -> dict[str, Curve]:
    """{charge: the curve when it opened} of later generations on rescaled counters: what came before them is not theirs."""
    later = {
        charge_id: counters[counter_id]
        for charge_id, counter_id, _, before, *_ in charges
        if int(before) and counters[counter_id].history is not None
    }
    if not later:
        return {}
    firsts = session.execute(
        select(RatedLine.charge_id, func.min(RatedLine.line_seq))
        .where(RatedLine.charge_id.in_(later))
        .group_by(RatedLine.charge_id)
    )
    return {
        charge_id: curve_of(later[charge_id].terms, later[charge_id].history.before(line_seq))  # type: ignore[union-attr]
        for charge_id, line_seq in firsts
    }


_BRING_CHARGES_UP = (
    update(_CHARGES)
    .where(_CHARGES.c.id == _POSTINGS.c.charge_id, _POSTINGS.c.transaction_id == bindparam("key"))
    .values(posted_minor=_POSTINGS.c.posted_minor, posting_seq=_POSTINGS.c.seq)
)
