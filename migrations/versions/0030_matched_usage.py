"""How far an account's usage was matched with its reservations, and each reserved hour's shares by project."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.add_column("account_heads", sa.Column("matched_usage_seq", types.count(), nullable=False, server_default="0"))
    op.add_column("reserved_hours", sa.Column("shares", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("ALTER TABLE reserved_hours DROP COLUMN shares")
        op.execute("ALTER TABLE account_heads DROP COLUMN matched_usage_seq")
        return
    op.drop_column("reserved_hours", "shares")
    op.drop_column("account_heads", "matched_usage_seq")
