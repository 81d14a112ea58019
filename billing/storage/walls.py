"""Row-level security on PostgreSQL: the role of web requests sees the rows of the scope in force (`tenancy`), and no others.

What a table belongs to follows from its columns: `billing_account_id`, `tenant_id`, or a parent that has one. Tables that are
nobody's (catalogue, identities, the machinery) and those for operators alone are named here; one that fits nowhere is refused, so
that a new table cannot be forgotten. The owner is not held, nor is the role of jobs where it is another than that of requests.
"""

import hashlib
from collections.abc import Iterator

from sqlalchemy import Connection, MetaData, Table, text

_PREFIX = "wall_"

# Nobody's rows, or a person's own, which `access` finds by a secret only they have.
OPEN = frozenset(
    {
        "accounting_periods",
        "audit_seals",
        "billing_fx_rate_snapshots",
        "fx_rates",
        "idempotency_claims",
        "idempotency_keys",
        "job_runs",
        "leases",
        "ledger_accounts",
        "meters",
        "number_series",
        "price_book_activations",
        "pricing_plan_versions",
        "pricing_plans",
        "rate_limits",
        "recovery_codes",
        "sandbox_objects",
        "seller_logos",
        "seller_registrations",
        "sellers",
        "settings",
        "sign_in_attempts",
        "signed_roots",
        "signing_keys",
        "sku_catalog",
        "tax_manual_rates",
        "totp_devices",
        "user_sessions",
        "users",
    }
)
# Rows of many tenants at once, which only operators and jobs work with.
STAFF = frozenset(
    {
        "billing_reconciliation_findings",
        "billing_reconciliation_runs",
        "dispute_evidence",
        "dispute_files",
        "dispute_submissions",
        "invoice_batch_items",
        "invoice_batches",
        "invoice_dry_run_rows",
        "price_trials",
        "refund_role_limits",
        "provider_balance_cursors",
        "provider_balance_explanations",
        "provider_balance_transactions",
        "provider_balances",
        "provider_listings",
        "provider_payouts",
        "stripe_event_tries",
        "stripe_events",
        "unmatched_payments",
        "usage_imports",
        "works",
    }
)
# Everybody's rows, and among them some that are one account's own.
SHARED = frozenset({"dunning_calendars", "price_books", "price_versions"})
# What any tenant's request may leave behind and only operators read: an event that was refused names no account.
LETTERBOXES = frozenset({"usage_rejects"})
# Rows that a request sees only one by one, by naming its key: table -> (its column, the setting that holds the key looked up).
LOOKED_UP = {"document_fingerprints": ("fingerprint", "plumbline.looked_up")}
# Parts of a parent's row: table -> (its column, the parent).
PARTS = {
    "allocation_changes": ("allocation_id", "allocations"),
    "budget_events": ("policy_id", "budget_policies"),
    "dispute_events": ("dispute_id", "payment_disputes"),
    "invoice_allowances": ("invoice_id", "invoice_headers"),
    "invoice_documents": ("invoice_id", "invoice_headers"),
    "invoice_events": ("invoice_id", "invoice_headers"),
    "invoice_fx_results": ("invoice_id", "invoice_headers"),
    "invoice_lines": ("invoice_id", "invoice_headers"),
    "invoice_rates": ("invoice_id", "invoice_headers"),
    "invoice_settlements": ("invoice_id", "invoice_headers"),
    "invoice_taxes": ("invoice_id", "invoice_headers"),
    "ledger_memos": ("transaction_id", "ledger_transactions"),
    "postings": ("charge_id", "charges"),
    "tax_calculations": ("invoice_id", "invoice_headers"),
    "receipt_documents": ("receipt_id", "receipts"),
}


class Unwalled(Exception):
    """A table that fits no wall; the text says what to decide."""


def install(connection: Connection, metadata: MetaData, *, web_role: str, jobs_role: str) -> None:
    """Write every policy anew; the connection is the owner's. Without a role of its own for requests there is no wall to build."""
    owner = connection.engine.url.username
    for name, table in _present(connection):
        connection.execute(text(f"DROP POLICY {name} ON {table}"))
    walls = expected(metadata)
    for table_name in sorted(metadata.tables):
        is_walled = table_name in walls and web_role != owner
        connection.execute(text(f"ALTER TABLE {table_name} {'ENABLE' if is_walled else 'DISABLE'} ROW LEVEL SECURITY"))
        if not is_walled:
            continue
        sees, writes = walls[table_name]
        name = f"{_PREFIX}{table_name}"
        connection.execute(
            text(f'CREATE POLICY {name} ON {table_name} TO "{web_role}" USING ({sees}) WITH CHECK ({writes})')
        )
        if jobs_role not in (web_role, owner):
            free = f'CREATE POLICY {name}_jobs ON {table_name} TO "{jobs_role}" USING (true) WITH CHECK (true)'
            connection.execute(text(free))
        stored = connection.execute(_STORED, {"name": name}).one()
        seal = _seal(sees, writes, stored.sees, stored.writes)
        connection.execute(text(f"COMMENT ON POLICY {name} ON {table_name} IS '{seal}'"))


