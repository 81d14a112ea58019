"""Engines, and the only commit.

SQLite: one file in WAL mode. Writers begin IMMEDIATE (one at a time, waiting up to `busy_timeout`), readers use their own
read-only connections and never wait. PostgreSQL: three roles; `owner` migrates, `jobs` works in bulk, `web` serves requests, held
to the rows of the scope in force (`tenancy`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session as Session  # noqa: PLC0414  the portal names it without importing SQLAlchemy

from billing.storage import tenancy

Role = Literal["web", "jobs"]
Dialect = Literal["sqlite", "postgresql"]

_BUSY_TIMEOUT_S = 30
_LOCK_TIMEOUT_MS = 15_000
_NOTE_TIMEOUT_MS = 100

# What the application may never do to its own SQLite file: change the schema (which drops guards) or turn a pragma.
_DENIED_ACTIONS = frozenset(
    {
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
        # A temporary table or view would hide the real one of its name from every reader of the connection.
        sqlite3.SQLITE_CREATE_TEMP_TABLE,
        sqlite3.SQLITE_CREATE_TEMP_VIEW,
        sqlite3.SQLITE_CREATE_VIEW,
    }
)


@dataclass(frozen=True, kw_only=True)
class DatabaseUrls:
    """SQLAlchemy URLs. On PostgreSQL `owner` and `jobs` name the other two roles; each defaults to `web`."""

    web: str
    jobs: str | None = None
    owner: str | None = None


class Database:
    """The database of one process. Engines are made at first use; `dispose()` after a fork."""

    def __init__(self, urls: DatabaseUrls) -> None:
        self.urls = urls
        name = make_url(urls.web).get_backend_name()
        if name not in ("sqlite", "postgresql"):
            raise ValueError(f"DATABASE_URL must be sqlite or postgresql, not {name}")
        self.dialect: Dialect = "sqlite" if name == "sqlite" else "postgresql"

    @contextmanager
    def transaction(self, role: Role = "web") -> Iterator[Session]:
        """One act: begins at once, commits when the block ends, rolls back when it raises. The only commit there is (Law 6).

        SQLite: BEGIN IMMEDIATE, so the block is the only writer. PostgreSQL: READ COMMITTED; take the account's head
        (`accounts.heads.lock`) before reading what will change. Nothing inside may wait for the network.
        """
        with Session(self._writer(role), expire_on_commit=False) as session, session.begin():
            self._hold_to_scope(session.connection(), role)
            yield session

    @contextmanager
    def reading(self, role: Role = "web") -> Iterator[Session]:
        """A consistent snapshot for a page or report. It cannot write and takes no write lock."""
        with self._reader(role).connect() as connection:
            if self.dialect == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin(), Session(bind=connection, autoflush=False, expire_on_commit=False) as session:
                self._hold_to_scope(connection, role)
                yield session

    @contextmanager
    def noting(self) -> Iterator[Session]:
        """One short write that may be lost, such as when somebody was last seen: a reader must not wait for it.

        Where another writer is in the way it gives up after a tenth of a second (OperationalError).
        """
        engine = self._sqlite_noter if self.dialect == "sqlite" else self.web_engine
        with Session(engine, expire_on_commit=False) as session, session.begin():
            connection = session.connection()
            self._hold_to_scope(connection, "web")
            if self.dialect == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_NOTE_TIMEOUT_MS}")
            yield session

    def _hold_to_scope(self, connection: Connection, role: Role) -> None:
        """Tell PostgreSQL's walls what this transaction may see; a role of its own for jobs is not held by them."""
        if self.dialect == "sqlite" or (role == "jobs" and self.jobs_engine is not self.web_engine):
            return
        scope = tenancy.current()
        connection.exec_driver_sql(
            "SELECT set_config('plumbline.accounts', %s, true), set_config('plumbline.tenants', %s, true)",
            (scope.accounts_setting, scope.tenants_setting),
        )

    def dispose(self) -> None:
        """Close all pooled connections of this process."""
        for name in ("web_engine", "jobs_engine", "_sqlite_reader", "_sqlite_noter"):
            if name in self.__dict__:
                self.__dict__.pop(name).dispose()

    @cached_property
    def web_engine(self) -> Engine:
        """The engine that requests use."""
        return self._make(self.urls.web)

    @cached_property
    def jobs_engine(self) -> Engine:
        """The engine of the scheduler and the command line; the web engine where no other role is named."""
        if self.urls.jobs is None or self.urls.jobs == self.urls.web:
            return self.web_engine
        return self._make(self.urls.jobs)

    @cached_property
    def _sqlite_reader(self) -> Engine:
        return _sqlite_engine(self.urls.web, read_only=True)

    @cached_property
    def _sqlite_noter(self) -> Engine:
        return _sqlite_engine(self.urls.web, timeout_s=_NOTE_TIMEOUT_MS / 1000)

    def _make(self, url: str) -> Engine:
        return _sqlite_engine(url) if self.dialect == "sqlite" else _postgresql_engine(url)

    def _writer(self, role: Role) -> Engine:
        return self.jobs_engine if role == "jobs" else self.web_engine

    def _reader(self, role: Role) -> Engine:
        return self._sqlite_reader if self.dialect == "sqlite" else self._writer(role)


def owner_engine(urls: DatabaseUrls) -> Engine:
    """The engine of migrations: no authorizer on SQLite, the owner role on PostgreSQL. Dispose of it after use."""
    url = urls.owner or urls.web
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite_engine(url, authorize=False)
    return _postgresql_engine(url)


def _sqlite_engine(
    url: str, *, read_only: bool = False, authorize: bool = True, timeout_s: float = _BUSY_TIMEOUT_S
) -> Engine:
    engine = create_engine(url, connect_args={"timeout": timeout_s, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        pragmas = [
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",
            "cell_size_check=ON",
        ]
        if read_only:
            pragmas = ["foreign_keys=ON", "recursive_triggers=ON", "query_only=ON"]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        for name in ("foreign_keys", "recursive_triggers"):
            if connection.execute(f"PRAGMA {name}").fetchone() != (1,):
                raise sqlite3.OperationalError(f"this SQLite cannot hold the guards: {name} stays off")
        if authorize:
            connection.set_authorizer(_authorize)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    if action in _DENIED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if (
        action == sqlite3.SQLITE_PRAGMA
        and second is not None
        and first not in ("table_info", "index_list", "quick_check")
    ):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _postgresql_engine(url: str) -> Engine:
    options = f"-c timezone=UTC -c lock_timeout={_LOCK_TIMEOUT_MS} -c idle_in_transaction_session_timeout=60000"
    return create_engine(url, pool_size=8, max_overflow=8, pool_pre_ping=True, connect_args={"options": options})


def is_alive(session: Session) -> bool:
    """Whether the database answers at all."""
    return session.execute(text("SELECT 1")).scalar() == 1
