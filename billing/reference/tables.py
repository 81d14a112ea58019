"""Tables of facts from outside."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Code, Count, Day, Hash, Ident, Instant, table_args


class FxSnapshot(Base):
    """The rates that one source published for one day: written once, never changed (FX1)."""

    __tablename__ = "billing_fx_rate_snapshots"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    source: Mapped[str] = mapped_column(Code)  # ECB, or a code for whoever else publishes rates
    published_on: Mapped[date] = mapped_column(Day)
    base_currency: Mapped[str] = mapped_column(Code)
    rate_count: Mapped[int] = mapped_column(Count)
    content_hash: Mapped[str] = mapped_column(Hash)
    imported_at: Mapped[datetime] = mapped_column(Instant)
    imported_by: Mapped[str] = mapped_column(Code)

    __table_args__ = table_args(
        UniqueConstraint("source", "published_on"),
        CheckConstraint("rate_count > 0", name="rate_count"),
        Index("ix_billing_fx_rate_snapshots_published_on", "published_on"),
        guard=APPEND_ONLY,
    )


class FxRate(Base):
    """One rate of a snapshot: units of `currency` for one euro, as the decimal text that was published."""

    __tablename__ = "fx_rates"

    source: Mapped[str] = mapped_column(Code, primary_key=True)
    published_on: Mapped[date] = mapped_column(Day, primary_key=True)
    currency: Mapped[str] = mapped_column(Code, primary_key=True)
    rate_text: Mapped[str] = mapped_column(Code)
    snapshot_id: Mapped[str] = mapped_column(ForeignKey("billing_fx_rate_snapshots.id"))

    __table_args__ = table_args(Index("ix_fx_rates_currency", "currency", "published_on", "source"), guard=APPEND_ONLY)
