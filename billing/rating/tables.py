"""Tables of what usage costs: billing periods, counters, charges, rated lines, postings."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import (
    APPEND_ONLY,
    Base,
    Code,
    Count,
    Day,
    Hash,
    Ident,
    Instant,
    Json,
    Minor,
    Quantity,
    table_args,
)

_OPEN, _NOT_INVOICED = text("draft_id IS NULL"), text("invoiced_at IS NULL")


class BillingPeriod(Base):
    """A month of one billing account in its zone; both instants are stored when it opens. Usage is late once it is invoiced."""

    __tablename__ = "billing_periods"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    label: Mapped[str] = mapped_column(Code)  # "2016-12"
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    invoiced_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("billing_account_id", "label"),
        UniqueConstraint("billing_account_id", "start_at"),
        Index("ix_billing_periods_not_invoiced", "end_at", sqlite_where=_NOT_INVOICED, postgresql_where=_NOT_INVOICED),
    )


class Counter(Base):
    """What a price curve counts: account, price version, segment start, billing period. A cache of its rated lines' sum."""

    __tablename__ = "counters"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    price_version_id: Mapped[str] = mapped_column(ForeignKey("price_versions.id"))
    billing_period_id: Mapped[str] = mapped_column(ForeignKey("billing_periods.id"))
    segment_start_at: Mapped[datetime] = mapped_column(Instant)
    scale: Mapped[dict[str, Any] | None] = mapped_column(
        Json
    )  # its share of the period, where a price with bounds changes in it
    quantity_base: Mapped[int] = mapped_column(Quantity)
    counter_seq: Mapped[int] = mapped_column(Count)  # last line given to it

    __table_args__ = table_args(
        UniqueConstraint("billing_account_id", "price_version_id", "billing_period_id", "segment_start_at")
    )


