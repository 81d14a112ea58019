"""Tables of what is counted and what it costs."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import (
    APPEND_ONLY,
    Base,
    Code,
    Count,
    Flag,
    Hash,
    Ident,
    Instant,
    Json,
    Minor,
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
    """A thing that is sold: one item of usage under a family, named `service/usage_type`.

    An item is a meter, a variant of it (a GPU or token model; "" for any) and a mode (on_demand, spot, reserved, unused).
    """

    __tablename__ = "sku_catalog"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    meter_code: Mapped[str] = mapped_column(ForeignKey("meters.code"))
    variant: Mapped[str] = mapped_column(Code, default="")
    mode: Mapped[str] = mapped_column(Code, default="on_demand")
    family: Mapped[str] = mapped_column(Code)  # revenue:{family}
    name: Mapped[str] = mapped_column(Words)

    __table_args__ = table_args(
        UniqueConstraint("meter_code", "variant", "mode"),
        CheckConstraint("mode IN ('on_demand', 'spot', 'reserved', 'unused')", name="mode"),
    )


class PriceBook(Base):
    """A named set of prices. A changed book is a new version of it; the old one stays. Its prices are in force once it is activated.

    A book with a billing account is that account's own: its prices replace those of the plan (overrides).
    """

    __tablename__ = "price_books"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    code: Mapped[str] = mapped_column(Code)
    version: Mapped[int] = mapped_column(Count)
    name: Mapped[str] = mapped_column(Words)
    origin: Mapped[str] = mapped_column(Code)  # bootstrap, file, override
    billing_account_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))
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
    billing_account_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))  # as its book's

    __table_args__ = table_args(
        UniqueConstraint("price_book_id", "sku_code", "currency", "valid_from"),
        Index("ix_price_versions_book_code", "book_code", "sku_code", "currency", "valid_from"),
        Index("ix_price_versions_price_book_id", "price_book_id"),
        Index("ix_price_versions_billing_account_id", "billing_account_id"),
        guard=APPEND_ONLY,
    )


class PriceBookActivation(Base):
    """What let the prices of one version of a book come into force: bootstrap, a fresh shadow rating inside its limits, or two people."""

    __tablename__ = "price_book_activations"

    price_book_id: Mapped[str] = mapped_column(ForeignKey("price_books.id"), primary_key=True)
    gate: Mapped[str] = mapped_column(Code)
    trial_id: Mapped[str | None] = mapped_column(ForeignKey("price_trials.id"))
    approval_id: Mapped[str | None] = mapped_column(Ident)
    actor: Mapped[str] = mapped_column(Code)
    activated_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("gate IN ('bootstrap', 'trial', 'second_person', 'override')", name="gate"),
        CheckConstraint("(gate = 'trial') = (trial_id IS NOT NULL)", name="trial"),
        CheckConstraint("(gate = 'second_person') = (approval_id IS NOT NULL)", name="second_person"),
        guard=APPEND_ONLY,
    )


class PriceTrial(Base):
    """One shadow rating: candidate prices over a past stretch of time, beside what was really charged. Written once, when it is done.

    `content_hash` is the candidate book's; `scope` says which accounts; `result` holds totals per currency, deltas per account,
    the largest movers among lines, and the distribution; amounts in millionths of a minor unit, as decimal text.
    """

    __tablename__ = "price_trials"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    book_code: Mapped[str] = mapped_column(Code)
    content_hash: Mapped[str] = mapped_column(Hash)
    price_book_id: Mapped[str | None] = mapped_column(
        ForeignKey("price_books.id")
    )  # None: a file that was never loaded
    from_at: Mapped[datetime] = mapped_column(Instant)
    to_at: Mapped[datetime] = mapped_column(Instant)
    scope: Mapped[dict[str, Any]] = mapped_column(Json)
    row_bound: Mapped[int] = mapped_column(Count)
    row_count: Mapped[int] = mapped_column(Count)
    is_whole: Mapped[bool] = mapped_column(Flag)  # False: the bound was reached before the end
    limits: Mapped[dict[str, Any]] = mapped_column(Json)
    is_inside: Mapped[bool] = mapped_column(Flag)
    result: Mapped[dict[str, Any]] = mapped_column(Json)
    actor: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("to_at > from_at", name="range"),
        Index("ix_price_trials_content_hash", "content_hash", "created_at"),
        guard=APPEND_ONLY,
    )


class PriceOverride(Base):
    """One SKU's price for one billing account from an instant on, in place of its plan's; without a book the plan's price is back."""

    __tablename__ = "price_overrides"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    sku_code: Mapped[str] = mapped_column(ForeignKey("sku_catalog.code"))
    valid_from: Mapped[datetime] = mapped_column(Instant)
    price_version_id: Mapped[str | None] = mapped_column(ForeignKey("price_versions.id"))
    reason: Mapped[str] = mapped_column(Words)
    actor: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(UniqueConstraint("billing_account_id", "sku_code", "valid_from"), guard=APPEND_ONLY)


