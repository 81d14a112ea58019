"""Acts that wait for a second person."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("act", types.ident(), nullable=False),
        sa.Column("subject_type", types.ident(), nullable=False),
        sa.Column("subject_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("maker", types.ident(), nullable=False),
        sa.Column("requested_at", types.instant(), nullable=False),
        sa.Column("expires_at", types.instant(), nullable=False),
        sa.Column("form_key", types.ident(), nullable=True),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("checker", types.ident(), nullable=True),
        sa.Column("decided_at", types.instant(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'requested') = (decided_at IS NULL)", name=op.f("ck_approvals_decided")),
        sa.CheckConstraint(
            "state IN ('requested', 'approved', 'rejected', 'withdrawn', 'expired')", name=op.f("ck_approvals_state")
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'rejected') OR checker IS NOT NULL", name=op.f("ck_approvals_checker")
        ),
        sa.CheckConstraint("checker IS NULL OR checker <> maker", name=op.f("ck_approvals_second_person")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_approvals_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("form_key", name=op.f("uq_approvals_form_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_approvals_state", "approvals", ["state", "requested_at"], unique=False)
    op.create_index("ix_approvals_subject", "approvals", ["subject_type", "subject_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_approvals_subject", table_name="approvals")
    op.drop_index("ix_approvals_state", table_name="approvals")
    op.drop_table("approvals")
