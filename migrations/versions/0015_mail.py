"""When a delivery was taken up by a worker, and when a person took a failed one off the list."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("notice_deliveries", sa.Column("sending_at", types.instant(), nullable=True))
    op.add_column("notice_deliveries", sa.Column("set_aside_at", types.instant(), nullable=True))


def downgrade() -> None:
    op.drop_column("notice_deliveries", "set_aside_at")
    op.drop_column("notice_deliveries", "sending_at")
