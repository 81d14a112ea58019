"""Billing periods: the month of one account in its zone, opened when usage first falls into it; and which charges it bills."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead, BillingAccount
from billing.catalog.tables import Meter, PriceVersion, Sku
from billing.kernel import periods as calendar
from billing.kernel.ids import new_id
from billing.rating.errors import ChargeClosed, UnpostedLines
from billing.rating.tables import BillingPeriod, Charge, Counter

_CHUNK = 1_000


@dataclass(frozen=True, kw_only=True)
class ChargeToInvoice:
    """One future invoice line: `amount_minor` is what the ledger holds of it, its exact amount rounded once (Law 2)."""

    charge_id: str
    billing_period_id: str
    period_label: str
    is_late: bool  # of an earlier period that is already invoiced
    generation: int
    sku_code: str
    sku_name: str
    family: str
    meter_code: str
    unit: str
    base_per_unit: int
    project_id: str | None
    price_version_id: str
    model: str
    parameters: dict[str, Any]
    currency: str
    before_base: int
    quantity_base: int
    amount_minor: int


def period_at(session: Session, account: BillingAccount, instant: datetime) -> BillingPeriod:
    """The account's billing period that holds the instant, opened if need be. The caller holds the account's lock.

    Both instants are stored when it opens. The month after a stored one starts where that ended, also after a change of zone:
    no instant is billed twice and none falls between two periods.
    """
    owned = select(BillingPeriod).where(BillingPeriod.billing_account_id == account.id)
    started = owned.where(BillingPeriod.start_at <= instant).order_by(BillingPeriod.start_at.desc()).limit(1)
    before = session.scalars(started).first()
    if before is not None and instant < before.end_at:
        return before
    later = owned.where(BillingPeriod.start_at > instant).order_by(BillingPeriod.start_at).limit(1)
    opened = _month_between(account, instant, before, session.scalars(later).first())
    session.add(opened)
    session.flush()  # counters refer to it
    return opened


def _month_between(
    account: BillingAccount, instant: datetime, before: BillingPeriod | None, after: BillingPeriod | None
) -> BillingPeriod:
    label = calendar.label_of(instant, "month", account.zone)
    if before is not None:
        label = max(label, _shifted(before.label, 1))
    if after is not None:
        label = min(label, _shifted(after.label, -1))
    month = calendar.month(label, account.zone)
    start_at, end_at = month.start_at, month.end_at
    if before is not None and (before.end_at > start_at or before.label == _shifted(label, -1)):
        start_at = before.end_at
    if after is not None and (after.start_at < end_at or after.label == _shifted(label, 1)):
        end_at = after.start_at
    return BillingPeriod(id=new_id("bpd"), billing_account_id=account.id, label=label, start_at=start_at, end_at=end_at)


def _shifted(label: str, months: int) -> str:
    year, month = divmod(int(label[:4]) * 12 + int(label[5:]) - 1 + months, 12)
    return f"{year:04d}-{month + 1:02d}"


def find_period(session: Session, account_id: str, label: str) -> BillingPeriod | None:
    """The account's period of that label ("2016-12"), None where nothing was ever used in it."""
    return session.scalars(
        select(BillingPeriod).where(BillingPeriod.billing_account_id == account_id, BillingPeriod.label == label)
    ).first()


def list_periods(session: Session, account_id: str) -> Sequence[BillingPeriod]:
    """All periods of the account, newest first."""
    return session.scalars(
        select(BillingPeriod)
        .where(BillingPeriod.billing_account_id == account_id)
        .order_by(BillingPeriod.start_at.desc())
    ).all()


def charges_to_invoice(session: Session, period: BillingPeriod) -> list[ChargeToInvoice]:
    """The open charges that this period's invoice bills, with late ones of earlier invoiced periods; in the order of its lines.

    The caller holds the account's lock. Raises UnpostedLines while the ledger does not hold all that was rated.
    """
    head = session.get_one(AccountHead, period.billing_account_id)
    if head.posted_line_seq != head.line_seq:
        raise UnpostedLines(
            billing_account_id=period.billing_account_id, line_seq=head.line_seq, posted_line_seq=head.posted_line_seq
        )
    rows = session.execute(
        select(Charge, Counter, BillingPeriod, PriceVersion, Sku, Meter)
        .join(Counter, Counter.id == Charge.counter_id)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .join(PriceVersion, PriceVersion.id == Counter.price_version_id)
        .join(Sku, Sku.code == Charge.sku_code)
        .join(Meter, Meter.code == Sku.meter_code)
        .where(
            BillingPeriod.billing_account_id == period.billing_account_id,
            Charge.draft_id.is_(None),
            (BillingPeriod.id == period.id)
            | ((BillingPeriod.start_at < period.start_at) & BillingPeriod.invoiced_at.is_not(None)),
        )
        .order_by(
            BillingPeriod.start_at,
            Charge.currency,
            Charge.sku_code,
            Counter.segment_start_at,
            Charge.project_key,
            Charge.generation,
        )
    ).all()
    return [
        ChargeToInvoice(
            charge_id=charge.id,
            billing_period_id=of.id,
            period_label=of.label,
            is_late=of.id != period.id,
            generation=charge.generation,
            sku_code=sku.code,
            sku_name=sku.name,
            family=sku.family,
            meter_code=meter.code,
            unit=meter.unit,
            base_per_unit=meter.base_per_unit,
            project_id=charge.project_key or None,
            price_version_id=counter.price_version_id,
            model=price.model,
            parameters=price.parameters,
            currency=charge.currency,
            before_base=charge.before_base,
            quantity_base=charge.quantity_base,
            amount_minor=charge.posted_minor,
        )
        for charge, counter, of, price, sku, meter in rows
    ]


def close_charges(session: Session, charge_ids: Iterable[str], draft_id: str) -> int:
    """Give open charges to a draft: no line is added to them any more, later usage opens the next generation. Their number.

    The caller holds the account's lock. Raises ChargeClosed when another draft has one of them.
    """
    wanted = list(charge_ids)
    for start in range(0, len(wanted), _CHUNK):
        some = wanted[start : start + _CHUNK]
        is_open = Charge.id.in_(some) & Charge.draft_id.is_(None)
        closed = session.execute(update(Charge).where(is_open).values(draft_id=draft_id).returning(Charge.id)).all()
        if len(closed) != len(some):
            other = select(Charge).where(Charge.id.in_(some), Charge.draft_id != draft_id)
            charge = session.scalars(other.limit(1).execution_options(populate_existing=True)).one()
            raise ChargeClosed(charge_id=charge.id, draft_id=charge.draft_id)
    return len(wanted)


def reopen(session: Session, draft_id: str) -> int:
    """Take the charges back from a voided draft; their number. The caller holds the account's lock."""
    found = session.execute(
        update(Charge).where(Charge.draft_id == draft_id).values(draft_id=None).returning(Charge.id)
    ).all()
    return len(found)


def mark_invoiced(session: Session, period: BillingPeriod, *, now: datetime) -> None:
    """Say that the period's invoice is issued: from now on its usage is late. The caller holds the account's lock."""
    if period.invoiced_at is None:
        period.invoiced_at = now
        session.flush()
