"""Tables of what was sent to whom."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import Base, Code, Count, Ident, Instant, Words, table_args


class Delivery(Base):
    """One notice on its way to one recipient by one channel: tried until it is sent, or given up."""

    __tablename__ = "notice_deliveries"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("outbox_messages.id"))
    billing_account_id: Mapped[str | None] = mapped_column(Ident)
    channel: Mapped[str] = mapped_column(Code)
    recipient: Mapped[str] = mapped_column(Code)  # an e-mail address, or a webhook endpoint's id
    state: Mapped[str] = mapped_column(Code)
    attempts: Mapped[int] = mapped_column(Count, default=0)
    created_at: Mapped[datetime] = mapped_column(Instant)
    next_attempt_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Words)
    correlation_id: Mapped[str | None] = mapped_column(Code)
    sending_at: Mapped[datetime | None] = mapped_column(Instant)  # since when a worker has it, None between the tries
    set_aside_at: Mapped[datetime | None] = mapped_column(Instant)  # a person took a failed one off the list

    __table_args__ = table_args(
        CheckConstraint("channel IN ('email', 'webhook')", name="channel"),
        CheckConstraint("state IN ('waiting', 'sent', 'failed')", name="state"),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended"),
        UniqueConstraint("message_id", "channel", "recipient"),
        Index("ix_notice_deliveries_due", "state", "next_attempt_at"),
        Index("ix_notice_deliveries_billing_account_id", "billing_account_id", "id"),
    )
