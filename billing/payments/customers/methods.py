"""Saved methods as pages show them and charges use them: small frozen rows, always of one billing account."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.kernel.errors import NotFound
from billing.payments.customers.errors import MethodGone
from billing.payments.customers.tables import PaymentMethod
from billing.payments.tables import ProviderCustomer
from billing.storage import audit

_KINDS = {"sepa_debit": "SEPA account", "us_bank_account": "bank account", "link": "Link"}


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """A saved method. `provider_method_id` and `customer_id` name it at the provider; `exp_month` is 1 to 12."""

    id: str
    account_id: str
    provider: str
    provider_method_id: str
    customer_id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    is_default: bool
    saved_at: datetime

    @property
    def label(self) -> str:
        """Such as "visa ending 4242"."""
        name = self.brand if self.kind == "card" and self.brand else _KINDS.get(self.kind, self.kind.replace("_", " "))
        return f"{name} ending {self.last4}" if self.last4 else name

    def is_expired(self, on: date) -> bool:
        """Whether the card's last month is over on that day; what has no expiry never is."""
        if self.exp_month is None or self.exp_year is None:
            return False
        return (self.exp_year, self.exp_month) < (on.year, on.month)


def list_methods(session: Session, *, account_id: str, provider: str | None = None) -> list[MethodRow]:
    """The methods that may be used, the default first, then the newest."""
    query = _usable().where(PaymentMethod.billing_account_id == account_id)
    if provider is not None:
        query = query.where(PaymentMethod.provider == provider)
    rows = session.execute(query.order_by(PaymentMethod.is_default.desc(), PaymentMethod.id.desc())).scalars()
    return [_row(item) for item in rows]


def default_method(session: Session, *, account_id: str, provider: str) -> MethodRow | None:
    """The method that is charged when nobody chooses, or None: then nothing is."""
    query = _usable().where(
        PaymentMethod.billing_account_id == account_id,
        PaymentMethod.provider == provider,
        PaymentMethod.is_default,
    )
    item = session.execute(query).scalar_one_or_none()
    return None if item is None else _row(item)


def get_method(session: Session, *, account_id: str, method_id: str) -> MethodRow:
    """One method of that billing account that may be used. Raises NotFound for any other, MethodGone for one that is removed."""
    item = session.execute(
        select(PaymentMethod).where(PaymentMethod.id == method_id, PaymentMethod.billing_account_id == account_id)
    ).scalar_one_or_none()
    if item is None:
        raise NotFound(payment_method_id=method_id)
    usable = session.execute(_usable().where(PaymentMethod.id == method_id)).scalar_one_or_none()
    if usable is None:
        raise MethodGone(payment_method_id=method_id)
    return _row(item)


def ask_removal(session: Session, *, now: datetime, account_id: str, method_id: str, actor: str) -> MethodRow:
    """From now on it is neither offered nor charged; `acts` takes it off at the provider. Raises NotFound, MethodGone."""
    heads.lock_one(session, account_id)
    row = get_method(session, account_id=account_id, method_id=method_id)
    item = session.get_one(PaymentMethod, method_id, populate_existing=True)
    item.removal_asked_at, item.removal_asked_by, item.is_default = now, actor, False
    _audit(session, now, actor, "payment_method.remove", row)
    session.flush()
    return row


def ask_default(session: Session, *, now: datetime, account_id: str, method_id: str, actor: str) -> MethodRow:
    """Note who wants which default; it is the default once the provider has it so. Raises NotFound, MethodGone."""
    heads.lock_one(session, account_id)
    row = get_method(session, account_id=account_id, method_id=method_id)
    _audit(session, now, actor, "payment_method.default", row)
    session.flush()
    return row


def _usable() -> Select[PaymentMethod]:
    """Attached, not on its way out, and on the customer in force."""
    return (
        select(PaymentMethod)
        .join(
            ProviderCustomer,
            (ProviderCustomer.billing_account_id == PaymentMethod.billing_account_id)
            & (ProviderCustomer.provider == PaymentMethod.provider)
            & (ProviderCustomer.customer_id == PaymentMethod.customer_id),
        )
        .where(
            PaymentMethod.detached_at.is_(None),
            PaymentMethod.removal_asked_at.is_(None),
            ProviderCustomer.gone_at.is_(None),
        )
    )


def _row(item: PaymentMethod) -> MethodRow:
    return MethodRow(
        id=item.id,
        account_id=item.billing_account_id,
        provider=item.provider,
        provider_method_id=item.provider_method_id,
        customer_id=item.customer_id,
        kind=item.kind,
        brand=item.brand,
        last4=item.last4,
        exp_month=item.exp_month,
        exp_year=item.exp_year,
        is_default=item.is_default,
        saved_at=item.saved_at,
    )


def _audit(session: Session, now: datetime, actor: str, act: str, row: MethodRow) -> None:
    audit.record(
        session,
        now=now,
        actor=actor,
        act=act,
        subject_type="payment_method",
        subject_id=row.id,
        billing_account_id=row.account_id,
        facts={"provider": row.provider, "provider_method_id": row.provider_method_id},
    )
