"""Movements at the provider as pages and files show them: small frozen rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from billing.accounts import names
from billing.accounts.tables import BillingAccount
from billing.kernel.errors import NotFound
from billing.ledger.tables import LedgerTransaction
from billing.payments.cash import meanings
from billing.payments.cash.tables import BalanceExplanation, BalanceTransaction, Payout
from billing.payments.tables import Payment, RefundRequest

STATES = ("waiting", "explained", "booked", "finding")
_BATCH = 1_000
_OWN, _TAKER = aliased(Payout), aliased(Payout)


@dataclass(frozen=True, kw_only=True)
class MovementRow:
    """One movement, signed: into the balance is positive. `payout_id` is the payout that it is of, `taken_by_id` the one that paid it
    out (both ours). `reason` is a stable word; `is_bookable`: two persons may book it."""

    id: str
    provider: str
    provider_id: str
    type: str
    words: str
    category: str
    description: str | None
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    exchange_rate: str | None
    presented_minor: int
    presented_currency: str
    source_kind: str | None
    source_id: str | None
    payment_ref: str | None
    refund_ref: str | None
    dispute_ref: str | None
    payout_ref: str | None
    created_at: datetime
    available_at: datetime
    read_at: datetime
    state: str
    reason: str | None
    pair_id: str | None
    payment_id: str | None
    session_id: str | None
    account_id: str | None
    account_code: str | None
    refund_id: str | None
    payout_id: str | None
    taken_by_id: str | None
    taken_by_ref: str | None

    @property
    def is_converted(self) -> bool:
        """Whether the provider changed the currency."""
        return self.presented_currency != self.currency

    @property
    def is_bookable(self) -> bool:
        """Whether it has one fixed meaning that two persons may book."""
        return self.state in ("waiting", "finding") and self.type in meanings.BY_TYPE and self.net_minor != 0


@dataclass(frozen=True, kw_only=True)
class ExplanationRow:
    """A ledger transaction that explains a movement: `part` is whole, fee or conversion."""

    transaction_id: str
    part: str
    type: str
    account_id: str
    account_code: str
    is_house: bool
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which movements: what is None does not limit. `payout` is ours: its own movements and those that it paid out. `text` is any id
    that a movement carries, of the provider or ours."""

    state: str | None = None
    type: str | None = None
    currency: str | None = None
    payout: str | None = None
    text: str | None = None


def list_movements(session: Session, filters: Filters, *, limit: int = 50, offset: int = 0) -> list[MovementRow]:
    """The newest first."""
    return [_row(found) for found in session.execute(_ordered(filters).limit(limit).offset(offset))]


def count_movements(session: Session, filters: Filters) -> int:
    """How many meet the filters."""
    query = _filtered(select(func.count()).select_from(_joined()), filters)
    return int(session.execute(query).scalar_one())


def iterate(session: Session, filters: Filters) -> Iterator[MovementRow]:
    """All that meet the filters, the newest first; memory holds one batch."""
    for found in session.execute(_ordered(filters).execution_options(yield_per=_BATCH)):
        yield _row(found)


def get_movement(session: Session, movement_id: str) -> MovementRow:
    """One, by our id or the provider's. Raises NotFound."""
    found = None
    if names.is_safe(movement_id):
        is_it = (BalanceTransaction.id == movement_id) | (BalanceTransaction.provider_id == movement_id)
        found = session.execute(_select().where(is_it).limit(1)).first()
    if found is None:
        raise NotFound(kind="balance_transaction", id=names.shown(movement_id))
    return _row(found)


def find_partner(session: Session, movement_id: str) -> MovementRow | None:
    """The movement that took this one back, or None."""
    query = _select().where(BalanceTransaction.pair_id == movement_id, BalanceTransaction.id != movement_id)
    found = session.execute(query.limit(1)).first()
    return None if found is None else _row(found)


