"""From usage to the ledger: usage that is not rated, rated lines that are not posted, postings that the ledger does not hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, case, func, or_, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead, BillingAccount
from billing.assurance import streams
from billing.assurance.reconciliation_tally import Scope, Stage, shown
from billing.assurance.report import count
from billing.kernel.clock import to_rfc3339
from billing.kernel.periods import label_of
from billing.kernel.rounding import half_up
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.metering.tables import UsageRecord
from billing.rating import plain
from billing.rating.tables import BillingPeriod, Charge, Posting, RatedLine, UnratedUsage

POSTING_KINDS = ("usage_debit", "opening_charge", "closing_charge")
_U = cast(Table, UsageRecord.__table__)
_HALF_MINOR_MICRO = 500_000


@dataclass(kw_only=True)
class _Waiting:
    """Rows of one account, month and reason that have not reached the next stage."""

    first_id: str
    oldest_at: datetime
    rows: int = 0
    micro: int = 0

    def add(self, at: datetime, micro: int = 0) -> None:
        self.rows += 1
        self.micro += micro
        self.oldest_at = min(self.oldest_at, at)


def usage_rated(session: Session, stage: Stage, scope: Scope) -> None:
    """Every usage record is rated by a line of its quantity, or waits for a reason that is named.

    Looks at every record that the scope covers. What waits is one difference per account, month, meter and reason.
    """
    stage.look(_usage_count(session, scope))
    _waiting_usage(session, stage, scope)
    _unlooked_usage(session, stage, scope)
    _wrong_usage(session, stage, scope)


def _usage_count(session: Session, scope: Scope) -> int:
    if scope.period_label is None:
        return count(session, select(func.count()).select_from(_U))
    rated = (
        select(func.count(RatedLine.id))
        .join(Charge, Charge.id == RatedLine.charge_id)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .where(BillingPeriod.label == scope.period_label)
    )
    return count(session, rated)


def _usage_columns() -> tuple[Any, ...]:
    return (
        _U.c.id,
        _U.c.billing_account_id,
        _U.c.meter_code,
        _U.c.start_at,
        _U.c.recorded_at,
        BillingAccount.zone,
    )


def _waiting_usage(session: Session, stage: Stage, scope: Scope) -> None:
    statement = (
        select(*_usage_columns(), UnratedUsage.reason, UnratedUsage.since_at)
        .join(UnratedUsage, UnratedUsage.usage_record_id == _U.c.id)
        .join(BillingAccount, BillingAccount.id == _U.c.billing_account_id)
        .order_by(_U.c.billing_account_id, _U.c.usage_seq)
    )
    groups: dict[tuple[str, str, str, str], _Waiting] = {}
    for row in streams.stream(session, statement):
        period = label_of(row.start_at, "month", row.zone)
        if scope.covers(period):
            stage.look(0 if scope.period_label is None else 1)
            key = (row.billing_account_id, period, row.meter_code, row.reason)
            groups.setdefault(key, _Waiting(first_id=row.id, oldest_at=row.since_at)).add(row.since_at)
    for (account_id, period, meter, reason), waiting in groups.items():
        stage.differ(
            ("usage", f"{meter}/{reason}"),
            f"{waiting.rows} usage records of {meter} in {period} are not rated: {reason}",
            account=account_id,
            period=period,
            reason=reason,
            meter=meter,
            rows=waiting.rows,
            first_usage_id=waiting.first_id,
            since=to_rfc3339(waiting.oldest_at),
        )


def _unlooked_usage(session: Session, stage: Stage, scope: Scope) -> None:
    """Records behind what rating has looked at: under way when they are young, else left behind."""
    statement = (
        select(*_usage_columns())
        .join(AccountHead, AccountHead.billing_account_id == _U.c.billing_account_id)
        .join(BillingAccount, BillingAccount.id == _U.c.billing_account_id)
        .where(_U.c.usage_seq > AccountHead.rated_usage_seq)
        .order_by(_U.c.billing_account_id, _U.c.usage_seq)
    )
    groups: dict[tuple[str, str, str], _Waiting] = {}
    for row in streams.stream(session, statement):
        period = label_of(row.start_at, "month", row.zone)
        if not scope.covers(period):
            continue
        stage.look(0 if scope.period_label is None else 1)
        if row.recorded_at > scope.late_before:
            stage.under_way += 1
            continue
        key = (row.billing_account_id, period, row.meter_code)
        groups.setdefault(key, _Waiting(first_id=row.id, oldest_at=row.recorded_at)).add(row.recorded_at)
    for (account_id, period, meter), waiting in groups.items():
        stage.differ(
            ("usage", f"{meter}/not_looked_at"),
            f"{waiting.rows} usage records of {meter} in {period} were never looked at by rating",
            account=account_id,
            period=period,
            reason="not_looked_at",
            meter=meter,
            rows=waiting.rows,
            first_usage_id=waiting.first_id,
            since=to_rfc3339(waiting.oldest_at),
        )


def _wrong_usage(session: Session, stage: Stage, scope: Scope) -> None:
    """Records that rating passed without a line, and lines that count another quantity or another account's usage."""
    lost = RatedLine.id.is_(None) & UnratedUsage.usage_record_id.is_(None)
    other = or_(RatedLine.quantity_base != _U.c.quantity_base, RatedLine.billing_account_id != _U.c.billing_account_id)
    statement = (
        select(
            *_usage_columns(),
            _U.c.quantity_base,
            RatedLine.id.label("line_id"),
            RatedLine.quantity_base.label("rated_base"),
            RatedLine.currency,
        )
        .outerjoin(RatedLine, RatedLine.usage_record_id == _U.c.id)
        .outerjoin(UnratedUsage, UnratedUsage.usage_record_id == _U.c.id)
        .join(AccountHead, AccountHead.billing_account_id == _U.c.billing_account_id)
        .join(BillingAccount, BillingAccount.id == _U.c.billing_account_id)
        .where(_U.c.usage_seq <= AccountHead.rated_usage_seq, or_(lost, other))
        .order_by(_U.c.id)
    )
    for row in streams.stream(session, statement):
        period = label_of(row.start_at, "month", row.zone)
        if not scope.covers(period):
            continue
        if row.line_id is None:
            sentence = f"Usage record {row.id} was passed by rating without a line: it would never be billed"
        else:
            sentence = f"Usage record {row.id} counts {row.quantity_base}, its rated line {row.line_id} counts {row.rated_base}"
        stage.differ(
            ("usage_record", row.id),
            sentence,
            account=row.billing_account_id,
            currency=row.currency,
            period=period,
            reason="lost" if row.line_id is None else "other_quantity",
            usage_base=str(row.quantity_base),
            rated_base=None if row.line_id is None else str(row.rated_base),
        )


