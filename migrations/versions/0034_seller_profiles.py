"""What else a seller says on documents: register, bank, footer, logo, language; receipts."""

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
