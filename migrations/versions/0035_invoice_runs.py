"""Review of drafts: grace for late usage, what was looked at, recorded progress."""

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