@dataclass(kw_only=True)
class _Rated:
    """What the lines of one charge add up to: those that were posted, and those that wait."""

    charge_id: str
    rows: int = 0
    posted_rows: int = 0
    posted_base: int = 0
    posted_micro: int = 0
    waiting: list[tuple[datetime, int]] = field(default_factory=list)


def rated_posted(session: Session, stage: Stage, scope: Scope) -> None:
    """What the rated lines of a charge add up to is what its last posting holds, in quantity and, once rounded, in money (Law 2).

    Looks at every rated line. Lines behind what was posted are one difference per account, currency and month.
    """
    lines = (
        select(
            RatedLine.charge_id,
            plain.integer_text(session, RatedLine.quantity_base).label("base"),
            plain.integer_text(session, RatedLine.amount_micro).label("micro"),
            RatedLine.rated_at,
            (RatedLine.line_seq <= AccountHead.posted_line_seq).label("is_posted"),
        )
        .join(AccountHead, AccountHead.billing_account_id == RatedLine.billing_account_id)
        .order_by(RatedLine.charge_id, RatedLine.line_seq)
    )
    charges = (
        select(
            Charge.id,
            Charge.billing_account_id,
            Charge.currency,
            Charge.posted_minor,
            BillingPeriod.label,
            Posting.posted_minor.label("after_minor"),
            Posting.quantity_base.label("at_base"),
        )
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .outerjoin(Posting, (Posting.charge_id == Charge.id) & (Posting.seq == Charge.posting_seq))
        .order_by(Charge.id)
    )
    if scope.period_label is not None:
        charges = charges.where(BillingPeriod.label == scope.period_label)
        lines = (
            lines.join(Charge, Charge.id == RatedLine.charge_id)
            .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
            .where(BillingPeriod.label == scope.period_label)
        )
    late: dict[tuple[str, str, str], _Waiting] = {}
    rated = _by_charge(streams.stream(session, lines))
    current = next(rated, None)
    for charge in streams.stream(session, charges):
        own = _Rated(charge_id=charge.id)
        if current is not None and current.charge_id == charge.id:
            own, current = current, next(rated, None)
        stage.look(own.rows)
        _compare_charge(stage, charge, own)
        for at, micro in own.waiting:
            if at > scope.late_before:
                stage.under_way += 1
                continue
            key = (charge.billing_account_id, charge.currency, charge.label)
            late.setdefault(key, _Waiting(first_id=charge.id, oldest_at=at)).add(at, micro)
    for (account_id, currency, period), waiting in late.items():
        stage.differ(
            ("rated_lines", "not_posted"),
            f"{waiting.rows} rated lines of {period} are not posted: {shown(half_up(waiting.micro, 1_000_000), currency)}",
            account=account_id,
            currency=currency,
            period=period,
            rows=waiting.rows,
            amount_micro=str(waiting.micro),
            first_charge_id=waiting.first_id,
            since=to_rfc3339(waiting.oldest_at),
        )


