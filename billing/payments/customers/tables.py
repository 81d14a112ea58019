"""Tables of customers at the provider and their saved methods. The link itself is `payments.tables.ProviderCustomer`."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import Base, Code, Count, Flag, Ident, Instant, Words, table_args

_BEGUN = text("state = 'begun'")
_DEFAULT = text("is_default")


class CustomerAct(Base):
    """How a billing account came to its customer: our intent, committed before the provider is asked, and what came of it (Law 6).

    Its id is the idempotency key. At most one is begun per billing account and provider, so that two tabs make one customer.
    """

    __tablename__ = "provider_customer_acts"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    provider: Mapped[str] = mapped_column(Code)
    act: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    customer_id: Mapped[str | None] = mapped_column(Code)  # the one asked for, then the one linked
    previous_id: Mapped[str | None] = mapped_column(Code)  # the one linked before
    reason: Mapped[str | None] = mapped_column(Words)  # what the operator said
    failure: Mapped[str | None] = mapped_column(Code)
    actor: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("act IN ('create', 'adopt', 'relink', 'renew')", name="act"),
        CheckConstraint("state IN ('begun', 'done', 'failed')", name="state"),
        CheckConstraint("(state = 'failed') = (failure IS NOT NULL)", name="failure"),
        CheckConstraint("state <> 'done' OR customer_id IS NOT NULL", name="customer"),
        Index("ix_provider_customer_acts_billing_account_id", "billing_account_id", "id"),
        Index(
            "uq_provider_customer_acts_begun",
            "billing_account_id",
            "provider",
            unique=True,
            sqlite_where=_BEGUN,
            postgresql_where=_BEGUN,
        ),
    )


class PaymentMethod(Base):
    """A saved method as the provider last showed it: what people may see of it, and nothing with which one could pay elsewhere."""

    __tablename__ = "payment_methods"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    provider: Mapped[str] = mapped_column(Code)
    provider_method_id: Mapped[str] = mapped_column(Code)
    customer_id: Mapped[str] = mapped_column(Code)  # the provider's customer on which it hangs
    kind: Mapped[str] = mapped_column(Code)  # card, sepa_debit, ...
    brand: Mapped[str | None] = mapped_column(Code)
    last4: Mapped[str | None] = mapped_column(Code)
    exp_month: Mapped[int | None] = mapped_column(Count)
    exp_year: Mapped[int | None] = mapped_column(Count)
    is_default: Mapped[bool] = mapped_column(Flag, default=False)
    saved_at: Mapped[datetime] = mapped_column(Instant)  # when we first saw it
    removal_asked_at: Mapped[datetime | None] = mapped_column(Instant)  # from then on it is offered and charged no more
    removal_asked_by: Mapped[str | None] = mapped_column(Code)
    detached_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("provider", "provider_method_id"),
        CheckConstraint("last4 IS NULL OR length(last4) = 4", name="last4"),
        CheckConstraint("(removal_asked_at IS NULL) = (removal_asked_by IS NULL)", name="removal"),
        Index("ix_payment_methods_billing_account_id", "billing_account_id", "id"),
        Index(
            "uq_payment_methods_default",
            "billing_account_id",
            "provider",
            unique=True,
            sqlite_where=_DEFAULT,
            postgresql_where=_DEFAULT,
        ),
        Index("ix_payment_methods_removal_asked_at", "removal_asked_at"),
    )


class MethodSetup(Base):
    """Our intent to have a method saved, committed before the redirect; the provider's page is looked up by its id (Law 6)."""

    __tablename__ = "payment_method_setups"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    provider: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    makes_default: Mapped[bool] = mapped_column(Flag)
    form_key: Mapped[str] = mapped_column(Code)
    customer_id: Mapped[str | None] = mapped_column(Code)
    provider_session_id: Mapped[str | None] = mapped_column(Code)
    redirect_url: Mapped[str | None] = mapped_column(Words)
    provider_method_id: Mapped[str | None] = mapped_column(Code)
    failure: Mapped[str | None] = mapped_column(Code)
    created_by: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    looked_up_at: Mapped[datetime | None] = mapped_column(Instant)
    correlation_id: Mapped[str | None] = mapped_column(Code)

    __table_args__ = table_args(
        UniqueConstraint("billing_account_id", "form_key"),
        UniqueConstraint("provider", "provider_session_id"),
        CheckConstraint("state IN ('created', 'open', 'unknown', 'saved', 'failed', 'expired')", name="state"),
        CheckConstraint("(state = 'saved') = (provider_method_id IS NOT NULL)", name="method"),
        Index("ix_payment_method_setups_billing_account_id", "billing_account_id", "id"),
        Index("ix_payment_method_setups_state", "state", "updated_at"),
    )
