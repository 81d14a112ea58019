"""The calendar of charges and reminders: versions of a seller's, and of what differs for one account."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Code, Count, Flag, Ident, Instant, Json, Words, table_args


class DunningCalendar(Base):
    """One version, in force until the next one of its scope: a seller, or a billing account that differs from its seller."""

    __tablename__ = "dunning_calendars"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    scope_id: Mapped[str] = mapped_column(Ident)  # the account's id, else the seller's
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    billing_account_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))
    version: Mapped[int] = mapped_column(Count)
    is_ended: Mapped[bool] = mapped_column(Flag)  # the account follows its seller again
    steps: Mapped[list[Any]] = mapped_column(Json)  # [["reminder", "due", -3], ["charge", "due", 0], ...]
    reason: Mapped[str] = mapped_column(Words)
    created_by: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("scope_id", "version"), CheckConstraint("version > 0", name="version"), guard=APPEND_ONLY
    )
