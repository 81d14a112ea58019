"""By which anyone can ask whether a file is genuine, and by nothing else."""

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
