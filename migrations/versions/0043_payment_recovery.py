"""Recovery of payments and the inbox of events."""

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
