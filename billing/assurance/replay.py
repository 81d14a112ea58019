"""Replay: rate and post again from what is stored, in the stored order, and compare hash for hash and cent for cent (AS2).

Each account's lines are gone through once in the order in which they were rated. What a line must say follows from the lines
before it on its counter, its usage record and its price, by the same pure functions that rated it; what each posting must say
follows from the lines it covers.
"""

from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Select, Table, func, select
from sqlalchemy.orm import Session

from billing.assurance import report, streams
from billing.assurance.report import Report, Tally, count
from billing.kernel import periods
from billing.kernel.rounding import half_up
from billing.metering.tables import UsageRecord
from billing.rating import curves, price_facts, rescaling, scales
from billing.rating.amounts import rounded_minor
from billing.rating.curves.terms import Curve
from billing.rating.derivations import MICRO_PER_MINOR, cost_micro, curve_of, line_hash
from billing.rating.rater import line_id_of
from billing.rating.scales import History
from billing.rating.tables import BillingPeriod, Charge, Counter, Posting, RatedLine
from billing.storage.columns import micros

LINES, POSTINGS = "rated_line", "posting"

_L = cast(Table, RatedLine.__table__)
_U = cast(Table, UsageRecord.__table__)


@dataclass(slots=True, kw_only=True)
class _Counter:
    """A counter while its lines are rated again."""

    period_id: str
    segment_start_at: Any
    end_at: Any
    price_version_id: str
    price_hash: str
    currency: str
    is_per_project: bool
    curve: Curve
    rate_numerator: int
    rate_denominator: int
    price: price_facts.PriceFacts
    history: History | None  # only where its share of the period was ever changed
    charge_ids: list[str] = field(default_factory=list)
    quantity_base: int = 0
    counter_seq: int = 0
    cost_micro: int = 0

    def cost_after(self, after_base: int) -> int:
        """R(cost) in millionths of a minor unit."""
        if self.rate_denominator:
            return half_up(after_base * self.rate_numerator, self.rate_denominator)
        return cost_micro(self.curve, after_base)


@dataclass(slots=True, kw_only=True)
class _Charge:
    """A charge while its postings are made again. `opened` is the curve before its first line."""

    counter_id: str
    project_key: str
    before_base: int
    quantity_base: int = 0
    postings: list[Any] = field(default_factory=list)  # those still to come, last first
    seq: int = 0
    posted_minor: int = 0
    last_line_seq: int = 0
    opened: Curve | None = None


@dataclass(kw_only=True)
class _Account:
    """What is kept while one account is replayed: its counters and charges of the periods asked for."""

    counters: dict[str, _Counter]
    charges: dict[str, _Charge]


def replay(session: Session, period_label: str | None = None) -> Report:
    """Rate and post every stored line again, of all billing periods or of those with a label such as "2026-10".

    The report's `checked` counts lines and postings that were worked out anew. Raises Invalid for a label that is no month.
    """
    if period_label is not None:
        periods.month(period_label, "UTC")
    lines, postings = Tally(check=LINES), Tally(check=POSTINGS)
    prices: dict[str, Any] = {}
    for account_id in streams.account_ids(session):
        try:
            account = _load(session, account_id, period_label, prices)
            if account.counters:
                _replay_account(session, account_id, period_label, account, lines, postings)
        except report.UNREADABLE as error:
            lines.differ(account_id, f"cannot be rated again: {type(error).__name__}: {error}")
    _expect_all(session, period_label, lines, postings)
    return report.of([lines, postings])


def _replay_account(
    session: Session, account_id: str, period_label: str | None, account: _Account, lines: Tally, postings: Tally
) -> None:
    for row in streams.stream(session, _lines(account_id, period_label)):
        lines.look()
        charge = account.charges.get(row.charge_id)
        counter = account.counters.get(row.counter_id)
        if charge is None or counter is None:
            lines.differ(
                row.id, f"names counter {row.counter_id} and charge {row.charge_id}, which are not its account's"
            )
            continue
        _post_until(postings, row.charge_id, charge, counter, row.line_seq)
        if charge.opened is None:
            charge.opened = counter.curve
        if counter.history is not None and row.line_seq in counter.history.line_seqs:
            _rescale(lines, postings, row, account, counter)
        _rate(lines, row, counter, charge)
    for charge_id, charge in account.charges.items():
        if charge.counter_id in account.counters:
            _post_until(postings, charge_id, charge, account.counters[charge.counter_id], None)


