"""Tables of what was used."""

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
    Quantity,
    Words,
    table_args,
)


class Allocation(Base):
    """Something that runs for a while: a scheduler job or a live allocation. Its usage is the windows that point to it.

    `shape` maps meter code -> quantity per millisecond in base units (gib_hour: bytes, which is base units per second), as decimal
    text, since its last change. A live allocation (`is_live`) is extended by accrual up to `accrued_at`; a job from a log is counted when the log says it ended.
    """

    __tablename__ = "allocations"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    source: Mapped[str] = mapped_column(Code)
    source_id: Mapped[str] = mapped_column(Code)
    content_hash: Mapped[str] = mapped_column(Hash)  # of the facts that opened it
    closing_hash: Mapped[str | None] = mapped_column(Hash)  # of the facts that closed it
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    resource: Mapped[str] = mapped_column(Code)  # what is allocated: "pozidriv/croutons", "h100x8"
    variant: Mapped[str] = mapped_column(Code, default="")  # model of its GPUs: "h100"
    mode: Mapped[str] = mapped_column(Code, default="on_demand")
    name: Mapped[str] = mapped_column(Words)
    is_live: Mapped[bool] = mapped_column(Flag)
    started_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    accrued_at: Mapped[datetime] = mapped_column(Instant)
    shape: Mapped[dict[str, str]] = mapped_column(Json)
    tags: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    node_count: Mapped[int | None] = mapped_column(Count)  # nodes a job really had; 0: cancelled before it got one
    outcome: Mapped[str | None] = mapped_column(Code)  # source's last word: COMPLETED, released, release_failed
    correlation_id: Mapped[str | None] = mapped_column(Code)
    recorded_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("source", "source_id"),
        CheckConstraint("ended_at IS NULL OR ended_at >= started_at", name="end"),
        Index("ix_allocations_billing_account_id", "billing_account_id", "started_at"),
        Index("ix_allocations_open", "is_live", "ended_at"),
    )


class AllocationChange(Base):
    """One step of an allocation's life, exactly as it was told: opened, reconfigured, stopped, started, released, release_failed."""

    __tablename__ = "allocation_changes"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    allocation_id: Mapped[str] = mapped_column(ForeignKey("allocations.id"))
    event_id: Mapped[str] = mapped_column(Code)
    kind: Mapped[str] = mapped_column(Code)
    changed_at: Mapped[datetime] = mapped_column(Instant)
    shape: Mapped[dict[str, str]] = mapped_column(Json)
    content_hash: Mapped[str] = mapped_column(Hash)
    recorded_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("allocation_id", "event_id"),
        UniqueConstraint("allocation_id", "changed_at", "kind"),
        guard=APPEND_ONLY,
    )


class UsageRecord(Base):
    """One window [start_at, end_at) or one counted event (start = end) of one meter, with full attribution. Never changed.

    `usage_seq` is its number in the account, given under the account's lock. Windows are cut at borders of billing periods and
    of prices, so each belongs to exactly one counter. `variant` and `mode` tell items of one meter apart (a GPU or token model;
    on_demand, spot, reserved, unused). A correction names the record it corrects; its quantity may be negative.
    """

    __tablename__ = "usage_records"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    usage_seq: Mapped[int] = mapped_column(Count)
    source: Mapped[str] = mapped_column(Code)
    source_id: Mapped[str] = mapped_column(Code)
    meter_code: Mapped[str] = mapped_column(ForeignKey("meters.code"))
    variant: Mapped[str] = mapped_column(Code, default="")
    mode: Mapped[str] = mapped_column(Code, default="on_demand")
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    quantity_base: Mapped[int] = mapped_column(Quantity)
    allocation_id: Mapped[str | None] = mapped_column(ForeignKey("allocations.id"))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    resource: Mapped[str] = mapped_column(Code)
    route: Mapped[str | None] = mapped_column(Code)  # of managed ingress: "api.example/v1/chat"
    route_kind: Mapped[str | None] = mapped_column(Code)  # api_bearer, browser
    reseller_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))
    corrects_id: Mapped[str | None] = mapped_column(ForeignKey("usage_records.id"))
    tags: Mapped[dict[str, Any]] = mapped_column(Json)
    correlation_id: Mapped[str | None] = mapped_column(Code)
    content_hash: Mapped[str] = mapped_column(Hash)  # of what the source said
    record_hash: Mapped[str] = mapped_column(Hash)  # of this row: what rated lines and the chain build on
    import_id: Mapped[str | None] = mapped_column(ForeignKey("usage_imports.id"))
    recorded_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("source", "source_id", "meter_code", "start_at"),
        UniqueConstraint("billing_account_id", "usage_seq"),
        CheckConstraint("end_at >= start_at", name="end"),
        Index("ix_usage_records_window", "billing_account_id", "start_at"),
        Index("ix_usage_records_allocation_id", "allocation_id"),
        Index("ix_usage_records_corrects_id", "corrects_id"),
        guard=APPEND_ONLY,
    )


