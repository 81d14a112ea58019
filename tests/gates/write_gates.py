"""Writes: the token, the origin, and that a refused one changes nothing in the database."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

from tests.gates.walk import Stop, Walk

# Rows that an asking alone may write: when somebody was last seen, how often somebody tried.
_VOLATILE = {"user_sessions", "sign_in_attempts", "rate_limits", "idempotency_claims"}
_SEEN = {"last_used_at", "last_seen_at"}
FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
)


def rows(walk: Walk) -> dict[str, list[tuple[object, ...]]]:
    """{table: its rows}, on SQLite, without when something was last used."""
    path = walk.app.extensions["plumbline"].database.urls.web.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
        return {
            name: connection.execute(_select(connection, name)).fetchall() for name in names if name not in _VOLATILE
        }


def _select(connection: sqlite3.Connection, table: str) -> str:
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")') if row[1] not in _SEEN]
    return f'SELECT {", ".join(f"{column!r}".replace(chr(39), chr(34)) for column in columns)} FROM "{table}"'


def tables(walk: Walk) -> dict[str, str]:
    """{table: hash of its rows}."""
    return {name: hashlib.sha256(repr(found).encode()).hexdigest() for name, found in rows(walk).items()}


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The tables whose rows are not what they were."""
    return sorted(name for name in after if before.get(name) != after[name])


def forms(stops: Iterable[Stop]) -> Iterator[Stop]:
    """The stops that a browser writes to."""
    return (stop for stop in stops if stop.writes and not stop.is_machine)


def token(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Without its token, with another's or with a made-up one, a write is refused and does nothing."""
    foreign = walk.token("stranger")
    for stop in forms(stops):
        walk.client(stop.owner)  # whoever has not signed in yet does so now
        before = tables(walk)
        fields = walk.fields(stop, stop.owner)
        for words, value in (("no token", None), ("another session's token", foreign), ("a made-up token", "x" * 60)):
            data = fields if value is None else {**fields, "csrf_token": value}
            answer = walk.open(stop, method=stop.writes or "POST", data=data)
            if answer.status_code != 400 or "no longer valid" not in answer.get_data(as_text=True):
                yield f"{stop}: {answer.status_code} to a write with {words}"
        if changes := changed(before, tables(walk)):
            yield f"{stop}: writes without a token changed {changes}"


def origin(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """From another site a write is refused though its token is right."""
    for stop in forms(stops):
        walk.client(stop.owner)  # whoever has not signed in yet does so now
        before = tables(walk)
        for headers in FOREIGN:
            status = walk.send(stop, headers=headers).status_code
            if status != 403:
                yield f"{stop}: {status} to a write from {headers}"
        if changes := changed(before, tables(walk)):
            yield f"{stop}: a write from elsewhere changed {changes}"


def accepted(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """The positive control of all refusals: what the samples send is accepted, each in the world as it was seeded."""
    for stop in stops:
        if not stop.writes or stop.access == "key":
            continue
        if not stop.is_machine:
            walk.token(stop.owner)
        with walk.rewound():
            answer = walk.send(stop)
            is_accepted = answer.status_code in (200, 201, 202, 204, 303)
            if answer.status_code != stop.sample.expects and not (is_accepted and stop.sample.expects is None):
                yield f"{stop}: {answer.status_code} to what its sample sends: {answer.get_data(as_text=True)[-2000:]}"


def reading(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Reading changes nothing."""
    for stop in stops:
        if "GET" in stop.methods:
            walk.client(stop.owner)
            before = tables(walk)
            walk.open(stop)
            if changes := sorted(set(changed(before, tables(walk))) - stop.sample.leaves):
                yield f"{stop}: reading it changed {changes}"