class Charge(Base):
    """A future invoice line: a counter, for plain per-unit prices one per project. Caches of its lines' and postings' sums.

    `generation` rises when charges of an invoiced period must open again for late usage: the new charge is the next invoice's.
    """

    __tablename__ = "charges"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    counter_id: Mapped[str] = mapped_column(ForeignKey("counters.id"))
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    billing_period_id: Mapped[str] = mapped_column(ForeignKey("billing_periods.id"))
    project_key: Mapped[str] = mapped_column(Ident)  # project id, or "" where the charge is not per project
    generation: Mapped[int] = mapped_column(Count)
    sku_code: Mapped[str] = mapped_column(ForeignKey("sku_catalog.code"))
    currency: Mapped[str] = mapped_column(Code)
    before_base: Mapped[int] = mapped_column(Quantity)  # what earlier generations had counted: late usage starts there
    quantity_base: Mapped[int] = mapped_column(Quantity)
    posted_minor: Mapped[int] = mapped_column(Minor)
    posting_seq: Mapped[int] = mapped_column(Count)
    draft_id: Mapped[str | None] = mapped_column(Ident)  # the draft or invoice that closed it; no line is added after

    __table_args__ = table_args(
        UniqueConstraint("counter_id", "project_key", "generation"),
        Index("ix_charges_billing_period_id", "billing_period_id"),
        Index("ix_charges_draft_id", "draft_id"),
        Index("ix_charges_open", "billing_period_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )


class RatedLine(Base):
    """What one usage record added to its counter. Its derivation follows from these columns and the price alone (RT2)."""

    __tablename__ = "rated_usage_lines"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    line_seq: Mapped[int] = mapped_column(Count)
    usage_record_id: Mapped[str] = mapped_column(ForeignKey("usage_records.id"), unique=True)
    counter_id: Mapped[str] = mapped_column(ForeignKey("counters.id"))
    counter_seq: Mapped[int] = mapped_column(Count)
    charge_id: Mapped[str] = mapped_column(ForeignKey("charges.id"))
    price_version_id: Mapped[str] = mapped_column(ForeignKey("price_versions.id"))
    quantity_base: Mapped[int] = mapped_column(Quantity)
    before_base: Mapped[int] = mapped_column(Quantity)
    amount_micro: Mapped[int] = mapped_column(Quantity)  # millionths of a minor unit; shown, never summed to be rounded
    currency: Mapped[str] = mapped_column(Code)
    rated_at: Mapped[datetime] = mapped_column(Instant)
    line_hash: Mapped[str] = mapped_column(Hash)

    __table_args__ = table_args(
        UniqueConstraint("billing_account_id", "line_seq"),
        UniqueConstraint("counter_id", "counter_seq"),
        Index("ix_rated_usage_lines_charge_id", "charge_id", "line_seq"),
        guard=APPEND_ONLY,
    )


class UnratedUsage(Base):
    """A usage record that could not be rated when rating looked at it. It waits here, counted and shown, until a price exists.

    `price_state` says which prices, plans and subscriptions there were at that look: it is looked at again when they change.
    """

    __tablename__ = "unrated_usage"

    usage_record_id: Mapped[str] = mapped_column(ForeignKey("usage_records.id"), primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    reason: Mapped[str] = mapped_column(Code)
    price_state: Mapped[str] = mapped_column(Code)
    since_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(Index("ix_unrated_usage_billing_account_id", "billing_account_id", "price_state"))


class Posting(Base):
    """One charge brought up to date in the ledger: increment = R(exact so far) - posted so far (Law 2)."""

    __tablename__ = "postings"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    charge_id: Mapped[str] = mapped_column(ForeignKey("charges.id"))
    seq: Mapped[int] = mapped_column(Count)
    transaction_id: Mapped[str] = mapped_column(ForeignKey("ledger_transactions.id"))
    from_line_seq: Mapped[int] = mapped_column(Count)  # the charge's lines in (from, to] of the account's line_seq
    to_line_seq: Mapped[int] = mapped_column(Count)
    quantity_base: Mapped[int] = mapped_column(Quantity)  # the charge's quantity after it
    increment_minor: Mapped[int] = mapped_column(Minor)
    posted_minor: Mapped[int] = mapped_column(Minor)  # the charge's amount after it
    currency: Mapped[str] = mapped_column(Code)

    __table_args__ = table_args(
        UniqueConstraint("charge_id", "seq"),
        CheckConstraint("to_line_seq > from_line_seq", name="lines"),
        Index("ix_postings_transaction_id", "transaction_id"),
        guard=APPEND_ONLY,
    )


class CounterRescale(Base):
    """A counter whose share of its period changed after lines were rated: from this line on, its curve has the new bounds (Law 1).

    The line has quantity 0 and adds the new curve minus the old one at the counter's quantity.
    """

    __tablename__ = "counter_rescales"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    counter_id: Mapped[str] = mapped_column(ForeignKey("counters.id"))
    counter_seq: Mapped[int] = mapped_column(Count)
    line_seq: Mapped[int] = mapped_column(Count)
    old_scale: Mapped[dict[str, Any] | None] = mapped_column(Json)
    new_scale: Mapped[dict[str, Any] | None] = mapped_column(Json)
    rescaled_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("counter_id", "counter_seq"),
        Index("ix_counter_rescales_billing_account_id", "billing_account_id"),
        guard=APPEND_ONLY,
    )


class RatedDay(Base):
    """What one day of an account's zone cost it by SKU, project, resource, route, submitter and tags: sums of its rated lines.

    They can be rebuilt from the lines at any time. `amount_micro` is for charts and comparisons; what is owed is the ledger's. A
    line over several days is shared out by time, and counted in the first of them. An account in UTC has UTC days.
    """

    __tablename__ = "rated_days"

    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Day, primary_key=True)
    key: Mapped[str] = mapped_column(Hash, primary_key=True)  # of the columns that follow, up to tags
    currency: Mapped[str] = mapped_column(Code)
    sku_code: Mapped[str] = mapped_column(ForeignKey("sku_catalog.code"))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    resource: Mapped[str] = mapped_column(Code)
    route: Mapped[str | None] = mapped_column(Code)
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    tags: Mapped[dict[str, Any]] = mapped_column(Json)
    quantity_base: Mapped[int] = mapped_column(Quantity)
    amount_micro: Mapped[int] = mapped_column(Quantity)
    line_count: Mapped[int] = mapped_column(Count)

    __table_args__ = table_args()


class RatedDayMark(Base):
    """The last rated line of an account that its days hold, and the zone that they are days of."""

    __tablename__ = "rated_day_marks"

    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"), primary_key=True)
    line_seq: Mapped[int] = mapped_column(Count)
    zone: Mapped[str] = mapped_column(Code, default="UTC")

    __table_args__ = table_args()
