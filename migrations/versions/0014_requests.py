"""Keyed requests that are being worked on, and the thread from a request through its jobs to the provider's call."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "idempotency_claims",
        sa.Column("scope", types.ident(), nullable=False),
        sa.Column("key", types.ident(), nullable=False),
        sa.Column("request_hash", types.ident(), nullable=False),
        sa.Column("holder", types.ident(), nullable=False),
        sa.Column("claimed_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_claims")),
        sqlite_strict=True,
    )
    op.add_column("payment_sessions", sa.Column("correlation_id", types.ident(), nullable=True))
    op.add_column("refund_requests", sa.Column("correlation_id", types.ident(), nullable=True))


def downgrade() -> None:
    op.drop_column("refund_requests", "correlation_id")
    op.drop_column("payment_sessions", "correlation_id")
    op.drop_table("idempotency_claims")
