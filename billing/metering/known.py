"""What is known of many (source, id) pairs: one statement a batch, whatever the number of sources."""

import json
from collections.abc import Collection, Iterable

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

Pair = tuple[str, str]

_CHUNK = 5_000


def find_hashes(session: Session, pairs: Collection[Pair]) -> dict[Pair, str]:
    """{(source, id): hash of what the source said} of those pairs that are usage already."""
    found: dict[Pair, str] = {}
    for source, source_id, content_hash in _select(session, "usage_records", "content_hash", pairs):
        found[source, source_id] = content_hash
    return found


def find_readings(session: Session, pairs: Collection[Pair]) -> dict[Pair, str]:
    """The same of readings of counters, which may have added nothing."""
    return {(row[0], row[1]): row[2] for row in _select(session, "counter_readings", "content_hash", pairs)}


def find_received(session: Session, pairs: Collection[Pair]) -> dict[Pair, str]:
    """The same of events that wait in the inbox, or did."""
    return {(row[0], row[1]): row[2] for row in _select(session, "usage_inbox", "content_hash", pairs)}


def find_refused(session: Session, pairs: Collection[Pair]) -> dict[Pair, str]:
    """{(source, id): id of the row} of events in the inbox that were refused."""
    rows = list(_select(session, "usage_inbox", "id", pairs))
    states = {(row[0], row[1]): row[2] for row in _select(session, "usage_inbox", "state", pairs)}
    return {(row[0], row[1]): row[2] for row in rows if states[row[0], row[1]] == "refused"}


def find_record_ids(session: Session, pairs: Collection[Pair]) -> list[str]:
    """Ids of the usage records of those pairs."""
    return [str(row[2]) for row in _select(session, "usage_records", "id", pairs)]


def _select(session: Session, table: str, column: str, pairs: Collection[Pair]) -> Iterable[tuple[str, str, str]]:
    connection = session.connection()
    statement = _statement(connection.dialect.name, table, column)
    wanted = list(pairs)
    for place in range(0, len(wanted), _CHUNK):
        found = connection.execute(statement, {"pairs": json.dumps(wanted[place : place + _CHUNK])})
        yield from found


def _statement(dialect: str, table: str, column: str) -> TextClause:
    """(source, source id, column). The pairs are one JSON text, which costs less than an array; each is one look into the index."""
    if dialect == "sqlite":
        return text(
            f"SELECT t.source, t.source_id, t.{column} FROM json_each(:pairs) AS w CROSS JOIN {table} AS t"  # noqa: S608  our own names
            " ON t.source = json_extract(w.value, '$[0]') AND t.source_id = json_extract(w.value, '$[1]')"
        )
    return text(
        f"SELECT t.source, t.source_id, t.{column} FROM json_array_elements(CAST(:pairs AS json)) AS w(pair)"  # noqa: S608  our own names
        f" JOIN {table} AS t ON t.source = w.pair ->> 0 AND t.source_id = w.pair ->> 1"
    )
