"""Tables of what was compared: reconciliation runs, and the differences they found."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Code, Count, Hash, Ident, Instant, Json, Words, table_args


class ReconciliationRun(Base):
    """One comparison of usage, rated lines, ledger and invoices: what was looked at, and how it ended. Written once, at its end."""

    __tablename__ = "billing_reconciliation_runs"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    period_label: Mapped[str | None] = mapped_column(Code)  # None: all periods
    started_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime] = mapped_column(Instant)
    checked_count: Mapped[int] = mapped_column(Count)
    finding_count: Mapped[int] = mapped_column(Count)
    new_count: Mapped[int] = mapped_column(Count)
    stages: Mapped[dict[str, Any]] = mapped_column(Json)  # stage -> rows looked at, differences, sums per currency
    actor: Mapped[str] = mapped_column(Code)

    __table_args__ = table_args(Index("ix_billing_reconciliation_runs_started_at", "started_at"), guard=APPEND_ONLY)


class ReconciliationFinding(Base):
    """One difference between two stages, seen by one run or many. It closes itself when a run over its place no longer finds it.

    `key` names the difference itself (stage, account, currency, period, subject), so that it is one finding however often it is
    seen; a difference that comes back is a new finding.
    """

    __tablename__ = "billing_reconciliation_findings"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    key: Mapped[str] = mapped_column(Hash)
    open_key: Mapped[str | None] = mapped_column(Hash, unique=True)  # the key while it is open
    stage: Mapped[str] = mapped_column(Code)
    billing_account_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))
    currency: Mapped[str | None] = mapped_column(Code)
    period_label: Mapped[str | None] = mapped_column(Code)
    subject_type: Mapped[str] = mapped_column(Code)
    subject_id: Mapped[str] = mapped_column(Code)
    sentence: Mapped[str] = mapped_column(Words)
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Code)
    owner: Mapped[str | None] = mapped_column(Code)
    explanation: Mapped[str | None] = mapped_column(Words)
    first_run_id: Mapped[str] = mapped_column(ForeignKey("billing_reconciliation_runs.id"))
    last_run_id: Mapped[str] = mapped_column(ForeignKey("billing_reconciliation_runs.id"))
    first_seen_at: Mapped[datetime] = mapped_column(Instant)
    last_seen_at: Mapped[datetime] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("state IN ('open', 'explained', 'closed')", name="state"),
        CheckConstraint("(state = 'closed') = (open_key IS NULL)", name="open_key"),
        CheckConstraint("state <> 'explained' OR explanation IS NOT NULL", name="explanation"),
        Index("ix_billing_reconciliation_findings_state", "state", "first_seen_at"),
        Index("ix_billing_reconciliation_findings_billing_account_id", "billing_account_id"),
    )