class Plan(Base):
    """What an account subscribes to."""

    __tablename__ = "pricing_plans"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    code: Mapped[str] = mapped_column(Code, unique=True)
    name: Mapped[str] = mapped_column(Words)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args()


class PlanVersion(Base):
    """The price book a plan uses from an instant on, and its terms: recurring fees, minimum spend, percentages, price lock.

    `terms` are as `catalog.terms` reads them; {} for a plan of prices alone.
    """

    __tablename__ = "pricing_plan_versions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    plan_id: Mapped[str] = mapped_column(ForeignKey("pricing_plans.id"))
    version: Mapped[int] = mapped_column(Count)
    book_code: Mapped[str] = mapped_column(Code)
    valid_from: Mapped[datetime] = mapped_column(Instant)
    terms: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)

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
    take: Mapped[int] = mapped_column(Count, default=0)  # how many for that instant were withdrawn before it
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(UniqueConstraint("billing_account_id", "valid_from", "take"), guard=APPEND_ONLY)


class SubscriptionWithdrawal(Base):
    """A change of plan that was taken back before it began."""

    __tablename__ = "subscription_withdrawals"

    subscription_id: Mapped[str] = mapped_column(ForeignKey("subscriptions.id"), primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    withdrawn_by: Mapped[str] = mapped_column(Code)
    withdrawn_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(guard=APPEND_ONLY)


class CommitContract(Base):
    """A commitment: an amount paid in advance and drawn down by what is charged while it runs; what is left then lapses.

    What is left at any time is read from the ledger's entries that name the contract, never kept here.
    """

    __tablename__ = "commit_contracts"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    name: Mapped[str] = mapped_column(Words)
    currency: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int] = mapped_column(Minor)  # net
    families: Mapped[list[str]] = mapped_column(Json)  # what may draw on it; [] for all
    starts_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant)
    sale_invoice_id: Mapped[str | None] = mapped_column(Ident)
    lapsed_at: Mapped[datetime | None] = mapped_column(Instant)
    actor: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("ends_at > starts_at", name="range"),
        Index("ix_commit_contracts_billing_account_id", "billing_account_id", "starts_at"),
    )


class Reservation(Base):
    """Capacity that an account pays for whether it is used or not: usage of the item inside it is reserved, the rest on demand."""

    __tablename__ = "reservations"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    name: Mapped[str] = mapped_column(Words)
    meter_code: Mapped[str] = mapped_column(ForeignKey("meters.code"))
    variant: Mapped[str] = mapped_column(Code)
    rate_base: Mapped[int] = mapped_column(Quantity)  # base units per millisecond: 8 GPUs are 8 x 21000
    starts_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime | None] = mapped_column(Instant)
    matched_at: Mapped[datetime] = mapped_column(Instant)  # every hour that ended by then has been matched
    actor: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="range"),
        Index("ix_reservations_billing_account_id", "billing_account_id", "starts_at"),
    )
