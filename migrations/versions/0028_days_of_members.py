"""What a day cost is known by who submitted it, and in which zone a day was a day."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "ALTER TABLE rated_days ADD COLUMN member_id TEXT CONSTRAINT fk_rated_days_member_id REFERENCES members (id)"
        )
    else:
        op.add_column("rated_days", sa.Column("member_id", types.ident(), nullable=True))
        op.create_foreign_key(op.f("fk_rated_days_member_id"), "rated_days", "members", ["member_id"], ["id"])
    op.add_column("rated_day_marks", sa.Column("zone", types.ident(), nullable=False, server_default="UTC"))


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("ALTER TABLE rated_day_marks DROP COLUMN zone")
        op.execute("ALTER TABLE rated_days DROP COLUMN member_id")
        return
    op.drop_column("rated_day_marks", "zone")
    op.drop_column("rated_days", "member_id")
