"""What was sent to whom."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "notice_deliveries",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("message_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=True),
        sa.Column("channel", types.ident(), nullable=False),
        sa.Column("recipient", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("attempts", types.count(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("next_attempt_at", types.instant(), nullable=False),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name=op.f("ck_notice_deliveries_ended")),
        sa.CheckConstraint("channel IN ('email', 'webhook')", name=op.f("ck_notice_deliveries_channel")),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed')", name=op.f("ck_notice_deliveries_state")),
        sa.ForeignKeyConstraint(["message_id"], ["outbox_messages.id"], name=op.f("fk_notice_deliveries_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_deliveries")),
        sa.UniqueConstraint(
            "message_id", "channel", "recipient", name=op.f("uq_notice_deliveries_message_id_channel_recipient")
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_notice_deliveries_billing_account_id", "notice_deliveries", ["billing_account_id", "id"], unique=False
    )
    op.create_index("ix_notice_deliveries_due", "notice_deliveries", ["state", "next_attempt_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_notice_deliveries_due", table_name="notice_deliveries")
    op.drop_index("ix_notice_deliveries_billing_account_id", table_name="notice_deliveries")
    op.drop_table("notice_deliveries")