def _by_charge(rows: streams.Rows) -> Iterator[_Rated]:
    """The lines of each charge, summed as they pass; only those that wait are held."""
    current: _Rated | None = None
    for charge_id, base, micro, rated_at, is_posted in rows:
        if current is None or current.charge_id != charge_id:
            if current is not None:
                yield current
            current = _Rated(charge_id=charge_id)
        current.rows += 1
        if is_posted:
            current.posted_rows += 1
            current.posted_base += int(base)
            current.posted_micro += int(micro)
        else:
            current.waiting.append((rated_at, int(micro)))
    if current is not None:
        yield current


def _compare_charge(stage: Stage, charge: Any, own: _Rated) -> None:
    at_base, after_minor = charge.at_base or 0, charge.after_minor or 0
    stage.add(charge.currency, rated_micro=own.posted_micro, posted_minor=after_minor)
    facts = {
        "rated_base": str(own.posted_base),
        "posted_base": str(at_base),
        "rated_micro": str(own.posted_micro),
        "posted_minor": after_minor,
        "charge_minor": charge.posted_minor,
    }
    if own.posted_base != at_base:
        sentence = f"Charge {charge.id}: its posted lines count {own.posted_base}, its last posting {at_base}"
    elif abs(after_minor * 1_000_000 - own.posted_micro) > _HALF_MINOR_MICRO + own.posted_rows + 1:
        exact = shown(half_up(own.posted_micro, 1_000_000), charge.currency)
        sentence = f"Charge {charge.id}: its lines come to {exact}, posted are {shown(after_minor, charge.currency)}"
    elif after_minor != charge.posted_minor:
        said = shown(charge.posted_minor, charge.currency)
        sentence = f"Charge {charge.id} says {said}, its last posting {shown(after_minor, charge.currency)}"
    else:
        return
    stage.differ(
        ("charge", charge.id),
        sentence,
        account=charge.billing_account_id,
        currency=charge.currency,
        period=charge.label,
        **facts,
    )


def posted_ledger(session: Session, stage: Stage, scope: Scope) -> None:
    """What the postings of each ledger transaction say they added is what its entries moved from unbilled to revenue.

    Looks at every posting and every entry that bills usage.
    """
    postings = (
        select(
            Posting.transaction_id,
            Posting.currency,
            func.sum(Posting.increment_minor).label("minor"),
            func.count().label("rows"),
            func.min(BillingPeriod.label).label("label"),
            func.min(Charge.billing_account_id).label("account_id"),
        )
        .join(Charge, Charge.id == Posting.charge_id)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .group_by(Posting.transaction_id, Posting.currency)
        .order_by(Posting.transaction_id, Posting.currency)
    )
    signed = case((LedgerEntry.debit_owner == LedgerEntry.billing_account_id, 1), else_=-1) * LedgerEntry.amount_minor
    entries = (
        select(
            LedgerEntry.transaction_id,
            LedgerEntry.currency,
            func.sum(signed).label("minor"),
            func.count().label("rows"),
            func.min(LedgerEntry.billing_account_id).label("account_id"),
        )
        .where(LedgerEntry.kind.in_(POSTING_KINDS))
        .group_by(LedgerEntry.transaction_id, LedgerEntry.currency)
        .order_by(LedgerEntry.transaction_id, LedgerEntry.currency)
    )
    for key, posted, moved in streams.beside(
        streams.stream(session, postings), streams.stream(session, entries), lambda row: (row[0], row[1])
    ):
        transaction_id, currency = key
        label = posted.label if posted is not None else _label_of(session, transaction_id)
        if not scope.covers(label):
            continue
        posted_minor = int(posted.minor) if posted is not None else 0
        ledger_minor = int(moved.minor) if moved is not None else 0
        stage.look(sum(side.rows for side in (posted, moved) if side is not None))
        stage.add(currency, posted_minor=posted_minor, ledger_minor=ledger_minor)
        if posted_minor != ledger_minor:
            stage.differ(
                ("ledger_transaction", transaction_id),
                f"Ledger transaction {transaction_id} moved {shown(ledger_minor, currency)}, "
                f"its postings say {shown(posted_minor, currency)}",
                account=(moved or posted).account_id,
                currency=currency,
                period=label,
                posted_minor=posted_minor,
                ledger_minor=ledger_minor,
            )


def _label_of(session: Session, transaction_id: str) -> str:
    """The month of a transaction that bills usage and has no posting: that of the day it speaks of."""
    row = session.execute(
        select(LedgerTransaction.occurred_at, BillingAccount.zone)
        .join(BillingAccount, BillingAccount.id == LedgerTransaction.billing_account_id)
        .where(LedgerTransaction.id == transaction_id)
    ).one()
    return label_of(row.occurred_at, "month", row.zone)
