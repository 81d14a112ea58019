"""Memberships of before: their beginning is the first audit row that granted them. One without such a row keeps none."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute(
        """UPDATE memberships SET created_at = (
            SELECT MIN(audit_log.recorded_at) FROM audit_log
            WHERE audit_log.act = 'membership.grant' AND audit_log.subject_type = 'user'
              AND audit_log.subject_id = memberships.user_id
              AND audit_log.facts LIKE '%"' || memberships.tenant_id || '"%')
        WHERE created_at IS NULL"""
    )


def downgrade() -> None:
    """Nothing to take back: 0016 drops the column."""