def list_explanations(session: Session, movement_id: str) -> list[ExplanationRow]:
    """The ledger transactions that explain a movement, in the order in which they were recorded."""
    query = (
        select(
            BalanceExplanation.transaction_id,
            BalanceExplanation.part,
            LedgerTransaction.type,
            LedgerTransaction.billing_account_id.label("account_id"),
            BillingAccount.code.label("account_code"),
            BillingAccount.kind.label("kind"),
            LedgerTransaction.recorded_at,
        )
        .join(LedgerTransaction, LedgerTransaction.id == BalanceExplanation.transaction_id)
        .join(BillingAccount, BillingAccount.id == LedgerTransaction.billing_account_id)
        .where(BalanceExplanation.balance_transaction_id == movement_id)
        .order_by(LedgerTransaction.recorded_at, LedgerTransaction.id)
    )
    return [
        ExplanationRow(
            transaction_id=row.transaction_id,
            part=row.part,
            type=row.type,
            account_id=row.account_id,
            account_code=row.account_code,
            is_house=row.kind == "house",
            recorded_at=row.recorded_at,
        )
        for row in session.execute(query)
    ]


def list_types(session: Session) -> list[tuple[str, str]]:
    """(type, words) of every type there is, by its words."""
    found = session.execute(select(BalanceTransaction.type).distinct()).scalars()
    return sorted(((type, meanings.words_of(type)) for type in found), key=lambda pair: (pair[1], pair[0]))


def list_currencies(session: Session) -> list[str]:
    """Every currency that something moved in."""
    return sorted(session.execute(select(BalanceTransaction.currency).distinct()).scalars())


def _select() -> Select[*tuple[Any, ...]]:
    return select(
        BalanceTransaction,
        Payment.session_id,
        func.coalesce(Payment.billing_account_id, RefundRequest.billing_account_id),
        BillingAccount.code,
        _OWN.id,
        _TAKER.id,
        _TAKER.provider_id,
    ).select_from(_joined())


def _joined() -> Any:
    table = BalanceTransaction.__table__
    own = (_OWN.provider == BalanceTransaction.provider) & (_OWN.provider_id == BalanceTransaction.payout_ref)
    taker = (_TAKER.provider == BalanceTransaction.provider) & (_TAKER.provider_id == BalanceTransaction.paid_out_by)
    return (
        table.outerjoin(Payment, Payment.id == BalanceTransaction.payment_id)
        .outerjoin(RefundRequest, RefundRequest.id == BalanceTransaction.refund_id)
        .outerjoin(
            BillingAccount,
            BillingAccount.id == func.coalesce(Payment.billing_account_id, RefundRequest.billing_account_id),
        )
        .outerjoin(_OWN, own)
        .outerjoin(_TAKER, taker)
    )


def _ordered(filters: Filters) -> Select[*tuple[Any, ...]]:
    query = _filtered(_select(), filters)
    return query.order_by(BalanceTransaction.created_at.desc(), BalanceTransaction.id.desc())


def _filtered(query: Select[*tuple[Any, ...]], filters: Filters) -> Select[*tuple[Any, ...]]:
    wanted = {
        BalanceTransaction.state: filters.state,
        BalanceTransaction.type: filters.type,
        BalanceTransaction.currency: filters.currency,
    }
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    if filters.payout is not None:
        query = query.where(or_(_OWN.id == filters.payout, _TAKER.id == filters.payout))
    if filters.text is not None:
        columns = ("id", "provider_id", "source_id", "payment_ref", "refund_ref", "dispute_ref", "payout_ref")
        ours = (BalanceTransaction.payment_id, BalanceTransaction.refund_id, BillingAccount.code)
        named = (getattr(BalanceTransaction, name) for name in columns)
        query = query.where(or_(*(column == filters.text for column in (*named, *ours))))
    return query


def _row(found: Any) -> MovementRow:
    row, session_id, account_id, account_code, payout_id, taken_by_id, taken_by_ref = found
    own = {name: getattr(row, name) for name in MovementRow.__dataclass_fields__ if hasattr(row, name)}
    return MovementRow(
        **own,
        words=meanings.words_of(row.type, is_dispute=row.dispute_ref is not None),
        session_id=session_id,
        account_id=account_id,
        account_code=account_code,
        payout_id=payout_id,
        taken_by_id=taken_by_id,
        taken_by_ref=taken_by_ref,
    )
