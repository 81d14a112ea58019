"""Small additions to payments."""

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
