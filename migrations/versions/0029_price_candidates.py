"""A candidate may be written anew: a price stands once in its version of a book, no longer once in all versions."""

from alembic import op

revision = "0029"
down_revision = "0028"

_OVER_ALL = "uq_price_versions_book_code_sku_code_currency_valid_from"
_IN_ONE = "uq_price_versions_price_book_id_sku_code_currency_valid_from"
_OVER_ALL_COLUMNS = ["book_code", "sku_code", "currency", "valid_from"]
_IN_ONE_COLUMNS = ["price_book_id", "sku_code", "currency", "valid_from"]


def upgrade() -> None:
    _exchange((_OVER_ALL, _OVER_ALL_COLUMNS), (_IN_ONE, _IN_ONE_COLUMNS))
    op.create_index("ix_price_versions_book_code", "price_versions", _OVER_ALL_COLUMNS, unique=False)


def downgrade() -> None:
    op.drop_index("ix_price_versions_book_code", table_name="price_versions")
    _exchange((_IN_ONE, _IN_ONE_COLUMNS), (_OVER_ALL, _OVER_ALL_COLUMNS))


def _exchange(old: tuple[str, list[str]], new: tuple[str, list[str]]) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(f"CONSTRAINT {new[0]} UNIQUE ({', '.join(new[1])})")
        return
    op.drop_constraint(old[0], "price_versions", type_="unique")
    op.create_unique_constraint(new[0], "price_versions", new[1])


def _rebuild(unique: str) -> None:
    """SQLite cannot drop a UNIQUE: the table is written anew under its name, while the migrator's connection holds no references."""
    columns = (
        "id, price_book_id, book_code, sku_code, currency, model, parameters, valid_from, price_hash,"
        " billing_account_id"
    )
    op.execute(
        "CREATE TABLE price_versions_new (id TEXT NOT NULL, price_book_id TEXT NOT NULL, book_code TEXT NOT NULL,"
        " sku_code TEXT NOT NULL, currency TEXT NOT NULL, model TEXT NOT NULL, parameters TEXT NOT NULL,"
        " valid_from INTEGER NOT NULL, price_hash TEXT NOT NULL, billing_account_id TEXT,"
        " CONSTRAINT pk_price_versions PRIMARY KEY (id),"
        " CONSTRAINT fk_price_versions_price_book_id FOREIGN KEY(price_book_id) REFERENCES price_books (id),"
        " CONSTRAINT fk_price_versions_sku_code FOREIGN KEY(sku_code) REFERENCES sku_catalog (code),"
        " CONSTRAINT fk_price_versions_billing_account_id FOREIGN KEY(billing_account_id)"
        f" REFERENCES billing_accounts (id), {unique}) STRICT"
    )
    op.execute(f"INSERT INTO price_versions_new ({columns}) SELECT {columns} FROM price_versions")
    op.execute("DROP TABLE price_versions")
    op.execute("ALTER TABLE price_versions_new RENAME TO price_versions")
    op.create_index("ix_price_versions_price_book_id", "price_versions", ["price_book_id"], unique=False)
    op.create_index("ix_price_versions_billing_account_id", "price_versions", ["billing_account_id"], unique=False)
