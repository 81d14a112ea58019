"""A second table of the same columns, keys, references, indexes and guards: where the limit of a bulk insert is measured."""

from collections.abc import Sequence

from sqlalchemy import Connection, MetaData, Table, text

from billing.assurance import schema
from billing.storage import guards

PREFIX = "bench_"


def create(connection: Connection, names: Sequence[str]) -> None:
    """Make the empty twin `bench_<name>` of each table, anew if there is one. The connection is the owner's."""
    metadata = MetaData(naming_convention=schema.metadata.naming_convention)
    for table in schema.metadata.sorted_tables:
        table.to_metadata(metadata)
    twins = [_twin(schema.metadata.tables[name], metadata) for name in names]
    metadata.drop_all(connection, tables=twins)
    metadata.create_all(connection, tables=twins, checkfirst=False)
    for name, statement in guards.expected(metadata, connection.dialect.name).items():
        if f"_{PREFIX}" in name:
            connection.execute(text(statement))


def fill(connection: Connection, name: str, condition: str = "1 = 1") -> int:
    """Copy the rows that meet the condition into the twin by one statement; how many."""
    columns = ", ".join(
        column.name for column in schema.metadata.tables[name].columns
    )  # a migrated table orders them otherwise
    result = connection.execute(
        text(f"INSERT INTO {PREFIX}{name} ({columns}) SELECT {columns} FROM {name} WHERE {condition}")
    )
    return int(result.rowcount)


def _twin(table: Table, metadata: MetaData) -> Table:
    made = table.to_metadata(metadata, name=f"{PREFIX}{table.name}")
    for named in (*made.indexes, *made.constraints):
        if named.name is not None:
            named.name = f"{PREFIX}{named.name}"
    return made
