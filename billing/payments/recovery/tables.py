"""Tables of recovery: tries of events, how far the provider's payments were listed, and payments there that are not credited here."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import Base, Code, Count, Flag, Ident, Instant, Minor, Words, table_args

_OPEN = text("state = 'open'")


class EventTry(Base):
    """One try to give a stored event its effect, and how it ended."""

    __tablename__ = "stripe_event_tries"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    event_id: Mapped[str] = mapped_column(ForeignKey("stripe_events.id"))
    tried_at: Mapped[datetime] = mapped_column(Instant)
    outcome: Mapped[str] = mapped_column(Code)  # the event's state afterwards
    note: Mapped[str | None] = mapped_column(Words)

    __table_args__ = table_args(Index("ix_stripe_event_tries_event_id", "event_id", "id"))


class ProviderListing(Base):
    """How far one provider's payments have been read by their time of creation, and what the newest run found."""

    __tablename__ = "provider_listings"

    provider: Mapped[str] = mapped_column(Code, primary_key=True)
    read_through_at: Mapped[datetime] = mapped_column(Instant)
    deep_at: Mapped[datetime] = mapped_column(Instant)  # when days that were read before were last read again
    ran_at: Mapped[datetime] = mapped_column(Instant)
    read_count: Mapped[int] = mapped_column(Count)
    found_count: Mapped[int] = mapped_column(Count)


class UnmatchedPayment(Base):
    """Money that the provider holds for us and that is not credited here. It stays until it is, or until somebody says why not."""

    __tablename__ = "unmatched_payments"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    provider: Mapped[str] = mapped_column(Code)
    provider_payment_id: Mapped[str] = mapped_column(Code)
    # foreign: without our reference; orphan: our reference, but no row; uncredited: our row, but it could not be credited
    kind: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    reference: Mapped[str | None] = mapped_column(Code)  # as the provider's object carries it
    customer_id: Mapped[str | None] = mapped_column(Code)  # the provider's customer
    source_id: Mapped[str | None] = mapped_column(Code)  # the balance transaction that brought the money
    method_label: Mapped[str | None] = mapped_column(Words)
    paid_at: Mapped[datetime] = mapped_column(Instant)
    is_given_back: Mapped[bool] = mapped_column(Flag, default=False)  # refunded or disputed there, all or in part
    reason: Mapped[str | None] = mapped_column(Code)  # why it could not be credited
    session_id: Mapped[str | None] = mapped_column(ForeignKey("payment_sessions.id"))
    payment_id: Mapped[str | None] = mapped_column(ForeignKey("payments.id"))  # once it is credited
    first_seen_at: Mapped[datetime] = mapped_column(Instant)
    last_seen_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_by: Mapped[str | None] = mapped_column(Code)
    end_reason: Mapped[str | None] = mapped_column(Words)

    __table_args__ = table_args(
        UniqueConstraint("provider", "provider_payment_id"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("kind IN ('foreign', 'orphan', 'uncredited')", name="kind"),
        CheckConstraint("state IN ('open', 'credited', 'closed')", name="state"),
        CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("(state = 'credited') = (payment_id IS NOT NULL)", name="payment"),
        Index("ix_unmatched_payments_open", "first_seen_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_unmatched_payments_session_id", "session_id"),
    )
