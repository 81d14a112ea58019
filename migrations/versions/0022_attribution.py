"""Usage says which model and mode it was, by which route it came, and what it corrects."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0022"
down_revision = "0021"

_REFERENCES = (("reseller_id", "billing_accounts"), ("corrects_id", "usage_records"))


def upgrade() -> None:
    for table in ("allocations", "usage_records"):
        op.add_column(table, sa.Column("variant", types.ident(), nullable=False, server_default=""))
        op.add_column(table, sa.Column("mode", types.ident(), nullable=False, server_default="on_demand"))
    for column in ("route", "route_kind"):
        op.add_column("usage_records", sa.Column(column, types.ident(), nullable=True))
    for column, target in _REFERENCES:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(
                f"ALTER TABLE usage_records ADD COLUMN {column} TEXT"
                f" CONSTRAINT fk_usage_records_{column} REFERENCES {target} (id)"
            )
        else:
            op.add_column("usage_records", sa.Column(column, types.ident(), nullable=True))
            op.create_foreign_key(op.f(f"fk_usage_records_{column}"), "usage_records", target, [column], ["id"])
    op.create_index("ix_usage_records_corrects_id", "usage_records", ["corrects_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_usage_records_corrects_id", table_name="usage_records")
    for column in ("corrects_id", "reseller_id", "route_kind", "route"):
        _drop("usage_records", column)
    for table in ("usage_records", "allocations"):
        for column in ("mode", "variant"):
            _drop(table, column)


def _drop(table: str, column: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    else:
        op.drop_column(table, column)