def _rescale(lines: Tally, postings: Tally, row: Any, account: _Account, counter: _Counter) -> None:
    """Put the counter's next share in force, after all that was posted with the one it had."""
    for charge_id in counter.charge_ids:
        _post_until(postings, charge_id, account.charges[charge_id], counter, row.line_seq)
    if row.usage_base != 0 or row.source != rescaling.SOURCE:
        lines.differ(row.id, "rescales its counter, but its usage record is none of a rescaling")
    counter.curve = curve_of(counter.price, counter.history.at(row.line_seq) if counter.history else None)


def _rate(tally: Tally, row: Any, counter: _Counter, charge: _Charge) -> None:
    """Work the line out from what came before it; every field that it holds must come out the same."""
    after_micro = counter.cost_after(counter.quantity_base + row.usage_base)
    facts = (
        line_id_of(row.usage_record_id),
        row.usage_account_id,
        row.line_seq,
        row.usage_record_id,
        row.counter_id,
        counter.counter_seq + 1,
        row.charge_id,
        counter.price_version_id,
        row.usage_base,
        counter.quantity_base,
        after_micro - counter.cost_micro,
        counter.currency,
    )
    stored = tuple(row[: len(facts)])
    if facts != stored:
        names = [column.name for column, ours, theirs in zip(_FACTS, facts, stored, strict=True) if ours != theirs]
        sentence = f"comes out otherwise when rated again: {', '.join(names)}"
        tally.differ(row.id, sentence, stored_micro=row.amount_micro, replayed_micro=facts[10])
    elif line_hash(facts, micros(row.rated_at), row.record_hash, counter.price_hash) != row.line_hash:
        tally.differ(row.id, "comes out with another hash when rated again: it, its usage or its price was altered")
    _check_route(tally, row, counter, charge)
    counter.quantity_base += row.usage_base
    counter.counter_seq += 1
    counter.cost_micro = after_micro
    charge.quantity_base += row.usage_base


def _check_route(tally: Tally, row: Any, counter: _Counter, charge: _Charge) -> None:
    """The usage belongs where it was counted: its item (a price of any variant counts all), its time, its project."""
    price = counter.price
    is_its_item = (row.meter_code, row.mode) == (price.meter_code, price.mode) and price.variant in ("", row.variant)
    if not is_its_item or not counter.segment_start_at <= row.start_at < counter.end_at:
        tally.differ(row.id, f"counts usage of another meter, variant, mode or time on counter {row.counter_id}")
    wanted = (row.project_id or "") if counter.is_per_project else ""
    if charge.counter_id != row.counter_id or charge.project_key != wanted:
        tally.differ(row.id, f"was charged to {row.charge_id}, which is another counter's or project's")


def _post_until(tally: Tally, charge_id: str, charge: _Charge, counter: _Counter, line_seq: int | None) -> None:
    """Make again every posting of the charge that came before the line of that number (None: all that are left)."""
    while charge.postings and (line_seq is None or charge.postings[-1].to_line_seq < line_seq):
        row = charge.postings.pop()
        tally.look()
        exact_minor = rounded_minor(counter.curve, charge.before_base, charge.quantity_base, charge.opened)
        worked = (
            charge.seq + 1,
            charge.quantity_base,
            exact_minor - charge.posted_minor,
            exact_minor,
            counter.currency,
        )
        stored = (row.seq, row.quantity_base, row.increment_minor, row.posted_minor, row.currency)
        if worked != stored or row.from_line_seq < charge.last_line_seq:
            sentence = (
                f"says {stored} of {charge_id} (number, quantity, increment, posted, currency); posted again: {worked}"
            )
            tally.differ(row.id, sentence, stored_minor=row.posted_minor, replayed_minor=exact_minor)
        charge.seq, charge.posted_minor, charge.last_line_seq = row.seq, row.posted_minor, row.to_line_seq


