"""Tax profiles, registrations, VAT-id consultations, manual rates; reasons of a VAT group in their own columns."""

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
