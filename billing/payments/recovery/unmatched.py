"""Payments that the provider holds and that are not credited here: kept until they are, or until somebody says why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.accounts.tables import BillingAccount
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.payments.providers.port import ListedPayment
from billing.payments.recovery.tables import ProviderListing, UnmatchedPayment
from billing.payments.tables import Payment, PaymentSession, ProviderCustomer
from billing.storage import audit, upsert

KINDS = ("foreign", "orphan", "uncredited")
STATES = ("open", "credited", "closed")
REASON_MAX = 500
_JOB = "job:recovery"


@dataclass(frozen=True, kw_only=True)
class UnmatchedRow:
    """One of them as operators see it.

    `account_id` is whose it probably is: the account of our session, or the one that the provider's customer is linked with. It is a
    hint and credits nothing.
    """

    id: str
    provider: str
    provider_payment_id: str
    kind: str
    state: str
    amount_minor: int
    currency: str
    reference: str | None
    customer_id: str | None
    source_id: str | None
    method_label: str | None
    paid_at: datetime
    is_given_back: bool
    reason: str | None
    session_id: str | None
    payment_id: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None
    account_id: str | None
    account_name: str | None


@dataclass(frozen=True, kw_only=True)
class ListingRow:
    """How far a provider's list of payments was read, when, how many payments it held and how many were news."""

    provider: str
    read_through_at: datetime
    ran_at: datetime
    read_count: int
    found_count: int


def keep(
    session: Session,
    *,
    now: datetime,
    provider: str,
    found: ListedPayment,
    kind: str,
    reason: str | None = None,
    session_id: str | None = None,
) -> bool:
    """Keep a payment that is paid there and not credited here, once; True when it is new. An ended one is not opened again."""
    payment = found.payment
    values = {
        "id": new_id("ump"),
        "provider": provider,
        "provider_payment_id": payment.id,
        "kind": kind,
        "state": "open",
        "amount_minor": payment.received.minor,
        "currency": payment.received.currency,
        "reference": found.reference,
        "customer_id": found.customer_id,
        "source_id": payment.source_id,
        "method_label": payment.method_label,
        "paid_at": payment.paid_at or found.created_at,
        "is_given_back": found.is_given_back or found.is_disputed,
        "reason": reason,
        "session_id": session_id,
        "first_seen_at": now,
        "last_seen_at": now,
    }
    statement = upsert.insert(session, UnmatchedPayment).values(values)
    seen = ("kind", "source_id", "method_label", "is_given_back", "reason", "session_id", "last_seen_at")
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["provider", "provider_payment_id"],
            set_={name: statement.excluded[name] for name in seen},
            where=UnmatchedPayment.state == "open",
        )
    )
    stored = session.execute(
        select(UnmatchedPayment.id).where(
            UnmatchedPayment.provider == provider, UnmatchedPayment.provider_payment_id == payment.id
        )
    ).scalar_one()
    if stored != values["id"]:
        return False
    _record(session, now, stored, "payment.unmatched", _JOB, {"kind": kind, "provider_payment_id": payment.id})
    return True


def find_open(session: Session, *, provider: str, payment_id: str) -> str | None:
    """Our id of the open one of that payment of the provider's, or None."""
    query = select(UnmatchedPayment.id).where(
        UnmatchedPayment.provider == provider,
        UnmatchedPayment.provider_payment_id == payment_id,
        UnmatchedPayment.state == "open",
    )
    return session.execute(query).scalar_one_or_none()


def note_given_back(session: Session, *, now: datetime, key: str) -> None:
    """Some of it went back to who had paid it: it cannot be credited to anybody any more. Locks it."""
    item = lock(session, key)
    if item.state == "open":
        item.is_given_back, item.last_seen_at = True, now
        session.flush()


def end_credited(session: Session, *, now: datetime, provider: str | None = None) -> int:
    """End the open ones that have been credited since; returns how many."""
    query = (
        select(UnmatchedPayment, Payment.id)
        .join(
            Payment,
            (Payment.provider == UnmatchedPayment.provider)
            & (Payment.provider_payment_id == UnmatchedPayment.provider_payment_id),
        )
        .where(UnmatchedPayment.state == "open")
    )
    if provider is not None:
        query = query.where(UnmatchedPayment.provider == provider)
    ended = session.execute(query).all()
    for item, payment_id in ended:
        _end(session, now, item, "credited", _JOB, None, payment_id)
    return len(ended)


def close(session: Session, *, now: datetime, key: str, reason: str, actor: str) -> UnmatchedRow:
    """Take one off the list without crediting it, with a reason. Raises NotFound, Invalid without a reason, Conflict (reason
    payment_credited)."""
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= REASON_MAX:
        raise Invalid(field="reason", reason="reason_missing", limit=REASON_MAX)
    reason = names.require_name(reason, "reason", max_length=REASON_MAX)
    item = lock(session, key)
    if item.state == "credited":
        raise Conflict(unmatched_payment_id=item.id, reason="payment_credited")
    if item.state == "open":
        _end(session, now, item, "closed", actor, reason, None)
    return get_row(session, item.id)


def end_linked(session: Session, *, now: datetime, item: UnmatchedPayment, payment_id: str, actor: str) -> None:
    """It has been credited to the account that two people chose."""
    _end(session, now, item, "credited", actor, None, payment_id)


