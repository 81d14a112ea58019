"""Tables of what is watched: budgets and their crossings."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import Base, Code, Count, Flag, Ident, Instant, Json, Minor, Words, table_args


class BudgetPolicy(Base):
    """A monthly amount for an account or one of its projects, and the shares of it at which to tell someone."""

    __tablename__ = "budget_policies"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(Words)
    currency: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int] = mapped_column(Minor)
    thresholds_percent: Mapped[list[Any]] = mapped_column(Json)  # [50, 80, 100]
    is_active: Mapped[bool] = mapped_column(Flag)
    created_by: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("amount_minor > 0", name="amount"),
        Index("ix_budget_policies_billing_account_id", "billing_account_id", "id"),
    )


class BudgetEvent(Base):
    """A threshold crossed in one period: seen first, seen last, how often; the notice goes out once."""

    __tablename__ = "budget_events"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    policy_id: Mapped[str] = mapped_column(ForeignKey("budget_policies.id"))
    period_label: Mapped[str] = mapped_column(Code)
    threshold_percent: Mapped[int] = mapped_column(Count)
    first_seen_at: Mapped[datetime] = mapped_column(Instant)
    last_seen_at: Mapped[datetime] = mapped_column(Instant)
    seen_count: Mapped[int] = mapped_column(Count)
    amount_minor: Mapped[int] = mapped_column(Minor)  # spent when last seen

    __table_args__ = table_args(UniqueConstraint("policy_id", "period_label", "threshold_percent"))