def expected(metadata: MetaData) -> dict[str, tuple[str, str]]:
    """Table -> (condition of rows in sight, condition of rows that may be written). Raises Unwalled for a table that fits nowhere."""
    return {table.name: wall for table in metadata.tables.values() if (wall := _wall(table)) is not None}


def differences(connection: Connection, metadata: MetaData, *, web_role: str) -> list[str]:
    """Names of tables whose wall is missing, altered or switched off; empty on SQLite and where requests run as the owner."""
    if connection.dialect.name == "sqlite":
        return []
    owner = connection.execute(text("SELECT tableowner FROM pg_tables WHERE tablename = 'alembic_version'")).scalar()
    if owner == web_role:
        return []
    found = {row.table_name: row for row in connection.execute(_FOUND).all()}
    wrong = []
    for table, (sees, writes) in expected(metadata).items():
        row = found.get(table)
        is_whole = (
            row is not None
            and row.is_on
            and row.seal == _seal(sees, writes, row.sees, row.writes)
            and row.roles == [web_role]
            and row.policies <= 2
        )
        if not is_whole:
            wrong.append(table)
    return sorted(wrong)


def _wall(table: Table) -> tuple[str, str] | None:
    if table.name in OPEN:
        return None
    everything = _is_everything("accounts")
    if table.name in STAFF:
        return everything, everything
    if table.name in LETTERBOXES:
        return everything, "true"
    if table.name in LOOKED_UP:
        column, setting = LOOKED_UP[table.name]
        return f"{column} = (SELECT current_setting('{setting}', true))", everything
    if table.name in PARTS:
        column, parent = PARTS[table.name]
        # The parent is walled itself: what cannot be seen there does not exist here.
        part = f"{everything} OR EXISTS (SELECT 1 FROM {parent} WHERE {parent}.id = {table.name}.{column})"  # noqa: S608  our own names
        return part, part
    if table.name == "tenants":
        return _by_column(table, "id", "tenants")
    for column, setting in (("billing_account_id", "accounts"), ("tenant_id", "tenants")):
        if column in table.columns:
            return _by_column(table, column, setting)
    raise Unwalled(f"{table.name} belongs to no tenant by its columns: name it in billing/storage/walls.py")


def _by_column(table: Table, column: str, setting: str) -> tuple[str, str]:
    sees = f"{_is_everything(setting)} OR {column} = ANY ((SELECT string_to_array(current_setting('plumbline.{setting}', true), ','))::text[])"
    if table.name in SHARED:
        return f"{sees} OR {column} IS NULL", sees
    # Rows of nobody in particular (a sign-in's audit row) may be written by everybody and are read by operators alone.
    writes = f"{sees} OR {column} IS NULL" if table.columns[column].nullable else sees
    return sees, writes


def _is_everything(setting: str) -> str:
    # A subquery is evaluated once a statement, not once a row.
    return f"(SELECT current_setting('plumbline.{setting}', true)) = '*'"


def _present(connection: Connection) -> Iterator[tuple[str, str]]:
    query = "SELECT policyname, tablename FROM pg_policies WHERE schemaname = current_schema() AND starts_with(policyname, 'wall_')"
    yield from [(row.policyname, row.tablename) for row in connection.execute(text(query)).all()]


def _seal(sees: str, writes: str, stored_sees: str, stored_writes: str) -> str:
    """PostgreSQL prints a condition in its own words: what it printed when we wrote it is kept with what we wrote."""
    ours = hashlib.sha256(f"{sees}\n{writes}".encode()).hexdigest()
    theirs = hashlib.sha256(f"{stored_sees}\n{stored_writes}".encode()).hexdigest()
    return f"{ours}:{theirs}"


_CONDITIONS = "pg_get_expr(p.polqual, p.polrelid) AS sees, pg_get_expr(p.polwithcheck, p.polrelid) AS writes"
_STORED = text(f"SELECT {_CONDITIONS} FROM pg_policy p WHERE p.polname = :name")  # noqa: S608  our own words
_FOUND = text(
    f"""SELECT c.relname AS table_name, c.relrowsecurity AS is_on, obj_description(p.oid, 'pg_policy') AS seal, {_CONDITIONS},
    ARRAY(SELECT r.rolname::text FROM pg_roles r WHERE r.oid = ANY (p.polroles)) AS roles,
    (SELECT count(*) FROM pg_policy other WHERE other.polrelid = c.oid) AS policies
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND p.polname = 'wall_' || c.relname"""  # noqa: S608
)
