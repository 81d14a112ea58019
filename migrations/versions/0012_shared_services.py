"""The audit chain, signing keys, limits over all processes, long works."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "audit_seals",
        sa.Column("audit_id", types.ident(), nullable=False),
        sa.Column("seq", types.count(), nullable=False),
        sa.Column("row_hash", types.ident(), nullable=False),
        sa.Column("chain_hash", types.ident(), nullable=False),
        sa.Column("sealed_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit_log.id"], name=op.f("fk_audit_seals_audit_id")),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_seals")),
        sa.UniqueConstraint("seq", name=op.f("uq_audit_seals_seq")),
        info={"guard": "append_only"},
        sqlite_strict=True,
    )
    op.create_table(
        "signing_keys",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("public_key", types.ident(), nullable=False),
        sa.Column("fingerprint", types.ident(), nullable=False),
        sa.Column("previous_id", types.ident(), nullable=True),
        sa.Column("signature", types.ident(), nullable=True),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint("(previous_id IS NULL) = (signature IS NULL)", name=op.f("ck_signing_keys_signature")),
        sa.ForeignKeyConstraint(["previous_id"], ["signing_keys.id"], name=op.f("fk_signing_keys_previous_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_signing_keys_fingerprint")),
        sa.UniqueConstraint("previous_id", name=op.f("uq_signing_keys_previous_id")),
        sa.UniqueConstraint("public_key", name=op.f("uq_signing_keys_public_key")),
        info={"guard": "append_only"},
        sqlite_strict=True,
    )
    op.create_table(
        "rate_limits",
        sa.Column("bucket", types.ident(), nullable=False),
        sa.Column("window_started_at", types.instant(), nullable=False),
        sa.Column("used_count", types.count(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_rate_limits")),
        info={"guard": None},
        sqlite_strict=True,
    )
    op.create_index("ix_rate_limits_window_started_at", "rate_limits", ["window_started_at"], unique=False)
    op.create_table(
        "works",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("form_key", types.ident(), nullable=False),
        sa.Column("requested_by", types.ident(), nullable=False),
        sa.Column("requested_at", types.instant(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("total_count", types.count(), nullable=True),
        sa.Column("done_count", types.count(), nullable=False),
        sa.Column("started_at", types.instant(), nullable=True),
        sa.Column("moved_at", types.instant(), nullable=True),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.CheckConstraint("(state IN ('succeeded', 'failed')) = (ended_at IS NOT NULL)", name=op.f("ck_works_ended")),
        sa.CheckConstraint("state IN ('waiting', 'running', 'succeeded', 'failed')", name=op.f("ck_works_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_works")),
        sa.UniqueConstraint("form_key", name=op.f("uq_works_form_key")),
        info={"guard": None},
        sqlite_strict=True,
    )
    op.create_index("ix_works_state", "works", ["state", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_works_state", table_name="works")
    op.drop_table("works")
    op.drop_index("ix_rate_limits_window_started_at", table_name="rate_limits")
    op.drop_table("rate_limits")
    op.drop_table("signing_keys")
    op.drop_table("audit_seals")
