"""Provider customers and saved payment methods."""

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
