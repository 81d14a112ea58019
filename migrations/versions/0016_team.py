"""Since when somebody belongs to a tenant, and the form that made a link or a key: sent twice, it has one effect."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("memberships", sa.Column("created_at", types.instant(), nullable=True))
    op.create_index("ix_memberships_tenant_id", "memberships", ["tenant_id"], unique=False)
    op.add_column("access_links", sa.Column("form_key", types.ident(), nullable=True))
    op.create_index("ix_access_links_form_key", "access_links", ["form_key"], unique=True)
    op.add_column("api_keys", sa.Column("form_key", types.ident(), nullable=True))
    op.create_index("ix_api_keys_form_key", "api_keys", ["form_key"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_api_keys_form_key", "api_keys")
    op.drop_column("api_keys", "form_key")
    op.drop_index("ix_access_links_form_key", "access_links")
    op.drop_column("access_links", "form_key")
    op.drop_index("ix_memberships_tenant_id", "memberships")
    op.drop_column("memberships", "created_at")
