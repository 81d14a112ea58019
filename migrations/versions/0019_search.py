"""One index for each id that people search by."""

from alembic import op

revision = "0019"
down_revision = "0018"

_INDEXES = (
    ("outbox_messages", "correlation_id"),
    ("payment_sessions", "correlation_id"),
    ("refund_requests", "correlation_id"),
    ("refund_requests", "provider_refund_id"),
    ("works", "correlation_id"),
)


def upgrade() -> None:
    for table, column in _INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column], unique=False)


def downgrade() -> None:
    for table, column in reversed(_INDEXES):
        op.drop_index(f"ix_{table}_{column}", table_name=table)
