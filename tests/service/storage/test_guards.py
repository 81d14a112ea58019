"""Law 3: what is append-only stays as it was written, whoever of the application's roles tries, on both engines.

Each guarded table gets one row, written by the owner with constraints out of the way; then the application tries everything.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import DBAPIError

from billing.assurance import schema
from billing.storage import guards, migrate
from billing.storage.columns import APPEND_ONLY, Blob, Day, Flag, Instant, Json, Quantity
from billing.storage.database import Database, DatabaseUrls, owner_engine
from tests.service.ledger.books import NOW

pytestmark = pytest.mark.tampers

GUARDED = sorted(
    (table for table in schema.metadata.tables.values() if table.info.get("guard")), key=lambda table: table.name
)


def test_there_are_guarded_tables() -> None:
    names = {table.name for table in GUARDED}
    assert {"ledger_entries", "ledger_transactions", "rated_usage_lines", "usage_records", "postings"} <= names
    assert {"invoice_headers", "invoice_lines", "audit_log", "price_versions", "balance_checkpoints"} <= names


def test_no_stored_row_can_be_updated(database: Database, database_urls: DatabaseUrls) -> None:
    with _filled(database_urls):
        for table in GUARDED:
            for column in table.columns:
                _refused(database, table, f"UPDATE {table.name} SET {column.name} = {column.name}")
            if database.dialect == "sqlite":
                key = next(iter(table.primary_key.columns)).name
                for how in ("REPLACE", "IGNORE", "FAIL", "ROLLBACK"):
                    _refused(database, table, f"UPDATE OR {how} {table.name} SET {key} = 'other'")


def test_no_stored_row_can_be_deleted(database: Database, database_urls: DatabaseUrls) -> None:
    with _filled(database_urls):
        for table in GUARDED:
            _refused(database, table, f"DELETE FROM {table.name}")
            _refused(database, table, f"DELETE FROM {table.name} WHERE 1 = 1")


def test_no_stored_row_can_be_replaced(database: Database, database_urls: DatabaseUrls) -> None:
    with _filled(database_urls):
        for table in GUARDED:
            names = ", ".join(column.name for column in table.columns)
            key = ", ".join(column.name for column in table.primary_key.columns)
            first = next(iter(table.columns)).name
            upsert = (
                f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {table.name} WHERE 1 = 1 ON CONFLICT ({key}) "
            )
            _refused(database, table, upsert + f"DO UPDATE SET {first} = excluded.{first}")
            if database.dialect == "sqlite":
                for verb in ("REPLACE", "INSERT OR REPLACE"):
                    _refused(database, table, f"{verb} INTO {table.name} ({names}) SELECT {names} FROM {table.name}")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_replace_is_refused_by_every_key_and_without_any_pragma(database_urls: DatabaseUrls) -> None:
    """Also on a connection of somebody else, who has not turned `recursive_triggers` on."""
    with _filled(database_urls) as engine, engine.connect() as owner:
        owner.exec_driver_sql("ROLLBACK")
        owner.exec_driver_sql("PRAGMA recursive_triggers = OFF")
        owner.exec_driver_sql("PRAGMA foreign_keys = OFF")
        for table in GUARDED:
            values = _values(table)
            for unique in ([], *guards._unique_keys(table)):
                other = {name: _other(table, name, value) for name, value in values.items() if name not in unique}
                rowid = {} if unique else {"rowid": 1}
                _refused_raw(owner, table, rowid | values | other | {name: values[name] for name in unique})


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("role", ["web", "jobs"])
def test_nothing_can_be_truncated(database: Database, database_urls: DatabaseUrls, role: Any) -> None:
    with _filled(database_urls):
        for table in GUARDED:
            for how in ("", " CASCADE", " RESTART IDENTITY"):
                _refused(database, table, f"TRUNCATE {table.name}{how}", role)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_owner_is_stopped_by_the_triggers_too(database_urls: DatabaseUrls) -> None:
    with _filled(database_urls) as engine, engine.connect() as owner:
        for table in GUARDED:
            column = next(iter(table.columns)).name
            for statement in (
                f"UPDATE {table.name} SET {column} = {column}",
                f"DELETE FROM {table.name}",
                f"TRUNCATE {table.name} CASCADE",
            ):
                with pytest.raises(DBAPIError, match="append-only"), owner.begin_nested():
                    owner.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE ledger_entries",
        "DROP TABLE ledger_transactions CASCADE",
        "ALTER TABLE ledger_entries RENAME TO other",
        "ALTER TABLE ledger_entries ADD COLUMN other TEXT",
        "ALTER TABLE ledger_entries DROP COLUMN kind",
        "DROP INDEX ix_ledger_entries_debit",
        "CREATE TABLE other (id TEXT)",
    ],
)
@pytest.mark.parametrize("role", ["web", "jobs"])
def test_the_application_cannot_change_the_schema(
    database: Database, database_urls: DatabaseUrls, statement: str, role: Any
) -> None:
    if database.dialect == "sqlite":
        statement = statement.removesuffix(" CASCADE")
    _raises(database, statement, role)
    assert schema.check(database_urls) == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA foreign_keys = OFF",
        "PRAGMA foreign_keys(0)",
        "PRAGMA recursive_triggers = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA writable_schema = RESET",
        "PRAGMA ignore_check_constraints = ON",
        "PRAGMA defer_foreign_keys = ON",
        "PRAGMA legacy_alter_table = ON",
        "PRAGMA journal_mode = OFF",
        "PRAGMA trusted_schema = ON",
        "PRAGMA schema_version = 1",
        "PRAGMA main.foreign_keys = OFF",
        "DROP TRIGGER guard_ledger_entries_update",
        "CREATE TRIGGER mine BEFORE INSERT ON ledger_entries BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TEMP TRIGGER mine BEFORE UPDATE ON ledger_entries BEGIN SELECT RAISE(IGNORE); END",
        "UPDATE sqlite_master SET sql = '' WHERE type = 'trigger'",
        "DELETE FROM sqlite_master WHERE type = 'trigger'",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM INTO '/dev/null'",
    ],
)
def test_the_application_cannot_turn_sqlites_guards_off(database: Database, statement: str) -> None:
    _raises(database, statement)
    with database.transaction() as session:
        for pragma, wanted in (("foreign_keys", 1), ("recursive_triggers", 1), ("ignore_check_constraints", 0)):
            assert session.execute(text(f"PRAGMA {pragma}")).scalar() == wanted
        assert guards.differences(session.connection(), schema.metadata) == []


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("role", ["web", "jobs"])
@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER guard_ledger_entries_change ON ledger_entries",
        "ALTER TABLE ledger_entries DISABLE TRIGGER ALL",
        "ALTER TABLE ledger_entries DISABLE TRIGGER guard_ledger_entries_change",
        "ALTER TABLE ledger_entries OWNER TO CURRENT_USER",
        "CREATE RULE mine AS ON INSERT TO ledger_entries DO INSTEAD NOTHING",
        "CREATE TRIGGER mine BEFORE INSERT ON ledger_entries EXECUTE FUNCTION guard_refuse()",
        "CREATE OR REPLACE FUNCTION guard_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "DROP FUNCTION guard_refuse() CASCADE",
        "SET session_replication_role = replica",
        "SET ROLE plumbline_owner",
        "GRANT ALL ON ledger_entries TO CURRENT_USER",
        "UPDATE pg_trigger SET tgenabled = 'D'",
        "LOCK TABLE ledger_entries IN EXCLUSIVE MODE",
    ],
)
def test_the_application_cannot_turn_postgresqls_guards_off(database: Database, statement: str, role: Any) -> None:
    if statement.startswith("GRANT"):
        with database.transaction(role) as session:
            try:
                session.execute(text(statement))  # without the right to grant it is no more than a warning
            except DBAPIError:
                session.rollback()
        _raises(database, "UPDATE ledger_entries SET seq = seq", role)
    else:
        _raises(database, statement, role)
    with database.reading() as session:
        assert guards.differences(session.connection(), schema.metadata) == []


def test_a_table_rebuilt_by_a_migration_is_guarded_again(database: Database, database_urls: DatabaseUrls) -> None:
    engine = owner_engine(database_urls)
    with engine.begin() as owner:
        operations = Operations(MigrationContext.configure(owner))
        with operations.batch_alter_table("ledger_entries", recreate="always"):
            pass
    with engine.connect() as owner:
        assert [name for name in guards.differences(owner, schema.metadata) if "ledger_entries" in name]
    migrate.upgrade(database_urls)  # nothing to migrate: the guards come back all the same
    with engine.connect() as owner:
        assert guards.differences(owner, schema.metadata) == []
    engine.dispose()
    with _filled(database_urls):
        table = schema.metadata.tables["ledger_entries"]
        _refused(database, table, "UPDATE ledger_entries SET seq = seq")
        _refused(database, table, "DELETE FROM ledger_entries")


@pytest.mark.parametrize(
    "fault",
    [
        ("DROP TRIGGER guard_ledger_entries_{update}{on}", "guard_ledger_entries_{update}"),
        ("CREATE TRIGGER mine BEFORE INSERT ON postings {do}", "mine"),
        ("CREATE TRIGGER guard_extra BEFORE INSERT ON leases {do}", "guard_extra"),
    ],
)
def test_a_missing_altered_or_foreign_trigger_is_named(database_urls: DatabaseUrls, fault: tuple[str, str]) -> None:
    engine = owner_engine(database_urls)
    is_sqlite = engine.dialect.name == "sqlite"
    words = {
        "update": "update" if is_sqlite else "change",
        "on": "" if is_sqlite else " ON ledger_entries",
        "do": "BEGIN SELECT 1; END" if is_sqlite else "EXECUTE FUNCTION guard_refuse()",
    }
    with engine.begin() as owner:
        owner.execute(text(fault[0].format(**words)))
    with engine.connect() as owner:
        assert guards.differences(owner, schema.metadata) == [fault[1].format(**words)]
    engine.dispose()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("ALTER TABLE postings DISABLE TRIGGER guard_postings_change", "guard_postings_change"),
        (
            "CREATE OR REPLACE FUNCTION guard_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "guard_refuse()",
        ),
    ],
)
def test_a_disabled_or_hollow_guard_is_named(database_urls: DatabaseUrls, fault: str, named: str) -> None:
    engine = owner_engine(database_urls)
    with engine.begin() as owner:
        owner.execute(text(fault))
    with engine.connect() as owner:
        assert guards.differences(owner, schema.metadata) == [named]
    engine.dispose()


@contextmanager
def _filled(urls: DatabaseUrls) -> Iterator[Engine]:
    """One row in each guarded table, beside what is there; the owner's engine, which holds no lock."""
    engine = owner_engine(urls)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("ROLLBACK")
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
                connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                _lift_constraints(connection)
            for table in GUARDED:
                connection.execute(table.insert(), _values(table))
            connection.commit()
        engine.dispose()  # with the pragmas that were off
        yield engine
    finally:
        engine.dispose()


