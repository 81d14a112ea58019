"""Charges without the customer: automatic payment and top-up, dunning."""

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
