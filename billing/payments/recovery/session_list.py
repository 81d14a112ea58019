"""Payment sessions of all accounts as operators see them: a list with filters, and everything that hangs on one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.kernel import money
from billing.kernel.errors import NotFound
from billing.payments.tables import Payment, PaymentSession

Query = TypeVar("Query", bound=Select)  # type: ignore[type-arg]
STATES = ("created", "open", "unknown", "paid", "failed", "expired")
COUNTED_MAX = 10_000
_PAGE = 1_000


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which sessions. `amount` is in major units of whatever currency; the two times are the session's beginning, [from, to)."""

    state: str | None = None
    provider: str | None = None
    channel: str | None = None
    account_id: str | None = None
    amount: Decimal | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ListedSession:
    """One session with its account and what it brought. `channel` is checkout or off_session, `trigger` who began it."""

    id: str
    account_id: str
    account_code: str
    account_name: str
    provider: str
    channel: str
    trigger: str
    purpose: str
    invoice_id: str | None
    object_id: str | None
    amount_minor: int
    currency: str
    state: str
    failure: str | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    looked_up_at: datetime | None
    correlation_id: str | None
    payment_id: str | None
    provider_payment_id: str | None
    transaction_id: str | None
    method_label: str | None
    received_at: datetime | None
    refunded_minor: int


@dataclass(frozen=True, kw_only=True)
class Position:
    """Behind which row a list goes on: the row's time and id."""

    created_at: datetime
    id: str


def list_sessions(
    session: Session, filters: Filters, *, limit: int = 50, offset: int = 0, behind: Position | None = None
) -> list[ListedSession]:
    """The newest sessions that match; with `behind` those after that row, which stays right while new ones arrive."""
    query = _matching(_rows(), filters)
    if behind is not None:
        at = PaymentSession.created_at
        query = query.where(or_(at < behind.created_at, and_(at == behind.created_at, PaymentSession.id < behind.id)))
    query = query.order_by(PaymentSession.created_at.desc(), PaymentSession.id.desc())
    return [_row(*found) for found in session.execute(query.limit(limit).offset(offset)).all()]


def iterate(session: Session, filters: Filters) -> Iterator[ListedSession]:
    """All that match, newest first; memory holds one page of them."""
    behind: Position | None = None
    while True:
        page = list_sessions(session, filters, limit=_PAGE, behind=behind)
        yield from page
        if len(page) < _PAGE:
            return
        behind = Position(created_at=page[-1].created_at, id=page[-1].id)


def count_sessions(session: Session, filters: Filters) -> int:
    """How many match, at most COUNTED_MAX."""
    found = _matching(select(PaymentSession.id), filters).limit(COUNTED_MAX).subquery()
    return int(session.execute(select(func.count()).select_from(found)).scalar_one())


def get_session(session: Session, session_id: str) -> ListedSession:
    """One session of any account. Raises NotFound."""
    found = session.execute(_rows().where(PaymentSession.id == session_id)).one_or_none()
    if found is None:
        raise NotFound(payment_session_id=session_id[:80])
    return _row(*found)


def find_session(session: Session, session_id: str | None) -> str | None:
    """The id itself when there is such a session."""
    return session.execute(select(PaymentSession.id).where(PaymentSession.id == (session_id or ""))).scalar()


def find_session_of_payment(session: Session, provider_payment_id: str | None) -> str | None:
    """The session of a payment by the provider's id of it; None for bank money and for none."""
    query = select(Payment.session_id).where(Payment.provider_payment_id == (provider_payment_id or ""))
    return session.execute(query.limit(1)).scalar()


def find_session_of_object(session: Session, provider: str, object_id: str | None) -> str | None:
    """The session of a checkout or charge by the provider's id of it."""
    for column in (PaymentSession.provider_session_id, PaymentSession.provider_intent_id):
        query = select(PaymentSession.id).where(PaymentSession.provider == provider, column == (object_id or ""))
        found = session.execute(query.limit(1)).scalar()
        if found is not None:
            return found
    return None


def list_providers(session: Session) -> list[str]:
    """The providers that sessions name. Walks from one to the next by the unique index, not through the rows."""
    found: list[str] = []
    while True:
        query = select(func.min(PaymentSession.provider))
        name = session.execute(query.where(PaymentSession.provider > found[-1]) if found else query).scalar()
        if name is None:
            return found
        found.append(name)


def _matching(query: Query, filters: Filters) -> Query:
    for column, value in (
        (PaymentSession.state, filters.state),
        (PaymentSession.provider, filters.provider),
        (PaymentSession.channel, filters.channel),
        (PaymentSession.billing_account_id, filters.account_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if filters.amount is not None:
        query = query.where(_is_amount(filters.amount))
    if filters.from_at is not None:
        query = query.where(PaymentSession.created_at >= filters.from_at)
    if filters.to_at is not None:
        query = query.where(PaymentSession.created_at < filters.to_at)
    return query


def _is_amount(amount: Decimal) -> Any:
    """The amount in the minor units of each row's own currency."""
    by_exponent: dict[int, list[str]] = {}
    for code in money.currencies():
        by_exponent.setdefault(money.exponent(code), []).append(code)
    conditions = []
    for exponent, codes in by_exponent.items():
        minor = amount.scaleb(exponent)
        if minor == minor.to_integral_value() and abs(minor) <= money.MAX_MINOR:
            conditions.append(and_(PaymentSession.amount_minor == int(minor), PaymentSession.currency.in_(codes)))
    return or_(*conditions) if conditions else PaymentSession.amount_minor < 0


def _rows() -> Select[PaymentSession, Payment | None, str, str]:
    return (
        select(PaymentSession, Payment, BillingAccount.code, BillingAccount.name)
        .join(BillingAccount, BillingAccount.id == PaymentSession.billing_account_id)
        .outerjoin(Payment, Payment.session_id == PaymentSession.id)
    )


def _row(item: PaymentSession, payment: Payment | None, code: str, name: str) -> ListedSession:
    return ListedSession(
        id=item.id,
        account_id=item.billing_account_id,
        account_code=code,
        account_name=name,
        provider=item.provider,
        channel=item.channel,
        trigger=item.trigger,
        purpose=item.purpose,
        invoice_id=item.invoice_id,
        object_id=item.provider_session_id or item.provider_intent_id,
        amount_minor=item.amount_minor,
        currency=item.currency,
        state=item.state,
        failure=item.failure,
        created_by=item.created_by,
        created_at=item.created_at,
        updated_at=item.updated_at,
        looked_up_at=item.looked_up_at,
        correlation_id=item.correlation_id,
        payment_id=None if payment is None else payment.id,
        provider_payment_id=None if payment is None else payment.provider_payment_id,
        transaction_id=None if payment is None else payment.transaction_id,
        method_label=None if payment is None else payment.method_label,
        received_at=None if payment is None else payment.received_at,
        refunded_minor=0 if payment is None else payment.refunded_minor,
    )
