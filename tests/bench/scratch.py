"""Databases of a benchmark's own: made empty and migrated, copied in a moment, gone at the end. The user's are never touched.

On PostgreSQL they are made by the owner role on the server that DATABASE_URL names, or by PLUMBLINE_BENCH_ADMIN_URL. Where
neither may create databases, a server of our own is started for the run.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url, text

from billing.storage import migrate
from billing.storage.database import Database, DatabaseUrls, owner_engine
from tests import postgres

ADMIN_URL = "PLUMBLINE_BENCH_ADMIN_URL"
KEPT = Path(__file__).resolve().parents[2] / "artifacts" / "bench"
_PREFIX = "plumbline_bench"


@dataclass(kw_only=True)
class Scratch:
    """Makes, copies and drops the databases of one run of the benchmarks. A context manager."""

    urls: DatabaseUrls  # the user's: it says which engine, server and roles
    _directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="plumbline-bench-")))
    _made: list[str] = field(default_factory=list)
    _server: Path | None = None
    _number: int = 0

    @property
    def engine(self) -> str:
        """sqlite or postgresql."""
        return "sqlite" if make_url(self.urls.web).get_backend_name() == "sqlite" else "postgresql"

    def __enter__(self) -> "Scratch":
        if self.engine == "postgresql" and not self._may_create():
            print("no role here may create databases: measuring on a server of our own", file=sys.stderr)
            self._start_server()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._made):
            self.drop(name)
        if self._server is not None:
            postgres.stop(self._server)
            shutil.rmtree(self._server, ignore_errors=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def migrated(self, name: str | None = None) -> str:
        """A new migrated and bootstrapped database; its name."""
        name = self._create(name, None)
        migrate.upgrade(self.urls_of(name))
        return name

    def empty(self) -> str:
        """A new database with nothing in it; its name."""
        return self._create(None, None)

    def copy(self, template: str) -> str:
        """A new database with all of `template`, which nobody is connected to; its name."""
        return self._create(None, template)

    def drop(self, name: str) -> None:
        """Remove a database."""
        if name in self._made:
            self._made.remove(name)
        if self.engine == "sqlite":
            for path in self._directory.glob(f"{name}.db*"):
                path.unlink()
            return
        with self._administration() as connection:
            postgres.drop_database(connection, name)

    @contextmanager
    def opened(self, name: str) -> Iterator[Database]:
        """The application's view of a database; disconnected afterwards, so that it can be copied or dropped."""
        database = Database(self.urls_of(name))
        try:
            yield database
        finally:
            database.dispose()
            self._settle(name)

    @contextmanager
    def copied(self, template: str) -> Iterator[Database]:
        """A copy of `template` for one measurement."""
        name = self.copy(template)
        try:
            with self.opened(name) as database:
                yield database
        finally:
            self.drop(name)

    def kept(self, label: str, *, keep: bool) -> tuple[str, bool]:
        """The database prepared under a label, and whether it still has to be filled; `keep` leaves a new one for later runs."""
        name = f"{_PREFIX}_{label}"
        if self._exists(name):
            return name, False
        if not keep:
            return self.migrated(), True
        self.migrated(name)
        self._made.remove(name)
        return name, True

    def analyze(self, name: str) -> None:
        """Let the planner learn what was just filled in, as the server's own housekeeping does in time."""
        engine = owner_engine(self.urls_of(name))
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE" if self.engine == "postgresql" else "ANALYZE"))
        finally:
            engine.dispose()

    def urls_of(self, name: str) -> DatabaseUrls:
        """The three roles' URLs of one of our databases."""
        if self.engine == "sqlite":
            return DatabaseUrls(web=f"sqlite:///{self._path(name)}")
        if self._server is not None:
            roles = (postgres.WEB, postgres.JOBS, postgres.OWNER)
            web, jobs, owner = (postgres.url(self._server, name, role) for role in roles)
            return DatabaseUrls(web=web, jobs=jobs, owner=owner)
        return DatabaseUrls(
            web=_with_database(self.urls.web, name),
            jobs=_with_database(self.urls.jobs or self.urls.web, name),
            owner=_with_database(self.urls.owner or self.urls.web, name),
        )

    def _create(self, name: str | None, template: str | None) -> str:
        self._number += 1
        name = name or f"{_PREFIX}_{os.getpid()}_{self._number}"
        if self.engine == "postgresql":
            with self._administration() as connection:
                _create_postgresql(connection, name, self._owner(), template)
        else:
            self._path(name).parent.mkdir(parents=True, exist_ok=True)
            if template is not None:
                shutil.copyfile(self._path(template), self._path(name))
        self._made.append(name)
        return name

    def _settle(self, name: str) -> None:
        """Fold SQLite's log into its file, so that the file alone is the database."""
        if self.engine == "sqlite" and self._path(name).exists():
            with closing(sqlite3.connect(self._path(name))) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _path(self, name: str) -> Path:
        if name.startswith(f"{_PREFIX}_{os.getpid()}_"):
            return self._directory / f"{name}.db"
        return KEPT / f"{name}.db"

    def _exists(self, name: str) -> bool:
        if self.engine == "sqlite":
            return self._path(name).exists()
        with self._administration() as connection:
            return bool(connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone())

    def _owner(self) -> str:
        if self._server is not None:
            return postgres.OWNER
        return make_url(self.urls.owner or self.urls.web).username or ""

    @contextmanager
    def _administration(self) -> Iterator[psycopg.Connection]:
        if self._server is not None:
            with postgres.administration(self._server) as connection:
                yield connection
            return
        with psycopg.connect(_conninfo(self._admin_url()), autocommit=True) as connection:
            yield connection

    def _admin_url(self) -> URL:
        return make_url(os.environ.get(ADMIN_URL) or self.urls.owner or self.urls.web)

    def _may_create(self) -> bool:
        with psycopg.connect(_conninfo(self._admin_url()), autocommit=True) as connection:
            row = connection.execute(
                "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        return bool(row and row[0])

    def _start_server(self) -> None:
        self._server = Path(tempfile.mkdtemp(prefix="plumbline-", dir="/tmp"))
        if os.geteuid() == 0:
            self._server.chmod(0o711)  # the server runs as another user, who passes through
        (self._server / postgres.CONTROLLER_FILE).write_text(str(os.getpid()))
        postgres.start(self._server)


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _conninfo(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _create_postgresql(connection: psycopg.Connection, name: str, owner: str, template: str | None) -> None:
    statement = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template))
    connection.execute(statement)
