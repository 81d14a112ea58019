"""Tables of money in and out."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import Base, Code, Count, Day, Hash, Ident, Instant, Json, Minor, Words, table_args

_WAITS = text("next_try_at IS NOT NULL")
_REFERS = text("reference IS NOT NULL")
_PAYS = text("payment_id IS NOT NULL")

_LIVE = "state IN ('created', 'open', 'unknown')"
_LIVE_CHARGE = text(f"channel = 'off_session' AND purpose = 'invoice' AND {_LIVE}")
_LIVE_TOP_UP = text(f"channel = 'off_session' AND purpose = 'top_up' AND {_LIVE}")
_HAS_INTENT = text("provider_intent_id IS NOT NULL")
_OF_INVOICE = text("invoice_id IS NOT NULL")


class ProviderCustomer(Base):
    """Our billing account as the provider knows it."""

    __tablename__ = "billing_provider_customers"

    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"), primary_key=True)
    provider: Mapped[str] = mapped_column(Code, primary_key=True)
    customer_id: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)
    gone_at: Mapped[datetime | None] = mapped_column(Instant)  # when we learnt that the provider has it no more
    copied_at: Mapped[datetime | None] = mapped_column(Instant)  # when its saved methods were last fetched
    copies: Mapped[int] = mapped_column(Count, default=0)  # how often: a copy that was overtaken is not kept

    __table_args__ = table_args(UniqueConstraint("provider", "customer_id"))


class PaymentSession(Base):
    """Our intent to be paid, committed before the redirect. The provider's objects are looked up by its id (Law 6)."""

    __tablename__ = "payment_sessions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    provider: Mapped[str] = mapped_column(Code)
    purpose: Mapped[str] = mapped_column(Code)
    invoice_id: Mapped[str | None] = mapped_column(ForeignKey("invoice_headers.id"))
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    form_key: Mapped[str] = mapped_column(Code)  # made when the form was rendered: two clicks are one intent
    provider_session_id: Mapped[str | None] = mapped_column(Code)
    redirect_url: Mapped[str | None] = mapped_column(Words)
    failure: Mapped[str | None] = mapped_column(Words)
    created_by: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    looked_up_at: Mapped[datetime | None] = mapped_column(Instant)  # when recovery last asked the provider
    correlation_id: Mapped[str | None] = mapped_column(Code)  # of the request that began it: jobs and calls carry it on
    # checkout: a person pays on the provider's page. off_session: a saved method is charged, nobody is there.
    channel: Mapped[str] = mapped_column(Code, server_default="checkout", default="checkout")
    trigger: Mapped[str] = mapped_column(Code, server_default="person", default="person")
    provider_intent_id: Mapped[str | None] = mapped_column(Code)  # of an off-session charge

    __table_args__ = table_args(
        UniqueConstraint("billing_account_id", "form_key"),
        UniqueConstraint("provider", "provider_session_id"),
        CheckConstraint("channel IN ('checkout', 'off_session')", name="channel"),
        CheckConstraint(
            "trigger IN ('person', 'auto_pay', 'auto_top_up') AND (trigger = 'person') = (channel = 'checkout')",
            name="trigger",
        ),
        # One live charge of an invoice, and one live automatic top-up of an account, whatever a worker believes.
        Index(
            "uq_payment_sessions_live_charge",
            "invoice_id",
            unique=True,
            sqlite_where=_LIVE_CHARGE,
            postgresql_where=_LIVE_CHARGE,
        ),
        Index(
            "uq_payment_sessions_live_top_up",
            "billing_account_id",
            unique=True,
            sqlite_where=_LIVE_TOP_UP,
            postgresql_where=_LIVE_TOP_UP,
        ),
        Index(
            "uq_payment_sessions_provider_intent_id",
            "provider",
            "provider_intent_id",
            unique=True,
            sqlite_where=_HAS_INTENT,
            postgresql_where=_HAS_INTENT,
        ),
        Index("ix_payment_sessions_invoice_id", "invoice_id", sqlite_where=_OF_INVOICE, postgresql_where=_OF_INVOICE),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("purpose IN ('top_up', 'invoice')", name="purpose"),
        CheckConstraint("(purpose = 'invoice') = (invoice_id IS NOT NULL)", name="invoice"),
        CheckConstraint("state IN ('created', 'open', 'unknown', 'paid', 'failed', 'expired')", name="state"),
        Index("ix_payment_sessions_billing_account_id", "billing_account_id", "id"),
        Index("ix_payment_sessions_state", "state", "updated_at"),
        Index("ix_payment_sessions_created_at", "created_at", "id"),
        Index("ix_payment_sessions_due", "state", "looked_up_at", "updated_at"),
        Index("ix_payment_sessions_correlation_id", "correlation_id"),
    )