def _lift_constraints(connection: Connection) -> None:
    constraints = text(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype IN ('c', 'f') "
        "AND conrelid::regclass::text = ANY(:tables)"
    )
    for table, name in connection.execute(constraints, {"tables": [table.name for table in GUARDED]}).all():
        connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))


_BY_TYPE: dict[type, Any] = {Instant: NOW, Quantity: 7, Json: {}, Flag: True, Day: date(2026, 11, 1)}


def _values(table: Table) -> dict[str, Any]:
    """A row in which every column says something, so that every condition of a guard holds."""
    values = {}
    for column in table.columns:
        if column.type is Blob:
            values[column.name] = b"x"
        elif type(column.type) in _BY_TYPE:
            values[column.name] = _BY_TYPE[type(column.type)]
        else:
            values[column.name] = 7 if column.type.python_type is int else f"guarded {column.name}"
    return values


def _other(table: Table, name: str, value: Any) -> Any:
    """Another value of the same kind, as SQLite keeps it."""
    kind = type(table.columns[name].type)
    if kind is Instant:
        return 8
    if kind is Day:
        return "2026-11-02"
    if isinstance(value, str):
        return value + " other"
    return {dict: "[]", bool: 0, int: 8, bytes: b"y"}[type(value)]


def _refused_raw(owner: Connection, table: Table, row: dict[str, Any]) -> None:
    """INSERT OR REPLACE with the keys of the stored row, on the owner's SQLite connection."""
    converted = {}
    for name, value in row.items():
        kind = table.columns[name].type if name != "rowid" else None
        bind = kind.bind_processor(owner.dialect) if kind is not None else None
        is_raw = value in (8, "2026-11-02", "[]", b"y", 0) or (isinstance(value, str) and value.endswith(" other"))
        converted[name] = value if bind is None or is_raw else bind(value)
    marks = ", ".join("?" * len(converted))
    statement = f"INSERT OR REPLACE INTO {table.name} ({', '.join(converted)}) VALUES ({marks})"
    before = owner.exec_driver_sql(f"SELECT rowid, * FROM {table.name}").all()
    if "rowid" in row:
        converted["rowid"] = before[-1][0]
    with pytest.raises(DBAPIError, match="append-only"):
        owner.exec_driver_sql(statement, tuple(converted.values()))
    assert owner.exec_driver_sql(f"SELECT rowid, * FROM {table.name}").all() == before, table.name


