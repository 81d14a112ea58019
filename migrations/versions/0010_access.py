"""How people prove who they are: sessions, second factors, links; keys that list tenants and end."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("users", sa.Column("locale", types.ident(), nullable=True))
    op.add_column("users", sa.Column("password_changed_at", types.instant(), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", types.instant(), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_at", types.instant(), nullable=True))
    op.add_column("api_keys", sa.Column("created_by", types.ident(), nullable=True))
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id"], unique=False)
    op.create_table(
        "api_key_tenants",
        sa.Column("key_id", types.ident(), nullable=False),
        sa.Column("tenant_id", types.ident(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_api_key_tenants_key_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_key_tenants_tenant_id")),
        sa.PrimaryKeyConstraint("key_id", "tenant_id", name=op.f("pk_api_key_tenants")),
        sqlite_strict=True,
    )
    op.create_table(
        "user_sessions",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("token_hash", types.ident(), nullable=False),
        sa.Column("user_id", types.ident(), nullable=False),
        sa.Column("method", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("verified_at", types.instant(), nullable=False),
        sa.Column("last_seen_at", types.instant(), nullable=False),
        sa.Column("idle_limit_s", types.count(), nullable=False),
        sa.Column("expires_at", types.instant(), nullable=False),
        sa.Column("address", types.ident(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.Column("ended_by", types.ident(), nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name=op.f("ck_user_sessions_ended")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_sessions_token_hash")),
        sqlite_strict=True,
    )
    op.create_index("ix_user_sessions_user_id", "user_sessions", ["user_id", "id"], unique=False)
    op.create_table(
        "totp_devices",
        sa.Column("user_id", types.ident(), nullable=False),
        sa.Column("secret_sealed", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("confirmed_at", types.instant(), nullable=True),
        sa.Column("last_used_step", types.count(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_totp_devices_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_totp_devices")),
        sqlite_strict=True,
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("user_id", types.ident(), nullable=False),
        sa.Column("code_hash", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("used_at", types.instant(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
        sa.UniqueConstraint("user_id", "code_hash", name=op.f("uq_recovery_codes_user_id_code_hash")),
        sqlite_strict=True,
    )
    op.create_table(
        "access_links",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("purpose", types.ident(), nullable=False),
        sa.Column("login", types.ident(), nullable=False),
        sa.Column("user_id", types.ident(), nullable=True),
        sa.Column("tenant_id", types.ident(), nullable=True),
        sa.Column("role", types.ident(), nullable=True),
        sa.Column("staff_role", types.ident(), nullable=True),
        sa.Column("created_by", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("expires_at", types.instant(), nullable=False),
        sa.Column("used_at", types.instant(), nullable=True),
        sa.Column("revoked_at", types.instant(), nullable=True),
        sa.CheckConstraint(
            "(purpose = 'invitation') = (tenant_id IS NOT NULL OR staff_role IS NOT NULL)",
            name=op.f("ck_access_links_invitation"),
        ),
        sa.CheckConstraint("purpose IN ('invitation', 'reset')", name=op.f("ck_access_links_purpose")),
        sa.CheckConstraint("(tenant_id IS NULL) = (role IS NULL)", name=op.f("ck_access_links_role")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_access_links_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_links_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_links")),
        sqlite_strict=True,
    )
    op.create_index("ix_access_links_login", "access_links", ["login", "id"], unique=False)
    op.create_index("ix_access_links_tenant_id", "access_links", ["tenant_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_access_links_tenant_id", table_name="access_links")
    op.drop_index("ix_access_links_login", table_name="access_links")
    op.drop_table("access_links")
    op.drop_table("recovery_codes")
    op.drop_table("totp_devices")
    op.drop_index("ix_user_sessions_user_id", table_name="user_sessions")
    op.drop_table("user_sessions")
    op.drop_table("api_key_tenants")
    op.drop_index("ix_api_keys_tenant_id", table_name="api_keys")
    op.drop_column("api_keys", "created_by")
    op.drop_column("api_keys", "last_used_at")
    op.drop_column("api_keys", "expires_at")
    op.drop_column("users", "password_changed_at")
    op.drop_column("users", "locale")
