"""Who is billed, by whom, and who may look."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "sellers",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("code", types.ident(), nullable=False),
        sa.Column("legal_name", sa.Text(), nullable=False),
        sa.Column("street", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("postcode", sa.Text(), nullable=False),
        sa.Column("country", types.ident(), nullable=False),
        sa.Column("vat_id", types.ident(), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("bank_account", types.ident(), nullable=True),
        sa.Column("functional_currency", types.ident(), nullable=False),
        sa.Column("zone", types.ident(), nullable=False),
        sa.Column("invoice_prefix", types.ident(), nullable=False),
        sa.Column("credit_note_prefix", types.ident(), nullable=False),
        sa.Column("payment_terms_days", types.count(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sellers")),
        sa.UniqueConstraint("code", name=op.f("uq_sellers_code")),
        sqlite_strict=True,
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("bucket", types.ident(), nullable=False),
        sa.Column("failed_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_attempts")),
        sqlite_strict=True,
    )
    op.create_index("ix_sign_in_attempts_bucket", "sign_in_attempts", ["bucket", "failed_at"], unique=False)
    op.create_table(
        "tenants",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("code", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("code", name=op.f("uq_tenants_code")),
        sqlite_strict=True,
    )
    op.create_table(
        "users",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("login", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("staff_role", types.ident(), nullable=True),
        sa.Column("is_disabled", types.flag(), nullable=False),
        sa.Column("session_epoch", types.count(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint(
            "staff_role IS NULL OR staff_role IN ('viewer', 'maker', 'approver', 'admin')",
            name=op.f("ck_users_staff_role"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("login", name=op.f("uq_users_login")),
        sqlite_strict=True,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("tenant_id", types.ident(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("prefix", types.ident(), nullable=False),
        sa.Column("key_hash", types.ident(), nullable=False),
        sa.Column("scopes", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("revoked_at", types.instant(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
        sqlite_strict=True,
    )
    op.create_table(
        "billing_accounts",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("code", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("tenant_id", types.ident(), nullable=True),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("parent_id", types.ident(), nullable=True),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("zone", types.ident(), nullable=False),
        sa.Column("policy", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint("(kind = 'house') = (tenant_id IS NULL)", name=op.f("ck_billing_accounts_tenant")),
        sa.CheckConstraint(
            "kind IN ('tenant', 'reseller', 'end_customer', 'house')", name=op.f("ck_billing_accounts_kind")
        ),
        sa.CheckConstraint("policy IN ('prepaid', 'postpaid')", name=op.f("ck_billing_accounts_policy")),
        sa.ForeignKeyConstraint(["parent_id"], ["billing_accounts.id"], name=op.f("fk_billing_accounts_parent_id")),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_billing_accounts_seller_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_billing_accounts_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_accounts")),
        sa.UniqueConstraint("code", name=op.f("uq_billing_accounts_code")),
        sqlite_strict=True,
    )
    op.create_index("ix_billing_accounts_tenant_id", "billing_accounts", ["tenant_id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("user_id", types.ident(), nullable=False),
        sa.Column("tenant_id", types.ident(), nullable=False),
        sa.Column("role", types.ident(), nullable=False),
        sa.CheckConstraint("role IN ('owner', 'billing', 'viewer')", name=op.f("ck_memberships_role")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_memberships_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id")),
        sa.PrimaryKeyConstraint("user_id", "tenant_id", name=op.f("pk_memberships")),
        sqlite_strict=True,
    )
    op.create_table(
        "account_heads",
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("usage_seq", types.count(), nullable=False),
        sa.Column("rated_usage_seq", types.count(), nullable=False),
        sa.Column("line_seq", types.count(), nullable=False),
        sa.Column("posted_line_seq", types.count(), nullable=False),
        sa.Column("chain_seq", types.count(), nullable=False),
        sa.Column("chain_hash", types.ident(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_account_heads_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("billing_account_id", name=op.f("pk_account_heads")),
        sqlite_strict=True,
    )
    op.create_table(
        "billing_profiles",
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("legal_name", sa.Text(), nullable=False),
        sa.Column("street", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("postcode", sa.Text(), nullable=False),
        sa.Column("country", types.ident(), nullable=False),
        sa.Column("vat_id", types.ident(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("purchase_order", sa.Text(), nullable=True),
        sa.Column("updated_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_billing_profiles_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("billing_account_id", name=op.f("pk_billing_profiles")),
        sqlite_strict=True,
    )
    op.create_table(
        "members",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_members_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
        sa.UniqueConstraint("billing_account_id", "handle", name=op.f("uq_members_billing_account_id_handle")),
        sqlite_strict=True,
    )
    op.create_table(
        "projects",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("code", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_projects_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("billing_account_id", "code", name=op.f("uq_projects_billing_account_id_code")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("projects")
    op.drop_table("members")
    op.drop_table("billing_profiles")
    op.drop_table("account_heads")
    op.drop_table("memberships")
    op.drop_table("billing_accounts")
    op.drop_table("api_keys")
    op.drop_table("users")
    op.drop_table("tenants")
    op.drop_table("sign_in_attempts")
    op.drop_table("sellers")
