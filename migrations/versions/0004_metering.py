"""What was used."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "usage_imports",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("source", types.ident(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("read_count", types.count(), nullable=False),
        sa.Column("accepted_count", types.count(), nullable=False),
        sa.Column("duplicate_count", types.count(), nullable=False),
        sa.Column("rejected_count", types.count(), nullable=False),
        sa.Column("open_count", types.count(), nullable=False),
        sa.Column("started_at", types.instant(), nullable=False),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_imports")),
        sqlite_strict=True,
    )
    op.create_table(
        "usage_rejects",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("import_id", types.ident(), nullable=True),
        sa.Column("source", types.ident(), nullable=False),
        sa.Column("line_number", types.count(), nullable=True),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("reason", types.ident(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("rejected_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["usage_imports.id"], name=op.f("fk_usage_rejects_import_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_rejects")),
        sqlite_strict=True,
    )
    op.create_index("ix_usage_rejects_import_id", "usage_rejects", ["import_id", "line_number"], unique=False)
    op.create_table(
        "allocations",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("source", types.ident(), nullable=False),
        sa.Column("source_id", types.ident(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("closing_hash", types.ident(), nullable=True),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("project_id", types.ident(), nullable=True),
        sa.Column("member_id", types.ident(), nullable=True),
        sa.Column("resource", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_live", types.flag(), nullable=False),
        sa.Column("started_at", types.instant(), nullable=False),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.Column("accrued_at", types.instant(), nullable=False),
        sa.Column("shape", sa.Text(), nullable=False),
        sa.Column("node_count", types.count(), nullable=True),
        sa.Column("outcome", types.ident(), nullable=True),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.CheckConstraint("ended_at IS NULL OR ended_at >= started_at", name=op.f("ck_allocations_end")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_allocations_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_allocations_member_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_allocations_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocations")),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_allocations_source_source_id")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_allocations_billing_account_id", "allocations", ["billing_account_id", "started_at"], unique=False
    )
    op.create_index("ix_allocations_open", "allocations", ["is_live", "ended_at"], unique=False)
    op.create_table(
        "allocation_changes",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("allocation_id", types.ident(), nullable=False),
        sa.Column("event_id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("changed_at", types.instant(), nullable=False),
        sa.Column("shape", sa.Text(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocations.id"], name=op.f("fk_allocation_changes_allocation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation_changes")),
        sa.UniqueConstraint(
            "allocation_id", "changed_at", "kind", name=op.f("uq_allocation_changes_allocation_id_changed_at_kind")
        ),
        sa.UniqueConstraint("allocation_id", "event_id", name=op.f("uq_allocation_changes_allocation_id_event_id")),
        sqlite_strict=True,
    )
    op.create_table(
        "usage_records",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("usage_seq", types.count(), nullable=False),
        sa.Column("source", types.ident(), nullable=False),
        sa.Column("source_id", types.ident(), nullable=False),
        sa.Column("meter_code", types.ident(), nullable=False),
        sa.Column("start_at", types.instant(), nullable=False),
        sa.Column("end_at", types.instant(), nullable=False),
        sa.Column("quantity_base", types.quantity(), nullable=False),
        sa.Column("allocation_id", types.ident(), nullable=True),
        sa.Column("project_id", types.ident(), nullable=True),
        sa.Column("member_id", types.ident(), nullable=True),
        sa.Column("resource", types.ident(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("record_hash", types.ident(), nullable=False),
        sa.Column("import_id", types.ident(), nullable=True),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.CheckConstraint("end_at >= start_at", name=op.f("ck_usage_records_end")),
        sa.ForeignKeyConstraint(["allocation_id"], ["allocations.id"], name=op.f("fk_usage_records_allocation_id")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_usage_records_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["import_id"], ["usage_imports.id"], name=op.f("fk_usage_records_import_id")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_usage_records_member_id")),
        sa.ForeignKeyConstraint(["meter_code"], ["meters.code"], name=op.f("fk_usage_records_meter_code")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_usage_records_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_records")),
        sa.UniqueConstraint(
            "billing_account_id", "usage_seq", name=op.f("uq_usage_records_billing_account_id_usage_seq")
        ),
        sa.UniqueConstraint(
            "source",
            "source_id",
            "meter_code",
            "start_at",
            name=op.f("uq_usage_records_source_source_id_meter_code_start_at"),
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_usage_records_allocation_id", "usage_records", ["allocation_id"], unique=False)
    op.create_index("ix_usage_records_window", "usage_records", ["billing_account_id", "start_at"], unique=False)


def downgrade() -> None:
    op.drop_table("usage_records")
    op.drop_table("allocation_changes")
    op.drop_table("allocations")
    op.drop_table("usage_rejects")
    op.drop_table("usage_imports")
