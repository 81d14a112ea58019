"""What is sold is told apart by model and mode, and a book or a price may be one account's own."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0020"
down_revision = "0019"

_MODES = "mode IN ('on_demand', 'spot', 'reserved', 'unused')"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(
            "variant TEXT NOT NULL, mode TEXT NOT NULL,",
            "CONSTRAINT uq_sku_catalog_meter_code_variant_mode UNIQUE (meter_code, variant, mode),"
            f" CONSTRAINT ck_sku_catalog_mode CHECK ({_MODES})",
            "code, meter_code, variant, mode, family, name",
            "code, meter_code, '', 'on_demand', family, name",
        )
    else:
        op.add_column("sku_catalog", sa.Column("variant", types.ident(), nullable=False, server_default=""))
        op.add_column("sku_catalog", sa.Column("mode", types.ident(), nullable=False, server_default="on_demand"))
        op.alter_column("sku_catalog", "variant", server_default=None)
        op.alter_column("sku_catalog", "mode", server_default=None)
        op.drop_constraint("uq_sku_catalog_meter_code", "sku_catalog", type_="unique")
        op.create_unique_constraint(
            "uq_sku_catalog_meter_code_variant_mode", "sku_catalog", ["meter_code", "variant", "mode"]
        )
        op.create_check_constraint(op.f("ck_sku_catalog_mode"), "sku_catalog", _MODES)
    for table in ("price_books", "price_versions"):
        _add_reference(table, "billing_account_id", "billing_accounts")
    op.create_index("ix_price_versions_billing_account_id", "price_versions", ["billing_account_id"], unique=False)
    op.add_column("pricing_plan_versions", sa.Column("terms", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("pricing_plan_versions", "terms")
    op.drop_index("ix_price_versions_billing_account_id", table_name="price_versions")
    if op.get_bind().dialect.name == "sqlite":
        for table in ("price_versions", "price_books"):
            _drop_reference(table, "billing_account_id")
        _rebuild(
            "",
            "CONSTRAINT uq_sku_catalog_meter_code UNIQUE (meter_code)",
            "code, meter_code, family, name",
            "code, meter_code, family, name",
        )
    else:
        for table in ("price_versions", "price_books"):
            op.drop_column(table, "billing_account_id")
        op.drop_constraint(op.f("ck_sku_catalog_mode"), "sku_catalog", type_="check")
        op.drop_constraint("uq_sku_catalog_meter_code_variant_mode", "sku_catalog", type_="unique")
        op.create_unique_constraint("uq_sku_catalog_meter_code", "sku_catalog", ["meter_code"])
        op.drop_column("sku_catalog", "mode")
        op.drop_column("sku_catalog", "variant")


def _add_reference(table: str, column: str, target: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        # SQLite takes a named constraint with the new column, and no ALTER for it later.
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN {column} TEXT CONSTRAINT fk_{table}_{column} REFERENCES {target} (id)"
        )
        return
    op.add_column(table, sa.Column(column, types.ident(), nullable=True))
    op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, target, [column], ["id"])


def _drop_reference(table: str, column: str) -> None:
    op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def _rebuild(columns: str, constraints: str, names: str, values: str) -> None:
    """SQLite cannot drop a UNIQUE: the table is written anew under its name, while the migrator's connection holds no references."""
    op.execute(
        f"CREATE TABLE sku_catalog_new (code TEXT NOT NULL, meter_code TEXT NOT NULL, {columns} family TEXT NOT NULL,"
        " name TEXT NOT NULL, CONSTRAINT pk_sku_catalog PRIMARY KEY (code),"
        " CONSTRAINT fk_sku_catalog_meter_code FOREIGN KEY(meter_code) REFERENCES meters (code),"
        f" {constraints}) STRICT"
    )
    op.execute(f"INSERT INTO sku_catalog_new ({names}) SELECT {values} FROM sku_catalog")
    op.execute("DROP TABLE sku_catalog")
    op.execute("ALTER TABLE sku_catalog_new RENAME TO sku_catalog")
