"""Tax profiles, registrations, VAT-id consultations, manual rates; reasons of a VAT group in their own columns."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0032"
down_revision = "0031"

_TABLES = (
    "tax_calculations",
    "tax_manual_rates",
    "seller_registrations",
    "vat_id_consultations",
    "billing_tax_profiles",
)
_COLUMNS = (
    ("billing_accounts", "prices_include_tax", types.flag, "0", None),
    ("sellers", "tax_provider", types.ident, "own", "tax_provider IN ('own', 'stripe')"),
    ("sellers", "vat_check", types.ident, "format", "vat_check IN ('format', 'vies')"),
    ("sellers", "tax_evidence_days", types.count, "90", "tax_evidence_days BETWEEN 1 AND 3650"),
    ("invoice_headers", "prices_include_tax", types.flag, "0", None),
    ("invoice_lines", "gross_minor", types.count, None, None),
    ("invoice_allowances", "gross_minor", types.count, None, None),
    ("invoice_taxes", "vatex", types.ident, None, None),
    ("invoice_taxes", "scheme", types.ident, None, None),
    ("invoice_taxes", "registration", types.ident, None, None),
)
# table, constraint, before, now
_CHECKS = (
    (
        "invoice_headers",
        "prepaid",
        "prepaid_minor >= 0 AND prepaid_minor <= total_minor",
        "prepaid_minor >= 0 AND prepaid_minor <= total_minor + rounding_minor",
    ),
    (
        "invoice_headers",
        "rounding",
        "kind = 'credit_note' OR rounding_minor = 0",
        "kind = 'credit_note' OR rounding_minor = 0 OR prices_include_tax{true}",
    ),
    (
        "invoice_allowances",
        "amount",
        "amount_minor > 0",
        "amount_minor > 0 OR (amount_minor = 0 AND gross_minor > 0)",
    ),
)


def upgrade() -> None:
    for table, name, kind, default, check in _COLUMNS:
        _add_column(table, name, kind, default, check)
    _change_checks([(table, name, before, now) for table, name, before, now in _CHECKS])
    _create_profiles()
    _create_sellers_side()
    # Until now consumers of other member states were charged their own rate: sellers with a VAT id go on as they did.
    op.execute(
        "INSERT INTO seller_registrations (id, seller_id, scheme, country, number, valid_from, valid_until, recorded_at,"
        " recorded_by) SELECT 'srg_' || substr(id, 5), id, 'oss', country, vat_id, '2015-01-01', NULL, created_at,"
        " 'migration' FROM sellers WHERE vat_id IS NOT NULL"
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    _change_checks([(table, name, now, before) for table, name, before, now in _CHECKS])
    for table, name, _, _, _ in reversed(_COLUMNS):
        if _is_sqlite():
            op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        else:
            op.drop_column(table, name)


def _create_profiles() -> None:
    op.create_table(
        "billing_tax_profiles",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("version", types.count(), nullable=False),
        sa.Column("customer_kind", types.ident(), nullable=False),
        sa.Column("vat_id", types.ident(), nullable=True),
        sa.Column("override_category", types.ident(), nullable=True),
        sa.Column("override_vatex", types.ident(), nullable=True),
        sa.Column("override_reason", sa.Text(), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("valid_from", types.day(), nullable=True),
        sa.Column("valid_until", types.day(), nullable=True),
        sa.Column("delivery_country", types.ident(), nullable=True),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.Column("recorded_by", types.ident(), nullable=False),
        sa.CheckConstraint(
            "customer_kind IN ('business', 'consumer')", name=op.f("ck_billing_tax_profiles_customer_kind")
        ),
        sa.CheckConstraint(
            "override_category IS NULL OR override_category IN ('Z', 'E', 'K', 'G', 'O')",
            name=op.f("ck_billing_tax_profiles_override_category"),
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_billing_tax_profiles_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_tax_profiles")),
        sa.UniqueConstraint(
            "billing_account_id", "version", name=op.f("uq_billing_tax_profiles_billing_account_id_version")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "vat_id_consultations",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("vat_id", types.ident(), nullable=False),
        sa.Column("method", types.ident(), nullable=False),
        sa.Column("outcome", types.ident(), nullable=False),
        sa.Column("reference", types.ident(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("requested_at", types.instant(), nullable=False),
        sa.Column("requested_by", types.ident(), nullable=False),
        sa.Column("answered_at", types.instant(), nullable=True),
        sa.CheckConstraint("method IN ('format', 'vies', 'manual')", name=op.f("ck_vat_id_consultations_method")),
        sa.CheckConstraint(
            "outcome IN ('asked', 'valid', 'invalid', 'unavailable')", name=op.f("ck_vat_id_consultations_outcome")
        ),
        sa.CheckConstraint(
            "(outcome = 'asked') = (answered_at IS NULL)", name=op.f("ck_vat_id_consultations_answered")
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_vat_id_consultations_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vat_id_consultations")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_vat_id_consultations_billing_account_id",
        "vat_id_consultations",
        ["billing_account_id", "vat_id", "id"],
        unique=False,
    )


def _create_sellers_side() -> None:
    op.create_table(
        "seller_registrations",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("scheme", types.ident(), nullable=False),
        sa.Column("country", types.ident(), nullable=False),
        sa.Column("number", types.ident(), nullable=True),
        sa.Column("valid_from", types.day(), nullable=False),
        sa.Column("valid_until", types.day(), nullable=True),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.Column("recorded_by", types.ident(), nullable=False),
        sa.CheckConstraint("scheme IN ('vat', 'oss', 'small_business')", name=op.f("ck_seller_registrations_scheme")),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_seller_registrations_seller_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seller_registrations")),
        sqlite_strict=True,
    )
    op.create_index("ix_seller_registrations_seller_id", "seller_registrations", ["seller_id", "scheme"], unique=False)
    op.create_table(
        "tax_manual_rates",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("country", types.ident(), nullable=False),
        sa.Column("tax_name", sa.Text(), nullable=False),
        sa.Column("rate_bp", types.count(), nullable=True),
        sa.Column("registration", types.ident(), nullable=False),
        sa.Column("valid_from", types.day(), nullable=False),
        sa.Column("approval_id", types.ident(), nullable=False),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.Column("recorded_by", types.ident(), nullable=False),
        sa.CheckConstraint(
            "rate_bp IS NULL OR (rate_bp >= 0 AND rate_bp <= 10000)", name=op.f("ck_tax_manual_rates_rate")
        ),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_tax_manual_rates_seller_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_manual_rates")),
        sqlite_strict=True,
    )
    op.create_index("ix_tax_manual_rates_seller_id", "tax_manual_rates", ["seller_id", "country"], unique=False)
    op.create_table(
        "tax_calculations",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("basis_hash", types.ident(), nullable=False),
        sa.Column("reference", types.ident(), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("asked_at", types.instant(), nullable=False),
        sa.Column("answered_at", types.instant(), nullable=True),
        sa.CheckConstraint("state IN ('asked', 'answered', 'refused')", name=op.f("ck_tax_calculations_state")),
        sa.CheckConstraint("(state = 'asked') = (answered_at IS NULL)", name=op.f("ck_tax_calculations_answered")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_tax_calculations_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_calculations")),
        sqlite_strict=True,
    )
    op.create_index("ix_tax_calculations_invoice_id", "tax_calculations", ["invoice_id", "id"], unique=False)


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _add_column(table: str, name: str, kind: object, default: str | None, check: str | None) -> None:
    column_type = kind()  # type: ignore[operator]
    is_flag = kind is types.flag
    if _is_sqlite():
        words = column_type.dialect_impl(op.get_bind().dialect).compile(op.get_bind().dialect)
        told = f" NOT NULL DEFAULT {default if words == 'INTEGER' else repr(default)}" if default is not None else ""
        told += f" CONSTRAINT ck_{table}_{name} CHECK ({check})" if check else ""
        op.execute(f"ALTER TABLE {table} ADD COLUMN {name} {words}{told}")
        return
    server_default = sa.text("false") if is_flag else default
    op.add_column(table, sa.Column(name, column_type, nullable=default is None, server_default=server_default))
    if check:
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, check)


def _change_checks(changes: list[tuple[str, str, str, str]]) -> None:
    truth = " = 1" if _is_sqlite() else ""
    told = [(table, name, *(text.format(true=truth) for text in texts)) for table, name, *texts in changes]
    if not _is_sqlite():
        for table, name, _, now in told:
            op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, now)
        return
    for table in dict.fromkeys(table for table, _, _, _ in told):
        _rebuild(table, [(before, now) for of, _, before, now in told if of == table])


def _rebuild(table: str, changes: list[tuple[str, str]]) -> None:
    """SQLite cannot change a CHECK: the table is written anew under its name, while the migrator's connection holds no references."""
    bind = op.get_bind()
    rows = bind.exec_driver_sql(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL", (table,)
    ).all()
    create = next(sql for kind, sql in rows if kind == "table")
    for before, now in changes:
        if create.count(f"({before})") != 1:
            raise RuntimeError(f"{table} has no CHECK ({before})")
        create = create.replace(f"({before})", f"({now})")
    head, _, body = create.partition("(")
    if table not in head:
        raise RuntimeError(f"{table} is written otherwise than expected")
    columns = ", ".join(row[1] for row in bind.exec_driver_sql(f"PRAGMA table_info({table})").all())
    op.execute(f"CREATE TABLE {table}_new ({body}")
    op.execute(f"INSERT INTO {table}_new ({columns}) SELECT {columns} FROM {table}")
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
    for kind, sql in rows:
        if kind == "index":
            op.execute(sql)
