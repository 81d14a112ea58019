"""Every table of Plumbline in one metadata, and whether a database really holds it."""

from sqlalchemy import Connection, MetaData, UniqueConstraint

from billing.accounts import access_tables as _access
from billing.accounts import tables as _accounts
from billing.accounts import tax_tables as _taxes
from billing.assurance import tables as _assurance
from billing.catalog import tables as _catalog
from billing.controls import tables as _controls
from billing.controls.dunning import tables as _dunning
from billing.invoicing import tables as _invoicing
from billing.invoicing.documents import receipt_tables as _receipts
from billing.invoicing.documents import tables as _documents
from billing.ledger import tables as _ledger
from billing.metering import tables as _metering
from billing.payments import refund_tables as _refunds
from billing.payments import tables as _payments
from billing.payments.bank import tables as _bank
from billing.payments.cash import tables as _cash
from billing.payments.charges import tables as _charges
from billing.payments.customers import tables as _customers
from billing.payments.disputes import tables as _disputes
from billing.payments.recovery import tables as _recovery
from billing.rating import tables as _rating
from billing.reference import tables as _reference
from billing.storage import guards
from billing.storage import tables as _storage
from billing.storage.columns import Base
from billing.storage.database import DatabaseUrls, owner_engine

ROOMS = (
    _storage,
    _reference,
    _accounts,
    _taxes,
    _access,
    _catalog,
    _metering,
    _ledger,
    _rating,
    _invoicing,
    _documents,
    _receipts,
    _payments,
    _bank,
    _cash,
    _charges,
    _customers,
    _refunds,
    _disputes,
    _recovery,
    _controls,
    _dunning,
    _assurance,
)
metadata: MetaData = Base.metadata


def check(urls: DatabaseUrls) -> list[str]:
    """Everything in which a database differs from what the code expects: tables and guards, one sentence each."""
    engine = owner_engine(urls)
    try:
        with engine.connect() as connection:
            return drift(connection) + [f"guard {name}" for name in guards.differences(connection, metadata)]
    finally:
        engine.dispose()


def drift(connection: Connection) -> list[str]:
    """Differences between the tables the code expects and those the database has, one sentence each."""
    from alembic.autogenerate import compare_metadata  # the migrator is no part of a serving process
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"compare_type": False, "include_object": _is_compared})
    return [str(difference) for difference in compare_metadata(context, metadata)]


def _is_compared(item: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:
    # SQLite reports column-level UNIQUE under no name: the guards' text, which lists the keys, catches a lost one there.
    return not (kind == "unique_constraint" and isinstance(item, UniqueConstraint) and name is None and reflected)