def lock(session: Session, key: str) -> UnmatchedPayment:
    """One by our id, locked and read anew. Raises NotFound."""
    query = select(UnmatchedPayment).where(UnmatchedPayment.id == key).with_for_update()
    item = session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if item is None:
        raise NotFound(unmatched_payment_id=key[:80])
    return item


def get_row(session: Session, key: str) -> UnmatchedRow:
    """One by our id. Raises NotFound."""
    found = session.execute(_rows().where(UnmatchedPayment.id == key)).one_or_none()
    if found is None:
        raise NotFound(unmatched_payment_id=key[:80])
    return _row(*found)


def list_rows(
    session: Session, *, state: str | None = "open", kind: str | None = None, limit: int = 50, offset: int = 0
) -> list[UnmatchedRow]:
    """Those in a state, or all: open ones oldest first, others newest first."""
    query = _filtered(_rows(), state, kind)
    at = UnmatchedPayment.first_seen_at
    query = query.order_by(at if state == "open" else at.desc(), UnmatchedPayment.id).limit(limit).offset(offset)
    return [_row(*found) for found in session.execute(query).all()]


def count_rows(session: Session, *, state: str | None = "open", kind: str | None = None) -> tuple[int, datetime | None]:
    """How many there are, and since when the oldest is known."""
    query = _filtered(select(func.count(UnmatchedPayment.id), func.min(UnmatchedPayment.first_seen_at)), state, kind)
    count, oldest_at = session.execute(query).one()
    return int(count), oldest_at


def list_of_session(session: Session, session_id: str) -> list[UnmatchedRow]:
    """Those that name one payment session."""
    query = _rows().where(UnmatchedPayment.session_id == session_id).order_by(UnmatchedPayment.id)
    return [_row(*found) for found in session.execute(query).all()]


def list_listings(session: Session) -> list[ListingRow]:
    """How far each provider's own list was read."""
    rows = session.execute(select(ProviderListing).order_by(ProviderListing.provider)).scalars()
    return [
        ListingRow(
            provider=row.provider,
            read_through_at=row.read_through_at,
            ran_at=row.ran_at,
            read_count=row.read_count,
            found_count=row.found_count,
        )
        for row in rows
    ]


def known_payments(session: Session, *, provider: str, payment_ids: Sequence[str]) -> set[str]:
    """Which of the provider's payments are credited here."""
    query = select(Payment.provider_payment_id).where(
        Payment.provider == provider, Payment.provider_payment_id.in_(payment_ids)
    )
    return set(session.execute(query).scalars())


def _filtered(query: Select, state: str | None, kind: str | None) -> Select:  # type: ignore[type-arg]
    if state is not None:
        query = query.where(UnmatchedPayment.state == state)
    return query if kind is None else query.where(UnmatchedPayment.kind == kind)


def _rows() -> Select[UnmatchedPayment, str, str, str, str]:
    by_session = select(BillingAccount.id, BillingAccount.name).subquery()
    by_customer = select(BillingAccount.id, BillingAccount.name).subquery()
    return (
        select(UnmatchedPayment, by_session.c.id, by_session.c.name, by_customer.c.id, by_customer.c.name)
        .outerjoin(PaymentSession, PaymentSession.id == UnmatchedPayment.session_id)
        .outerjoin(by_session, by_session.c.id == PaymentSession.billing_account_id)
        .outerjoin(
            ProviderCustomer,
            (ProviderCustomer.provider == UnmatchedPayment.provider)
            & (ProviderCustomer.customer_id == UnmatchedPayment.customer_id),
        )
        .outerjoin(by_customer, by_customer.c.id == ProviderCustomer.billing_account_id)
    )


def _end(
    session: Session,
    now: datetime,
    item: UnmatchedPayment,
    state: str,
    actor: str,
    reason: str | None,
    payment_id: str | None,
) -> None:
    item.state, item.ended_at, item.ended_by = state, now, actor
    item.end_reason, item.payment_id = reason, payment_id
    _record(session, now, item.id, f"payment.unmatched_{state}", actor, {"payment_id": payment_id})


def _record(session: Session, now: datetime, key: str, act: str, actor: str, facts: dict[str, str | None]) -> None:
    audit.record(session, now=now, actor=actor, act=act, subject_type="unmatched_payment", subject_id=key, facts=facts)
    session.flush()


def _row(
    item: UnmatchedPayment,
    session_account_id: str | None,
    session_account: str | None,
    customer_account_id: str | None,
    customer_account: str | None,
) -> UnmatchedRow:
    return UnmatchedRow(
        id=item.id,
        provider=item.provider,
        provider_payment_id=item.provider_payment_id,
        kind=item.kind,
        state=item.state,
        amount_minor=item.amount_minor,
        currency=item.currency,
        reference=item.reference,
        customer_id=item.customer_id,
        source_id=item.source_id,
        method_label=item.method_label,
        paid_at=item.paid_at,
        is_given_back=item.is_given_back,
        reason=item.reason,
        session_id=item.session_id,
        payment_id=item.payment_id,
        first_seen_at=item.first_seen_at,
        last_seen_at=item.last_seen_at,
        ended_at=item.ended_at,
        ended_by=item.ended_by,
        end_reason=item.end_reason,
        account_id=session_account_id or customer_account_id,
        account_name=session_account or customer_account,
    )
