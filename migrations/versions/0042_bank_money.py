"""Bank transfers, and the exchange result of a payment."""

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
