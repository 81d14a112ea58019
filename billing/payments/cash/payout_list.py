"""Payouts to the bank as pages show them, with what automatic ones contain."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.kernel.errors import NotFound
from billing.payments.cash import meanings
from billing.payments.cash.tables import BalanceTransaction, Payout

STATES = ("pending", "in_transit", "paid", "failed", "canceled")


@dataclass(frozen=True, kw_only=True)
class PayoutRow:
    """One payout; `amount_minor` is above 0. `contents_read_at` is None while its contents are not known, for one by hand for ever."""

    id: str
    provider: str
    provider_id: str
    state: str
    amount_minor: int
    currency: str
    is_automatic: bool
    method: str | None
    destination: str | None
    statement_text: str | None
    trace: str | None
    failure_code: str | None
    failure: str | None
    arrives_on: date | None
    created_at: datetime
    updated_at: datetime
    contents_read_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ContentRow:
    """What one kind of movement adds to a payout: how many, their amounts, fees and nets."""

    type: str
    words: str
    count: int
    amount_minor: int
    fee_minor: int
    net_minor: int


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which payouts: what is None does not limit."""

    state: str | None = None
    currency: str | None = None


def list_payouts(session: Session, filters: Filters, *, limit: int = 50, offset: int = 0) -> list[PayoutRow]:
    """The newest first."""
    query = _filtered(select(Payout), filters).order_by(Payout.created_at.desc(), Payout.id.desc())
    return [_row(found) for found in session.scalars(query.limit(limit).offset(offset))]


def count_payouts(session: Session, filters: Filters) -> int:
    """How many meet the filters."""
    return int(session.execute(_filtered(select(func.count()).select_from(Payout), filters)).scalar_one())


def get_payout(session: Session, payout_id: str) -> PayoutRow:
    """One, by our id or the provider's. Raises NotFound."""
    found = None
    if names.is_safe(payout_id):
        is_it = (Payout.id == payout_id) | (Payout.provider_id == payout_id)
        found = session.scalars(select(Payout).where(is_it).limit(1)).first()
    if found is None:
        raise NotFound(kind="payout", id=names.shown(payout_id))
    return _row(found)


def list_contents(session: Session, payout: PayoutRow) -> list[ContentRow]:
    """What an automatic payout is made of, by kind of movement, without its own one: their nets sum to its amount and its
    own fee."""
    query = (
        select(
            BalanceTransaction.type,
            func.count(),
            func.sum(BalanceTransaction.amount_minor),
            func.sum(BalanceTransaction.fee_minor),
            func.sum(BalanceTransaction.net_minor),
        )
        .where(
            BalanceTransaction.provider == payout.provider,
            BalanceTransaction.paid_out_by == payout.provider_id,
            BalanceTransaction.payout_ref.is_distinct_from(payout.provider_id),
        )
        .group_by(BalanceTransaction.type)
        .order_by(BalanceTransaction.type)
    )
    return [
        ContentRow(
            type=type,
            words=meanings.words_of(type),
            count=int(count),
            amount_minor=int(amount),
            fee_minor=int(fee),
            net_minor=int(net),
        )
        for type, count, amount, fee, net in session.execute(query)
    ]


def fee_minor(session: Session, payout: PayoutRow) -> int:
    """What the provider took for the payout itself: 0 for most."""
    query = select(func.coalesce(func.sum(BalanceTransaction.fee_minor), 0)).where(
        BalanceTransaction.provider == payout.provider,
        BalanceTransaction.payout_ref == payout.provider_id,
        BalanceTransaction.paid_out_by == payout.provider_id,
    )
    return int(session.execute(query).scalar_one())


def list_currencies(session: Session) -> list[str]:
    """Every currency that was paid out."""
    return sorted(session.execute(select(Payout.currency).distinct()).scalars())


def _filtered(query: Select[*tuple[Any, ...]], filters: Filters) -> Select[*tuple[Any, ...]]:
    if filters.state is not None:
        query = query.where(Payout.state == filters.state)
    return query if filters.currency is None else query.where(Payout.currency == filters.currency)


def _row(found: Payout) -> PayoutRow:
    return PayoutRow(**{name: getattr(found, name) for name in PayoutRow.__dataclass_fields__})
