"""Tables beside `refund_requests`: its history, how much each role may allow, and refunds made at the provider's own pages."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Code, Count, Ident, Instant, Json, Minor, Words, table_args


class RefundEvent(Base):
    """One step of a refund as it happened; never changed. `type` is the step, `state` the refund's state behind it."""

    __tablename__ = "refund_events"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    refund_id: Mapped[str] = mapped_column(ForeignKey("refund_requests.id"))
    seq: Mapped[int] = mapped_column(Count)  # from 1, without a gap
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    type: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    actor: Mapped[str] = mapped_column(Code)
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    transaction_id: Mapped[str | None] = mapped_column(ForeignKey("ledger_transactions.id"))  # what it posted
    at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("refund_id", "seq"),
        Index("ix_refund_events_billing_account_id", "billing_account_id", "id"),
        guard=APPEND_ONLY,
    )


class RefundRoleLimit(Base):
    """How much a role may allow in a currency, from an instant on; the newest row of a role and currency is in force.

    None is no limit. Set by two people, whose approval is named.
    """

    __tablename__ = "refund_role_limits"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    role: Mapped[str] = mapped_column(Code)
    currency: Mapped[str] = mapped_column(Code)
    per_refund_minor: Mapped[int | None] = mapped_column(Minor)
    per_day_minor: Mapped[int | None] = mapped_column(Minor)  # of one person in one UTC day
    reason: Mapped[str] = mapped_column(Words)
    set_by: Mapped[str] = mapped_column(Code)
    approved_by: Mapped[str] = mapped_column(Code)
    approval_id: Mapped[str] = mapped_column(ForeignKey("approvals.id"), unique=True)
    valid_from: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("role IN ('maker', 'approver', 'admin')", name="role"),
        CheckConstraint("per_refund_minor IS NULL OR per_refund_minor >= 0", name="per_refund"),
        CheckConstraint("per_day_minor IS NULL OR per_day_minor >= 0", name="per_day"),
        CheckConstraint("set_by <> approved_by", name="second_person"),
        Index("ix_refund_role_limits_role", "role", "currency", "id"),
        guard=APPEND_ONLY,
    )


class ForeignRefund(Base):
    """A refund that somebody made at the provider's own pages: a case for finance until two people adopt it.

    `refund_id` is the request that adopts it, or tries to; a rejected one may be followed by another.
    """

    __tablename__ = "foreign_refunds"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    provider: Mapped[str] = mapped_column(Code)
    provider_refund_id: Mapped[str] = mapped_column(Code)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"))
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    provider_status: Mapped[str] = mapped_column(Code)
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    refund_id: Mapped[str | None] = mapped_column(ForeignKey("refund_requests.id"), unique=True)
    found_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    adopted_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("provider", "provider_refund_id"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("state IN ('open', 'asked', 'adopted')", name="state"),
        CheckConstraint("(state = 'adopted') = (adopted_at IS NOT NULL)", name="adopted"),
        CheckConstraint("state = 'open' OR refund_id IS NOT NULL", name="refund"),
        Index("ix_foreign_refunds_state", "state", "found_at"),
        Index("ix_foreign_refunds_payment_id", "payment_id"),
        Index("ix_foreign_refunds_billing_account_id", "billing_account_id", "id"),
    )