def _refused(database: Database, table: Table, statement: str, role: Any = "web") -> None:
    """The application's statement is refused, and the table is as it was."""
    before = _rows(database, table)
    assert before, f"{table.name} has no row to protect"
    error = _raises(database, statement, role)
    words = str(error).lower()
    is_ours = any(each in words for each in ("append-only", "permission denied", "must be owner"))
    assert is_ours, f"{statement}: refused for another reason: {error}"
    assert _rows(database, table) == before, statement


def _raises(database: Database, statement: str, role: Any = "web") -> DBAPIError:
    with pytest.raises(DBAPIError) as refused, database.transaction(role) as session:
        session.execute(text(statement))
    return refused.value


def _rows(database: Database, table: Table) -> list[Any]:
    key: Callable[[Any], str] = str
    with database.reading("jobs") as session:
        return sorted(session.connection().exec_driver_sql(f"SELECT * FROM {table.name}").all(), key=key)


def test_an_append_only_table_gives_the_application_no_right_to_change_it() -> None:
    statements = guards.grants(schema.metadata, web_role="w", jobs_role="j")
    for table in GUARDED:
        rights = [each for each in statements if f" ON {table.name} TO" in each and each.startswith("GRANT")]
        assert len(rights) == 2
        if table.info["guard"] == APPEND_ONLY:
            assert all("GRANT SELECT, INSERT ON" in each for each in rights)
