"""Allocations have tags, so that what they use can be found and added up by them."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.add_column("allocations", sa.Column("tags", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("ALTER TABLE allocations DROP COLUMN tags")
    else:
        op.drop_column("allocations", "tags")
