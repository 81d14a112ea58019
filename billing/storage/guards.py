"""Triggers that hold Law 3 inside the database: what is append-only stays as it was written.

Each table says in its own definition (`columns.table_args(guard=...)`) what it promises; the statements here follow from it, so
a new table cannot be forgotten. A migration that rebuilds a SQLite table drops its triggers silently: `install` therefore runs
after every migration, and `differences` compares what is there with what must be there (`/readyz`, self-check).
"""

from collections.abc import Iterator

from sqlalchemy import Connection, MetaData, Table, UniqueConstraint, text

from billing.storage.columns import APPEND_ONLY

_PREFIX = "guard_"


def install(connection: Connection, metadata: MetaData) -> None:
    """Drop every guard and write them anew for both engines' tables; the connection is the owner's."""
    for name, table in _present(connection):
        on_table = "" if connection.dialect.name == "sqlite" else f" ON {table}"
        connection.execute(text(f"DROP TRIGGER {name}{on_table}"))
    if connection.dialect.name == "postgresql":
        connection.execute(text(_POSTGRESQL_FUNCTION))
    for statement in expected(metadata, connection.dialect.name).values():
        connection.execute(text(statement))


def expected(metadata: MetaData, dialect: str) -> dict[str, str]:
    """Trigger name -> CREATE TRIGGER statement, for every guarded table of the dialect."""
    statements: dict[str, str] = {}
    for table in sorted(metadata.tables.values(), key=lambda table: table.name):
        guard = table.info.get("guard")
        if guard:
            maker = _sqlite_triggers if dialect == "sqlite" else _postgresql_triggers
            statements.update(maker(table, guard))
    return statements


def differences(connection: Connection, metadata: MetaData) -> list[str]:
    """Names of guards that are missing, altered or disabled, and of triggers that are not ours; empty when all is as it must be."""
    wanted = expected(metadata, connection.dialect.name)
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
        found: dict[str, str] = {row.name: row.sql for row in rows}
        wrong = {name for name in wanted if found.get(name) != wanted[name]}
    else:
        rows = connection.execute(text(_POSTGRESQL_FOUND)).all()
        found = {name: definition for name, definition, enabled in rows if enabled in ("O", "A")}
        wrong = {name for name in wanted if not _same_postgresql(found.get(name), wanted[name])}
        source = connection.execute(text("SELECT prosrc FROM pg_proc WHERE proname = 'guard_refuse'")).scalar()
        if source is None or source.strip() not in _POSTGRESQL_FUNCTION:
            wrong.add("guard_refuse()")
    return sorted(wrong | (found.keys() - wanted.keys()))


def _sqlite_triggers(table: Table, guard: str) -> Iterator[tuple[str, str]]:
    refuse = f"SELECT RAISE(ABORT, '{table.name} is append-only: {{verb}} refused')"
    condition = "" if guard == APPEND_ONLY else f" WHEN {guard}"
    for verb in ("update", "delete"):
        name = f"{_PREFIX}{table.name}_{verb}"
        body = refuse.format(verb=verb)
        yield name, f"CREATE TRIGGER {name} BEFORE {verb.upper()} ON {table.name}{condition} BEGIN {body}; END"
    # REPLACE deletes the old row without firing delete triggers unless a pragma is on; refusing an existing key needs no pragma.
    name = f"{_PREFIX}{table.name}_replace"
    old = "" if guard == APPEND_ONLY else f" AND {guard.replace('OLD.', 'old_row.')}"
    # The hidden rowid is a key of every table too: a row could be replaced through it. Where nobody sets it, NEW.rowid is -1.
    matches = " OR ".join(
        "(" + " AND ".join(f"old_row.{column} = NEW.{column}" for column in columns) + ")"
        for columns in (["rowid"], *_unique_keys(table))
    )
    exists = f"EXISTS (SELECT 1 FROM {table.name} AS old_row WHERE ({matches}){old})"  # noqa: S608  our own names
    body = f"SELECT RAISE(ABORT, '{table.name} is append-only: key exists')"
    yield name, f"CREATE TRIGGER {name} BEFORE INSERT ON {table.name} WHEN {exists} BEGIN {body}; END"


def _unique_keys(table: Table) -> list[list[str]]:
    keys = [[column.name for column in table.primary_key.columns]]
    uniques = (constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint))
    keys.extend([column.name for column in unique.columns] for unique in uniques)
    keys.extend([column.name] for column in table.columns if column.unique)
    keys.extend([column.name for column in index.columns] for index in table.indexes if index.unique)
    return sorted({tuple(key): key for key in keys}.values())


_POSTGRESQL_FUNCTION = """CREATE OR REPLACE FUNCTION guard_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, lower(TG_OP) USING ERRCODE = 'restrict_violation';
END $$"""

_POSTGRESQL_FOUND = """SELECT t.tgname, pg_get_triggerdef(t.oid), t.tgenabled::text FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname = current_schema()"""


def _postgresql_triggers(table: Table, guard: str) -> Iterator[tuple[str, str]]:
    # Statement triggers cost 2 to 4 % of a posting; row triggers are needed only where some rows may still change.
    name = f"{_PREFIX}{table.name}_change"
    if guard == APPEND_ONLY:
        how = "FOR EACH STATEMENT"
    else:
        how = f"FOR EACH ROW WHEN ({guard})"
    yield name, f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON {table.name} {how} EXECUTE FUNCTION guard_refuse()"
    name = f"{_PREFIX}{table.name}_truncate"
    yield (
        name,
        f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table.name} FOR EACH STATEMENT EXECUTE FUNCTION guard_refuse()",
    )


def _same_postgresql(found: str | None, wanted: str) -> bool:
    """PostgreSQL prints a trigger in its own words: schema, order of events, casts and brackets may differ."""
    if found is None:
        return False

    def reduced(definition: str) -> str:
        definition = definition.lower().replace("update or delete", "delete or update").replace("public.", "")
        return "".join(character for character in definition.replace("::text", "") if character not in "() \n")

    return reduced(found) == reduced(wanted)


def _present(connection: Connection) -> list[tuple[str, str]]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'guard\\_%' ESCAPE '\\'"
    else:
        query = (
            "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE NOT t.tgisinternal AND n.nspname = current_schema() AND t.tgname LIKE 'guard\\_%'"
        )
    return [(name, table) for name, table in connection.execute(text(query)).all()]


def grants(metadata: MetaData, *, web_role: str, jobs_role: str) -> list[str]:
    """GRANT statements for PostgreSQL: append-only tables can be read and added to, nothing more."""
    statements = []
    for role in sorted({web_role, jobs_role}):
        statements.append(f'GRANT USAGE ON SCHEMA public TO "{role}"')
        statements.append(f'GRANT SELECT ON alembic_version TO "{role}"')
        for table in sorted(metadata.tables):
            rights = (
                "SELECT, INSERT"
                if metadata.tables[table].info.get("guard") == APPEND_ONLY
                else "SELECT, INSERT, UPDATE, DELETE"
            )
            statements.append(f'REVOKE ALL ON {table} FROM "{role}"')
            statements.append(f'GRANT {rights} ON {table} TO "{role}"')
    return statements
