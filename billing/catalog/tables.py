"""Tables of what is counted and what it costs."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import (
    APPEND_ONLY,
    Base,
    Code,
    Count,
    Hash,
    Ident,
    Instant,
    Json,
    Quantity,
    Words,
    table_args,
)


class Meter(Base):
    """What is counted: an integer base unit, and the exact divisor to the unit that is priced and shown."""

    __tablename__ = "meters"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    unit: Mapped[str] = mapped_column(Code)  # the unit that is priced: "GPU-hour"
    base_unit: Mapped[str] = mapped_column(Code)  # the unit at rest: "1/21000 GPU x millisecond"
    base_per_unit: Mapped[int] = mapped_column(Quantity)
    description: Mapped[str] = mapped_column(Words)

    __table_args__ = table_args(guard=APPEND_ONLY)


class Sku(Base):
    """A thing that is sold: one meter under a family, named `service/usage_type`."""

    __tablename__ = "sku_catalog"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    meter_code: Mapped[str] = mapped_column(ForeignKey("meters.code"), unique=True)
    family: Mapped[str] = mapped_column(Code)  # revenue:{family}
    name: Mapped[str] = mapped_column(Words)

    __table_args__ = table_args()


class PriceBook(Base):
    """A named set of prices. A changed book is a new version of it; the old one stays."""

    __tablename__ = "price_books"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    code: Mapped[str] = mapped_column(Code)
    version: Mapped[int] = mapped_column(Count)
    name: Mapped[str] = mapped_column(Words)
    origin: Mapped[str] = mapped_column(Code)  # bootstrap, file
    content_hash: Mapped[str] = mapped_column(Hash)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("code", "version"), UniqueConstraint("code", "content_hash"), guard=APPEND_ONLY
    )


class PriceVersion(Base):
    """One immutable price of one SKU, in force for usage that starts in [valid_from, next version's valid_from)."""

    __tablename__ = "price_versions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    price_book_id: Mapped[str] = mapped_column(ForeignKey("price_books.id"))
    book_code: Mapped[str] = mapped_column(Code)
    sku_code: Mapped[str] = mapped_column(ForeignKey("sku_catalog.code"))
    currency: Mapped[str] = mapped_column(Code)
    model: Mapped[str] = mapped_column(Code)  # per_unit, graduated, ...: the names in rating.curves
    parameters: Mapped[dict[str, Any]] = mapped_column(Json)  # unit prices as decimal text, bounds in priced units
    valid_from: Mapped[datetime] = mapped_column(Instant)
    price_hash: Mapped[str] = mapped_column(Hash)

    __table_args__ = table_args(
        UniqueConstraint("book_code", "sku_code", "currency", "valid_from"),
        Index("ix_price_versions_price_book_id", "price_book_id"),
        guard=APPEND_ONLY,
    )


class Plan(Base):
    """What an account subscribes to."""

    __tablename__ = "pricing_plans"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    code: Mapped[str] = mapped_column(Code, unique=True)
    name: Mapped[str] = mapped_column(Words)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args()


class PlanVersion(Base):
    """The price book a plan uses from an instant on."""

    __tablename__ = "pricing_plan_versions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    plan_id: Mapped[str] = mapped_column(ForeignKey("pricing_plans.id"))
    version: Mapped[int] = mapped_column(Count)
    book_code: Mapped[str] = mapped_column(Code)
    valid_from: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("plan_id", "version"), UniqueConstraint("plan_id", "valid_from"), guard=APPEND_ONLY
    )


class Subscription(Base):
    """An account's plan from an instant on; the next row of the account ends it."""

    __tablename__ = "subscriptions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    plan_id: Mapped[str] = mapped_column(ForeignKey("pricing_plans.id"))
    valid_from: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(UniqueConstraint("billing_account_id", "valid_from"), guard=APPEND_ONLY)
