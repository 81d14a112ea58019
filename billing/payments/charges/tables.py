"""Tables of charges without the customer: what was agreed to, and what became of each try."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import (
    APPEND_ONLY,
    Base,
    Code,
    Count,
    Day,
    Flag,
    Ident,
    Instant,
    Json,
    Minor,
    Words,
    table_args,
)


class AutomaticPayments(Base):
    """What a tenant has agreed to: invoices paid by the default method, and a wallet that is filled when it runs low."""

    __tablename__ = "automatic_payments"

    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(Code)
    is_paying: Mapped[bool] = mapped_column(Flag)  # invoices
    is_topping_up: Mapped[bool] = mapped_column(Flag)
    threshold_minor: Mapped[int | None] = mapped_column(Minor)  # below it the wallet is filled
    amount_minor: Mapped[int | None] = mapped_column(Minor)  # of one top-up
    cap_minor: Mapped[int | None] = mapped_column(Minor)  # of all automatic top-ups of a month in the account's zone
    paying_since: Mapped[datetime | None] = mapped_column(Instant)
    off_reason: Mapped[str | None] = mapped_column(Code)  # why top-ups were turned off by us, a decline code
    version: Mapped[int] = mapped_column(Count)
    updated_by: Mapped[str] = mapped_column(Code)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("threshold_minor >= 0", name="threshold"),
        CheckConstraint("amount_minor > 0 AND cap_minor >= amount_minor", name="amounts"),
    )


class ChargeConsent(Base):
    """Who agreed to be charged, when, and to which words; the end of it likewise. Never changed: a bank may ask for it."""

    __tablename__ = "charge_consents"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    purpose: Mapped[str] = mapped_column(Code)
    act: Mapped[str] = mapped_column(Code)
    wording: Mapped[str] = mapped_column(Words)  # as the person read it
    method_label: Mapped[str | None] = mapped_column(Words)
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    actor: Mapped[str] = mapped_column(Code)
    recorded_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("purpose IN ('auto_pay', 'auto_top_up')", name="purpose"),
        CheckConstraint("act IN ('agreed', 'withdrawn')", name="act"),
        Index("ix_charge_consents_billing_account_id", "billing_account_id", "id"),
        guard=APPEND_ONLY,
    )


class ChargeAttempt(Base):
    """One try of a saved method: the part of an off-session payment session that a checkout does not have."""

    __tablename__ = "charge_attempts"

    session_id: Mapped[str] = mapped_column(ForeignKey("payment_sessions.id"), primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    step: Mapped[str] = mapped_column(Code)  # what asked for it: a day of the calendar, or the month of a top-up
    method_id: Mapped[str] = mapped_column(Code)
    provider_method_id: Mapped[str] = mapped_column(Code)
    customer_id: Mapped[str] = mapped_column(Code)
    method_kind: Mapped[str] = mapped_column(Code)
    method_label: Mapped[str] = mapped_column(Words)
    outcome: Mapped[str] = mapped_column(Code)
    decline_code: Mapped[str | None] = mapped_column(Code)  # the provider's word
    verdict: Mapped[str | None] = mapped_column(Code)  # what the decline means: soft, method, request, person
    next_try_on: Mapped[date | None] = mapped_column(Day)  # should this one be declined softly
    created_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint(
            "outcome IN ('pending', 'processing', 'paid', 'declined', 'action_required', 'never_sent')", name="outcome"
        ),
        CheckConstraint("verdict IN ('soft', 'method', 'request', 'person')", name="verdict"),
        Index("ix_charge_attempts_billing_account_id", "billing_account_id", "session_id"),
    )
