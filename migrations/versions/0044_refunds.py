"""Refunds to card, bank and wallet."""

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
