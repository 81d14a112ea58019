"""Tables of the balance at the provider."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import Base, Code, Day, Flag, Ident, Instant, Minor, Words, table_args


class BalanceTransaction(Base):
    """One movement of the balance at the provider: what it says, which never changes, and how our ledger explains it.

    Signed: into the balance is positive. `presented_*` is what the customer saw, in another currency where the provider converted.
    """

    __tablename__ = "provider_balance_transactions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    provider: Mapped[str] = mapped_column(Code)
    provider_id: Mapped[str] = mapped_column(Code)
    type: Mapped[str] = mapped_column(Code)
    category: Mapped[str] = mapped_column(Code)
    description: Mapped[str | None] = mapped_column(Words)
    amount_minor: Mapped[int] = mapped_column(Minor)
    fee_minor: Mapped[int] = mapped_column(Minor)
    net_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    exchange_rate: Mapped[str | None] = mapped_column(Code)
    presented_minor: Mapped[int] = mapped_column(Minor)
    presented_currency: Mapped[str] = mapped_column(Code)
    source_kind: Mapped[str | None] = mapped_column(Code)
    source_id: Mapped[str | None] = mapped_column(Code)
    payment_ref: Mapped[str | None] = mapped_column(Code)  # the provider's payment, refund, dispute, payout
    refund_ref: Mapped[str | None] = mapped_column(Code)
    dispute_ref: Mapped[str | None] = mapped_column(Code)
    payout_ref: Mapped[str | None] = mapped_column(Code)
    paid_out_by: Mapped[str | None] = mapped_column(Code)  # the provider's payout that took it along
    created_at: Mapped[datetime] = mapped_column(Instant)
    available_at: Mapped[datetime] = mapped_column(Instant)
    read_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(Code)
    reason: Mapped[str | None] = mapped_column(Code)  # why it waits, or what is wrong
    pair_id: Mapped[str | None] = mapped_column(ForeignKey("provider_balance_transactions.id"))
    payment_id: Mapped[str | None] = mapped_column(ForeignKey("payments.id"))
    refund_id: Mapped[str | None] = mapped_column(ForeignKey("refund_requests.id"))
    looked_at: Mapped[datetime | None] = mapped_column(Instant)  # when it was last held against the ledger

    __table_args__ = table_args(
        UniqueConstraint("provider", "provider_id"),
        CheckConstraint("net_minor = amount_minor - fee_minor", name="net"),
        CheckConstraint("length(currency) = 3", name="currency"),
        CheckConstraint("state IN ('waiting', 'explained', 'booked', 'finding')", name="state"),
        CheckConstraint("state <> 'finding' OR reason IS NOT NULL", name="reason"),
        Index("ix_provider_balance_transactions_created_at", "created_at", "id"),
        Index("ix_provider_balance_transactions_state", "state", "looked_at"),
        Index("ix_provider_balance_transactions_payment_ref", "payment_ref"),
        Index("ix_provider_balance_transactions_refund_ref", "refund_ref"),
        Index("ix_provider_balance_transactions_dispute_ref", "dispute_ref"),
        Index("ix_provider_balance_transactions_payout_ref", "payout_ref"),
        Index("ix_provider_balance_transactions_paid_out_by", "paid_out_by"),
        Index("ix_provider_balance_transactions_pair_id", "pair_id"),
    )


class BalanceExplanation(Base):
    """A ledger transaction that explains a movement, or a part of it: its fee, its conversion."""

    __tablename__ = "provider_balance_explanations"

    balance_transaction_id: Mapped[str] = mapped_column(
        ForeignKey("provider_balance_transactions.id"), primary_key=True
    )
    transaction_id: Mapped[str] = mapped_column(ForeignKey("ledger_transactions.id"), primary_key=True)
    part: Mapped[str] = mapped_column(Code)

    __table_args__ = table_args(
        UniqueConstraint("transaction_id"),
        CheckConstraint("part IN ('whole', 'fee', 'conversion')", name="part"),
    )


class Payout(Base):
    """A payout to the bank as the provider last told it. What is in an automatic one is read from `paid_out_by`."""

    __tablename__ = "provider_payouts"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    provider: Mapped[str] = mapped_column(Code)
    provider_id: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    is_automatic: Mapped[bool] = mapped_column(Flag)
    method: Mapped[str | None] = mapped_column(Code)
    destination: Mapped[str | None] = mapped_column(Words)
    statement_text: Mapped[str | None] = mapped_column(Words)
    trace: Mapped[str | None] = mapped_column(Code)
    failure_code: Mapped[str | None] = mapped_column(Code)
    failure: Mapped[str | None] = mapped_column(Words)
    arrives_on: Mapped[date | None] = mapped_column(Day)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    looked_at: Mapped[datetime | None] = mapped_column(Instant)  # when the provider was last asked about it
    contents_read_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("provider", "provider_id"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("state IN ('pending', 'in_transit', 'paid', 'failed', 'canceled')", name="state"),
        Index("ix_provider_payouts_created_at", "created_at", "id"),
        Index("ix_provider_payouts_state", "state", "looked_at"),
    )


class ProviderBalance(Base):
    """What the provider said it holds in one currency, read when all of its movements were known."""

    __tablename__ = "provider_balances"

    provider: Mapped[str] = mapped_column(Code, primary_key=True)
    currency: Mapped[str] = mapped_column(Code, primary_key=True)
    available_minor: Mapped[int] = mapped_column(Minor)
    pending_minor: Mapped[int] = mapped_column(Minor)
    moved_minor: Mapped[int] = mapped_column(Minor)  # what its movements summed to at that moment
    read_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(CheckConstraint("length(currency) = 3", name="currency"))


class BalanceCursor(Base):
    """How far the movements of a provider are read. A pass reads the window [pass_since, pass_until] from its end to its beginning;
    `pass_after` is the last movement of the last page that was kept."""

    __tablename__ = "provider_balance_cursors"

    provider: Mapped[str] = mapped_column(Code, primary_key=True)
    read_until: Mapped[datetime | None] = mapped_column(Instant)  # all that was created before is kept
    pass_since: Mapped[datetime | None] = mapped_column(Instant)
    pass_until: Mapped[datetime | None] = mapped_column(Instant)
    pass_after: Mapped[str | None] = mapped_column(Code)
    asked_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args()
