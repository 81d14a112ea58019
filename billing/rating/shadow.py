"""Shadow rating (RT5): stored usage rated again with candidate prices, beside what was really charged. Writes its trial only.

Both sides come from one snapshot. The side in force is the stored lines; the candidate's is made from the same records in the
order in which they were rated, by the same curves over the same periods, so that prices in force give the same amounts to the last
millionth. Counters start with their period: usage of a period that lies outside the stretch moves them and is not compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.accounts.tables import AccountHead, BillingAccount
from billing.catalog import trials
from billing.catalog.items import ON_DEMAND, Item
from billing.catalog.prices import PriceTable
from billing.catalog.tables import Sku
from billing.catalog.trials import Limits, Trial
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.rounding import half_up
from billing.metering.tables import Allocation, UsageRecord
from billing.rating import plain, price_locks, shadow_result
from billing.rating.derivations import cost_micro
from billing.rating.price_locks import Locks
from billing.rating.shadow_candidates import Candidate
from billing.rating.shadow_result import AccountSide, Found, Side, band_of, mover
from billing.rating.shadow_sheet import Sheet, Span, Tried
from billing.rating.tables import BillingPeriod, RatedLine
from billing.storage.columns import micros
from billing.storage.works import Progress

DEFAULT_LIMITS = Limits(total_percent="5", account_percent="20")
DEFAULT_ROWS = 10_000_000
MAX_ROWS = 1_000_000_000
_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_CHUNK = 500
_BATCH = 5_000
_FINEST = timedelta(milliseconds=1)  # windows are whole milliseconds


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be tried. Without accounts all are looked at; at most `row_bound` usage records are read.

    Raises Invalid for a stretch that ends before it begins, a naive time, and a bound out of range.
    """

    candidate: Candidate
    from_at: datetime
    to_at: datetime
    account_ids: tuple[str, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    row_bound: int = DEFAULT_ROWS

    def __post_init__(self) -> None:
        if require_utc(self.to_at, "to") <= require_utc(self.from_at, "from"):
            raise Invalid(field="to", value=to_rfc3339(self.to_at), reason="ends_before_it_begins")
        for name, at in (("from", self.from_at), ("to", self.to_at)):
            if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
                raise Invalid(field=name, value=to_rfc3339(at), reason="not_an_instant")
        if not 1 <= self.row_bound <= MAX_ROWS:
            raise Invalid(field="rows", value=str(self.row_bound)[:40], limit=MAX_ROWS, reason="row_bound")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was found. `row_count` rows were compared; not `is_whole`: the bound was reached before the end."""

    question: Question
    row_count: int
    is_whole: bool
    is_inside: bool
    result: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Account:
    id: str
    code: str
    zone: str
    currency: str
    spans: tuple[Span, ...]


def run(session: Session, question: Question, *, progress: Progress | None = None) -> Outcome:
    """Rate the stretch again, in the session's snapshot. Reads only. Raises NotFound for an unknown account.

    `progress` is told the rows compared, of how many.
    """
    question = replace(question, account_ids=tuple(sorted(set(question.account_ids))))
    skus = {Item(sku.meter_code, sku.variant, sku.mode): sku.code for sku in session.scalars(select(Sku))}
    walk = _Walk(session, question, skus, progress)
    asked = _accounts(session, question.account_ids)
    for place in range(0, len(asked), _CHUNK):
        accounts = _with_spans(session, asked[place : place + _CHUNK])
        table = PriceTable.load(session, [account.id for account in accounts]).tried_with(
            question.candidate.prices,
            book_code=None if question.candidate.is_everywhere else question.candidate.book_code,
        )
        for account in accounts:
            walk.account(account, table)
    untried = question.candidate.untried
    return Outcome(
        question=question,
        row_count=walk.row_count,
        is_whole=not walk.is_cut,
        is_inside=not untried and shadow_result.is_inside(walk.found, question.limits),
        result={
            **shadow_result.content(walk.found, question.limits),
            "untried": list(untried),
            "is_everywhere": question.candidate.is_everywhere,
            "rows_read": walk.read_count,
        },
    )


def record(session: Session, outcome: Outcome, *, now: datetime, actor: str) -> Trial:
    """Keep an outcome as a trial: the one row a shadow rating writes, with the audit row of the act."""
    question = outcome.question
    return trials.record(
        session,
        now=now,
        book_code=question.candidate.book_code,
        content_hash=question.candidate.content_hash,
        price_book_id=question.candidate.price_book_id,
        from_at=question.from_at,
        to_at=question.to_at,
        scope={"account_ids": list(question.account_ids)},
        row_bound=question.row_bound,
        row_count=outcome.row_count,
        is_whole=outcome.is_whole,
        limits=question.limits,
        is_inside=outcome.is_inside,
        result=outcome.result,
        actor=actor,
    )


class _Walk:
    """One pass over the accounts' usage."""

    def __init__(self, session: Session, question: Question, skus: dict[Item, str], progress: Progress | None) -> None:
        self.found = Found()
        self.row_count = self.read_count = 0
        self.is_cut = False
        self._session = session
        self._question = question
        self._skus = skus
        self._progress = progress
        self._from_micros, self._to_micros = micros(question.from_at), micros(question.to_at)
        self._total = _count(session, question) if progress is not None else None

    def account(self, account: _Account, table: PriceTable) -> None:
        """Compare one account's rows; those of its periods outside the stretch only move its counters."""
        if self.is_cut:
            return
        candidate = self._question.candidate
        only = None
        if candidate.is_everywhere:
            only = frozenset(item for item, currency in candidate.items if currency == account.currency)
        sheet = Sheet(table, account_id=account.id, zone=account.zone, spans=account.spans, only=only)
        first = sheet.span_at(self._question.from_at)[0]
        last = sheet.span_at(self._question.to_at - _FINEST)[1]
        left = self._question.row_bound - self.read_count
        rows = self._session.connection().execute(
            _rows(self._session, account.id, price_locks.load(self._session, account.id), first, last)
            .limit(left + 1)
            .execution_options(yield_per=_BATCH)
        )
        for batch in rows.partitions():
            cut = batch[: max(0, left)]
            self.is_cut = len(cut) < len(batch)
            left -= len(cut)
            self.read_count += len(cut)
            self._compare(account, sheet, cut)
            if self._progress is not None:
                self._progress(self.row_count, self._total)
            if self.is_cut:
                rows.close()
                break
        self._sum_up(account, sheet)

    def _compare(self, account: _Account, sheet: Sheet, rows: Sequence[Any]) -> None:
        from_micros, to_micros = self._from_micros, self._to_micros
        bands, movers = self.found.bands, self.found.movers
        slots: dict[tuple[str, str, str, int], Tried] = {}
        same = 0
        for usage_id, meter_code, variant, mode, start_micros, priced_micros, quantity, amount in rows:
            used = (meter_code, variant, mode, priced_micros - start_micros and priced_micros)
            tried = slots.get(used)
            if tried is None or not tried.start_micros <= start_micros < tried.end_micros:
                tried = slots[used] = sheet.find(Item(meter_code, variant, mode), start_micros, priced_micros)
            quantity_base, is_compared = int(quantity), from_micros <= start_micros < to_micros
            new_micro, fault = None, "no_price"
            counter = tried.counter
            if counter is not None:
                after_base = counter.quantity_base + quantity_base
                if counter.rate_denominator:
                    after_micro = half_up(after_base * counter.rate_numerator, counter.rate_denominator)
                elif after_base < 0:
                    fault, after_micro = "below_zero", None
                else:
                    after_micro = cost_micro(counter.curve, after_base)
                if after_micro is not None:
                    new_micro = after_micro - counter.cost_micro
                    counter.cost_micro, counter.quantity_base = after_micro, after_base
            if not is_compared:
                continue
            if amount is None or new_micro is None:
                self._set_aside(account, tried, amount, new_micro, fault)
                continue
            old_micro = int(amount)
            tried.row_count += 1
            tried.old_micro += old_micro
            tried.new_micro += new_micro
            size = abs(new_micro - old_micro)
            if not size:
                same += 1
                continue
            bands[band_of(old_micro, new_micro)] += 1
            if size > movers.floor:
                movers.keep(
                    size,
                    usage_id,
                    mover(
                        content_hash=self._question.candidate.content_hash,
                        account_id=account.id,
                        usage_record_id=usage_id,
                        start_micros=start_micros,
                        quantity_base=quantity_base,
                        sku_code=self._sku_of(tried),
                        currency=account.currency,
                        old_micro=old_micro,
                        new_micro=new_micro,
                    ),
                )
        bands[band_of(0, 0)] += same

    def _set_aside(
        self, account: _Account, tried: Tried, amount: str | None, new_micro: int | None, fault: str
    ) -> None:
        """A row that only one side has a price for; what waits on both sides says nothing about the candidate."""
        if amount is not None:
            key = (_name(tried.item), fault, account.currency)
            self.found.unpriced.setdefault(key, Side()).add(1, int(amount), 0)
            tried.row_count += 1
            tried.old_micro += int(amount)
        elif new_micro is not None:
            self.found.waiting.setdefault((self._sku_of(tried), account.currency), Side()).add(1, 0, new_micro)

    def _sum_up(self, account: _Account, sheet: Sheet) -> None:
        side = Side()
        for tried in sheet.tried:
            if tried.row_count:
                side.add(tried.row_count, tried.old_micro, tried.new_micro)
                key = (self._sku_of(tried), account.currency)
                self.found.skus.setdefault(key, Side()).add(tried.row_count, tried.old_micro, tried.new_micro)
        if side.row_count:
            self.found.accounts.append(
                AccountSide(account_id=account.id, code=account.code, currency=account.currency, side=side)
            )
        self.row_count += side.row_count

    def _sku_of(self, tried: Tried) -> str:
        if tried.counter is not None:
            return tried.counter.price.sku_code
        return self._skus.get(tried.item) or self._skus.get(tried.item.of_any_variant) or _name(tried.item)


def _accounts(session: Session, account_ids: tuple[str, ...]) -> list[tuple[str, str, str, str]]:
    query = (
        select(BillingAccount.id, BillingAccount.code, BillingAccount.zone, BillingAccount.currency)
        .join(AccountHead, AccountHead.billing_account_id == BillingAccount.id)
        .where(BillingAccount.kind != "house")
        .order_by(BillingAccount.id)
    )
    if not account_ids:
        return [
            (id_, code, zone, currency)
            for id_, code, zone, currency in session.execute(query.where(AccountHead.usage_seq > 0))
        ]
    for account_id in account_ids:
        if not names.is_safe(account_id):
            raise NotFound(account_id=names.shown(account_id))
    found = [
        (id_, code, zone, currency)
        for id_, code, zone, currency in session.execute(query.where(BillingAccount.id.in_(account_ids)))
    ]
    missing = set(account_ids) - {row[0] for row in found}
    if missing:
        raise NotFound(account_id=min(missing))
    return found


def _with_spans(session: Session, rows: Sequence[tuple[str, str, str, str]]) -> list[_Account]:
    spans: dict[str, list[Span]] = {}
    for account_id, start_at, end_at in session.execute(
        select(BillingPeriod.billing_account_id, BillingPeriod.start_at, BillingPeriod.end_at)
        .where(BillingPeriod.billing_account_id.in_([row[0] for row in rows]))
        .order_by(BillingPeriod.start_at)
    ):
        spans.setdefault(account_id, []).append((start_at, end_at))
    return [
        _Account(id=account_id, code=code, zone=zone, currency=currency, spans=tuple(spans.get(account_id, ())))
        for account_id, code, zone, currency in rows
    ]


def _rows(session: Session, account_id: str, locks: Locks, first_at: datetime, last_at: datetime) -> Any:
    """(usage id, meter, variant, mode, start, instant of its price, quantity, amount of its line or None) in the order of rating.

    What was never rated comes last.
    """
    start_micros = priced_micros = plain.micros(session, UsageRecord.start_at)
    if locks.spans:
        priced_micros = plain.micros(session, locks.priced_at())
    rows = (
        select(
            UsageRecord.id,
            UsageRecord.meter_code,
            UsageRecord.variant,
            UsageRecord.mode,
            start_micros,
            priced_micros,
            plain.integer_text(session, UsageRecord.quantity_base),
            plain.integer_text(session, RatedLine.amount_micro),
        )
        .outerjoin(RatedLine, RatedLine.usage_record_id == UsageRecord.id)
        .where(
            UsageRecord.billing_account_id == account_id,
            UsageRecord.start_at >= first_at,
            UsageRecord.start_at < last_at,
        )
        .order_by(RatedLine.line_seq.nulls_last(), UsageRecord.usage_seq)
    )
    return rows.outerjoin(Allocation, Allocation.id == UsageRecord.allocation_id) if locks.spans else rows


def _count(session: Session, question: Question) -> int:
    query = select(func.count()).where(UsageRecord.start_at >= question.from_at, UsageRecord.start_at < question.to_at)
    if question.account_ids:
        query = query.where(UsageRecord.billing_account_id.in_(question.account_ids))
    return min(session.execute(query).scalar_one(), question.row_bound)


def _name(item: Item) -> str:
    """An item as text: "gpu_hour h100 reserved"."""
    return " ".join(
        part for part in (item.meter_code, item.variant, "" if item.mode == ON_DEMAND else item.mode) if part
    )