def _load(session: Session, account_id: str, period_label: str | None, prices: dict[str, Any]) -> _Account:
    statement = (
        select(Counter, BillingPeriod.end_at)
        .join(BillingPeriod, BillingPeriod.id == Counter.billing_period_id)
        .where(Counter.billing_account_id == account_id)
    )
    found = session.execute(_in_period(statement, period_label)).all()
    missing = {counter.price_version_id for counter, _ in found} - prices.keys()
    prices |= price_facts.load(session, missing)
    histories = scales.rescaled(session, account_id=account_id)
    counters = {
        counter.id: _open(counter, end_at, prices[counter.price_version_id], histories.get(counter.id))
        for counter, end_at in found
    }
    charges = {
        charge.id: _Charge(counter_id=charge.counter_id, project_key=charge.project_key, before_base=charge.before_base)
        for charge in session.execute(
            _in_period(
                select(Charge.id, Charge.counter_id, Charge.project_key, Charge.before_base)
                .join(Counter, Counter.id == Charge.counter_id)
                .join(BillingPeriod, BillingPeriod.id == Counter.billing_period_id)
                .where(Counter.billing_account_id == account_id),
                period_label,
            )
        )
    }
    for charge_id, charge in charges.items():
        if charge.counter_id in counters:
            counters[charge.counter_id].charge_ids.append(charge_id)
    for row in session.execute(_in_period(_postings(account_id), period_label)):
        charges[row.charge_id].postings.append(row)
    return _Account(counters=counters, charges=charges)


def _open(counter: Counter, end_at: Any, price: price_facts.PriceFacts, history: History | None) -> _Counter:
    """The counter before its first line."""
    curve = curve_of(price, history.first if history else scales.read_scale(counter.scale))
    per_base = curves.per_base_of(curve)
    rate = (per_base or 0) * MICRO_PER_MINOR
    return _Counter(
        period_id=counter.billing_period_id,
        segment_start_at=counter.segment_start_at,
        end_at=end_at,
        price_version_id=price.id,
        price_hash=price.price_hash,
        currency=price.currency,
        is_per_project=curves.is_per_project(price.model),
        curve=curve,
        rate_numerator=rate.numerator,
        rate_denominator=0 if per_base is None else rate.denominator,
        price=price,
        history=history,
    )


_FACTS = [
    _L.c[name]
    for name in [
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
]


def _lines(account_id: str, period_label: str | None) -> Select[Any]:
    statement: Select[Any] = (
        select(
            *_FACTS,
            _L.c.rated_at,
            _L.c.line_hash,
            _U.c.billing_account_id.label("usage_account_id"),
            _U.c.quantity_base.label("usage_base"),
            _U.c.record_hash,
            _U.c.meter_code,
            _U.c.variant,
            _U.c.mode,
            _U.c.source,
            _U.c.start_at,
            _U.c.project_id,
        )
        .join(_U, _U.c.id == _L.c.usage_record_id)
        .where(_L.c.billing_account_id == account_id)
        .order_by(_L.c.line_seq)
    )
    if period_label is None:
        return statement
    joined = statement.join(Counter, Counter.id == _L.c.counter_id)
    return joined.join(BillingPeriod, BillingPeriod.id == Counter.billing_period_id).where(
        BillingPeriod.label == period_label
    )


def _postings(account_id: str) -> Select[Any]:
    """Postings of one account, of each charge the last one first."""
    return (
        select(*Posting.__table__.c)
        .join(Charge, Charge.id == Posting.charge_id)
        .join(Counter, Counter.id == Charge.counter_id)
        .join(BillingPeriod, BillingPeriod.id == Counter.billing_period_id)
        .where(Counter.billing_account_id == account_id)
        .order_by(Posting.charge_id, Posting.seq.desc())
    )


def _in_period(statement: Any, period_label: str | None) -> Any:
    return statement if period_label is None else statement.where(BillingPeriod.label == period_label)


def _expect_all(session: Session, period_label: str | None, lines: Tally, postings: Tally) -> None:
    """Every line and every posting there is must have been worked out anew."""
    stored = select(func.count()).select_from(RatedLine).join(Counter, Counter.id == RatedLine.counter_id)
    posted = (
        select(func.count())
        .select_from(Posting)
        .join(Charge, Charge.id == Posting.charge_id)
        .join(Counter, Counter.id == Charge.counter_id)
    )
    for table, tally, statement in (("rated_usage_lines", lines, stored), ("postings", postings, posted)):
        there = statement.join(BillingPeriod, BillingPeriod.id == Counter.billing_period_id)
        tally.expect(table, tally.looked, count(session, _in_period(there, period_label)))
