"""Counters, the inbox of usage events, and reserved hours."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "counter_readings",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("source", types.ident(), nullable=False),
        sa.Column("source_id", types.ident(), nullable=False),
        sa.Column("series", types.ident(), nullable=False),
        sa.Column("meter_code", types.ident(), nullable=False),
        sa.Column("read_at", types.instant(), nullable=False),
        sa.Column("value_base", types.quantity(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_counter_readings_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["meter_code"], ["meters.code"], name=op.f("fk_counter_readings_meter_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counter_readings")),
        sa.UniqueConstraint(
            "source",
            "series",
            "meter_code",
            "read_at",
            name=op.f("uq_counter_readings_source_series_meter_code_read_at"),
        ),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_counter_readings_source_source_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_counter_readings_billing_account_id", "counter_readings", ["billing_account_id"], unique=False)
    op.create_table(
        "usage_inbox",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("source", types.ident(), nullable=False),
        sa.Column("source_id", types.ident(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("reason", types.ident(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("received_at", types.instant(), nullable=False),
        sa.Column("consumed_at", types.instant(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'consumed', 'refused')", name=op.f("ck_usage_inbox_state")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_usage_inbox_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_inbox")),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_usage_inbox_source_source_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_usage_inbox_state", "usage_inbox", ["state", "received_at"], unique=False)
    op.create_table(
        "reserved_hours",
        sa.Column("reservation_id", types.ident(), nullable=False),
        sa.Column("hour_at", types.instant(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("used_base", types.quantity(), nullable=False),
        sa.Column("reserved_base", types.quantity(), nullable=False),
        sa.Column("unused_base", types.quantity(), nullable=False),
        sa.Column("revision", types.count(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_reserved_hours_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["reservation_id"], ["reservations.id"], name=op.f("fk_reserved_hours_reservation_id")),
        sa.PrimaryKeyConstraint("reservation_id", "hour_at", name=op.f("pk_reserved_hours")),
        sqlite_strict=True,
    )
    op.create_index("ix_reserved_hours_billing_account_id", "reserved_hours", ["billing_account_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_reserved_hours_billing_account_id", table_name="reserved_hours")
    op.drop_table("reserved_hours")
    op.drop_index("ix_usage_inbox_state", table_name="usage_inbox")
    op.drop_table("usage_inbox")
    op.drop_index("ix_counter_readings_billing_account_id", table_name="counter_readings")
    op.drop_table("counter_readings")
