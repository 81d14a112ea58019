"""Exchange rates as immutable snapshots, and what was converted with them."""

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