class UsageImport(Base):
    """One run of a file import: counts that sum to what was read, and where it stopped."""

    __tablename__ = "usage_imports"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    source: Mapped[str] = mapped_column(Code)
    file_name: Mapped[str] = mapped_column(Words)
    actor: Mapped[str] = mapped_column(Code)
    read_count: Mapped[int] = mapped_column(Count, default=0)
    accepted_count: Mapped[int] = mapped_column(Count, default=0)
    duplicate_count: Mapped[int] = mapped_column(Count, default=0)
    rejected_count: Mapped[int] = mapped_column(Count, default=0)
    open_count: Mapped[int] = mapped_column(Count, default=0)
    started_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args()


class UsageReject(Base):
    """One line or event that was refused, kept with its reason so that nothing is lost."""

    __tablename__ = "usage_rejects"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    import_id: Mapped[str | None] = mapped_column(ForeignKey("usage_imports.id"))
    source: Mapped[str] = mapped_column(Code)
    line_number: Mapped[int | None] = mapped_column(Count)
    source_id: Mapped[str | None] = mapped_column(Words)
    reason: Mapped[str] = mapped_column(Code)
    detail: Mapped[str] = mapped_column(Words)
    raw: Mapped[str] = mapped_column(Words)
    rejected_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(Index("ix_usage_rejects_import_id", "import_id", "line_number"), guard=APPEND_ONLY)


class CounterReading(Base):
    """One reading of a counter that only rises until it starts again at zero; what it added to usage is its record's quantity."""

    __tablename__ = "counter_readings"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    source: Mapped[str] = mapped_column(Code)
    source_id: Mapped[str] = mapped_column(Code)  # of the event that told it
    series: Mapped[str] = mapped_column(Code)  # which counter: "node-7/eth0"
    meter_code: Mapped[str] = mapped_column(ForeignKey("meters.code"))
    read_at: Mapped[datetime] = mapped_column(Instant)
    value_base: Mapped[int] = mapped_column(Quantity)
    content_hash: Mapped[str] = mapped_column(Hash)
    recorded_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("source", "source_id"),
        UniqueConstraint("source", "series", "meter_code", "read_at"),
        Index("ix_counter_readings_billing_account_id", "billing_account_id"),
        guard=APPEND_ONLY,
    )


class InboxEvent(Base):
    """An event that was taken over from its sender and is kept until it has become usage, or was refused for a reason."""

    __tablename__ = "usage_inbox"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    source: Mapped[str] = mapped_column(Code)
    source_id: Mapped[str] = mapped_column(Code)
    content_hash: Mapped[str] = mapped_column(Hash)
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Code)
    reason: Mapped[str | None] = mapped_column(Code)
    detail: Mapped[str | None] = mapped_column(Words)
    received_at: Mapped[datetime] = mapped_column(Instant)
    consumed_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("source", "source_id"),
        CheckConstraint("state IN ('waiting', 'consumed', 'refused')", name="state"),
        Index("ix_usage_inbox_state", "state", "received_at"),
    )


class ReservedHour(Base):
    """How far one hour of a reservation has been matched, in base units: what was used in it, and what of that was booked.

    An hour with a border of months or prices inside has a row for each part. `shares` says the same by taker (`project id/allocation id`):
    {"used": {project: base}, "reserved": {project: base}}, decimal text. All of it follows from the usage records.
    """

    __tablename__ = "reserved_hours"

    reservation_id: Mapped[str] = mapped_column(ForeignKey("reservations.id"), primary_key=True)
    hour_at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    used_base: Mapped[int] = mapped_column(Quantity)
    reserved_base: Mapped[int] = mapped_column(Quantity)
    unused_base: Mapped[int] = mapped_column(Quantity)
    shares: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    revision: Mapped[int] = mapped_column(Count)

    __table_args__ = table_args(Index("ix_reserved_hours_billing_account_id", "billing_account_id"))