class Payment(Base):
    """Money received, once per provider payment. `refunded_minor` is held at most the amount by the database."""

    __tablename__ = "payments"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    session_id: Mapped[str | None] = mapped_column(ForeignKey("payment_sessions.id"), unique=True)  # None: bank money
    provider: Mapped[str] = mapped_column(Code)
    provider_payment_id: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    refunded_minor: Mapped[int] = mapped_column(Minor, default=0)  # approved and not failed
    transaction_id: Mapped[str] = mapped_column(ForeignKey("ledger_transactions.id"), unique=True)
    method_label: Mapped[str | None] = mapped_column(Words)  # "visa ending 4242"
    received_at: Mapped[datetime] = mapped_column(Instant)
    reversed_at: Mapped[datetime | None] = mapped_column(
        Instant
    )  # a booking that was wrong: its money never was this account's

    __table_args__ = table_args(
        UniqueConstraint("provider", "provider_payment_id"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("refunded_minor >= 0 AND refunded_minor <= amount_minor", name="refunded"),
        CheckConstraint("(provider = 'bank') = (session_id IS NULL)", name="session"),
        CheckConstraint("reversed_at IS NULL OR refunded_minor = 0", name="reversed"),
        Index("ix_payments_billing_account_id", "billing_account_id", "id"),
    )


class ProviderEvent(Base):
    """A webhook as it came, stored once; its effect and its `processed` mark are one transaction."""

    __tablename__ = "stripe_events"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    provider: Mapped[str] = mapped_column(Code)
    event_id: Mapped[str] = mapped_column(Code)
    type: Mapped[str] = mapped_column(Code)
    body: Mapped[str] = mapped_column(Words)
    state: Mapped[str] = mapped_column(Code)
    attempts: Mapped[int] = mapped_column(Count, default=0)
    note: Mapped[str | None] = mapped_column(Words)  # why it was ignored, or the last error
    received_at: Mapped[datetime] = mapped_column(Instant)
    processed_at: Mapped[datetime | None] = mapped_column(Instant)
    correlation_id: Mapped[str | None] = mapped_column(Code)
    next_try_at: Mapped[datetime | None] = mapped_column(Instant)  # while it is received
    object_id: Mapped[str | None] = mapped_column(Code)  # the provider's object it speaks of
    reference: Mapped[str | None] = mapped_column(Code)  # our id that the object carries
    payment_id: Mapped[str | None] = mapped_column(Code)  # the provider's payment it belongs to
    closed_by: Mapped[str | None] = mapped_column(Code)
    closed_reason: Mapped[str | None] = mapped_column(Words)

    __table_args__ = table_args(
        UniqueConstraint("provider", "event_id"),
        CheckConstraint("state IN ('received', 'processed', 'ignored', 'failed', 'closed')", name="state"),
        Index("ix_stripe_events_state", "state", "received_at"),
        Index("ix_stripe_events_next_try_at", "next_try_at", sqlite_where=_WAITS, postgresql_where=_WAITS),
        Index("ix_stripe_events_reference", "reference", sqlite_where=_REFERS, postgresql_where=_REFERS),
        Index("ix_stripe_events_payment_id", "payment_id", sqlite_where=_PAYS, postgresql_where=_PAYS),
    )


class RefundRequest(Base):
    """A refund from request to outcome; the second person is never the first."""

    __tablename__ = "refund_requests"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    payment_id: Mapped[str | None] = mapped_column(ForeignKey("payments.id"))
    invoice_id: Mapped[str | None] = mapped_column(ForeignKey("invoice_headers.id"))
    origin: Mapped[str] = mapped_column(Code, default="request")  # provider: made on its own pages, adopted here
    # card: back through the provider; bank: by a transfer of ours; credit: a credit note into the wallet. Card and bank may name
    # an invoice too, which is credited first.
    mode: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    reason: Mapped[str] = mapped_column(Words)
    state: Mapped[str] = mapped_column(Code)
    form_key: Mapped[str] = mapped_column(Code)
    requested_by: Mapped[str] = mapped_column(Code)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(Code)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decision_note: Mapped[str | None] = mapped_column(Words)
    credit_note_id: Mapped[str | None] = mapped_column(ForeignKey("invoice_headers.id"))
    provider_refund_id: Mapped[str | None] = mapped_column(Code)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    looked_up_at: Mapped[datetime | None] = mapped_column(Instant)  # when recovery last asked the provider
    failure: Mapped[str | None] = mapped_column(Words)
    correlation_id: Mapped[str | None] = mapped_column(Code)  # of the request that set it going: asking, then approving
    outcome: Mapped[str | None] = mapped_column(Code)
    policy: Mapped[dict[str, Any] | None] = mapped_column(Json)  # the rules and figures that the last decision stood on
    booked_at: Mapped[datetime | None] = mapped_column(Instant)  # when the ledger saw the money leave our cash
    expected_on: Mapped[date | None] = mapped_column(Day)  # when it should be there, by its method
    payee_name: Mapped[str | None] = mapped_column(Words)
    payee_iban: Mapped[str | None] = mapped_column(Code)
    transfer_on: Mapped[date | None] = mapped_column(Day)
    transfer_reference: Mapped[str | None] = mapped_column(Words)
    provider_status: Mapped[str | None] = mapped_column(Code)  # in the provider's own words, as last seen
    provider_facts: Mapped[dict[str, Any] | None] = mapped_column(Json)
    provider_seen_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("billing_account_id", "form_key"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("mode IN ('card', 'bank', 'credit')", name="mode"),
        CheckConstraint("(mode = 'credit') = (payment_id IS NULL)", name="payment"),
        CheckConstraint("mode <> 'credit' OR invoice_id IS NOT NULL", name="invoice"),
        CheckConstraint("(mode = 'bank') = (payee_iban IS NOT NULL)", name="payee"),
        CheckConstraint("(payee_iban IS NULL) = (payee_name IS NULL)", name="payee_name"),
        CheckConstraint("(transfer_on IS NULL) = (transfer_reference IS NULL)", name="transfer"),
        CheckConstraint(
            "origin = 'request' OR (origin = 'provider' AND mode = 'card' AND provider_refund_id IS NOT NULL)",
            name="origin",
        ),
        CheckConstraint(
            "outcome IS NULL OR outcome IN ('refunded', 'credited', 'released', 'returned', 'rejected', 'withdrawn', 'expired')",
            name="outcome",
        ),
        CheckConstraint("decided_by IS NULL OR decided_by <> requested_by", name="second_person"),
        CheckConstraint(
            "state IN ('requested', 'approved', 'sent', 'succeeded', 'failed', 'rejected', 'unknown')", name="state"
        ),
        Index("ix_refund_requests_state", "state", "id"),
        Index("ix_refund_requests_payment_id", "payment_id"),
        Index("ix_refund_requests_provider_refund_id", "provider_refund_id"),
        # One refund at the provider is one of ours, unless its adoption was rejected.
        Index(
            "uq_refund_requests_provider_refund_id",
            "provider_refund_id",
            unique=True,
            sqlite_where=text("state <> 'rejected'"),
            postgresql_where=text("state <> 'rejected'"),
        ),
        Index("ix_refund_requests_billing_account_id", "billing_account_id", "id"),
        Index("ix_refund_requests_correlation_id", "correlation_id"),
    )


class SandboxObject(Base):
    """The sandbox provider's own memory: what a real provider keeps on its side. Nothing but the sandbox reads it."""

    __tablename__ = "sandbox_objects"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    kind: Mapped[str] = mapped_column(Code)  # customer, checkout.session, payment_intent, refund
    reference: Mapped[str | None] = mapped_column(Code)
    parent_id: Mapped[str | None] = mapped_column(Ident)  # a refund's payment
    idempotency_key: Mapped[str | None] = mapped_column(Code, unique=True)
    request_hash: Mapped[str | None] = mapped_column(Hash)
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        Index("ix_sandbox_objects_reference", "kind", "reference"), Index("ix_sandbox_objects_parent_id", "parent_id")
    )
