"""Migrated databases for tests: the real migrations run once a run and engine, every test gets a copy of its own."""

import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from billing.catalog import bootstrap
from billing.storage import migrate
from billing.storage.database import Database, DatabaseUrls
from tests import postgres
from tests.session import is_ci, is_full_depth

ENGINES = ("sqlite", "postgresql")

# Before every instant that a test speaks of.
BOOTSTRAPPED_AT = datetime(2015, 1, 1, tzinfo=UTC)

_numbers = itertools.count(1)


def chosen_engines() -> tuple[str, ...]:
    """Both engines; `PLUMBLINE_TEST_ENGINES=sqlite` narrows them while one develops, which CI does not accept."""
    chosen = tuple(os.environ.get("PLUMBLINE_TEST_ENGINES", "").replace(",", " ").split())
    unknown = set(chosen) - set(ENGINES)
    if unknown:
        raise ValueError(f"PLUMBLINE_TEST_ENGINES knows sqlite and postgresql, not {', '.join(sorted(unknown))}")
    if is_ci() and chosen and set(chosen) != set(ENGINES):
        raise ValueError("CI runs on both engines: PLUMBLINE_TEST_ENGINES is for development")
    return chosen or ENGINES


def engines_of_pages() -> tuple[str, ...]:
    """SQLite for the pages' own tests: what PostgreSQL does otherwise is proven below them, and the gates walk every page there.
    At full depth (the tiers from merge-medium on) both."""
    chosen = chosen_engines()
    return chosen if is_full_depth() or "sqlite" not in chosen else ("sqlite",)


@contextmanager
def fresh(engine: str, run_dir: Path) -> Iterator[DatabaseUrls]:
    """A migrated database that nobody else sees, removed at the end."""
    if engine == "sqlite":
        with _sqlite_file(run_dir) as path:
            shutil.copyfile(_sqlite_template(run_dir), path)
            yield DatabaseUrls(web=f"sqlite:///{path}")
        return
    with _postgres_database(run_dir, _postgres_template(run_dir)) as urls:
        yield urls


@contextmanager
def empty(engine: str, run_dir: Path) -> Iterator[DatabaseUrls]:
    """A database without a single table, for tests of the migrations themselves."""
    if engine == "sqlite":
        with _sqlite_file(run_dir) as path:
            yield DatabaseUrls(web=f"sqlite:///{path}")
        return
    with postgres.locked(run_dir, "cluster"):
        postgres.start(run_dir)
    with _postgres_database(run_dir, None) as urls:
        yield urls


@contextmanager
def opened(urls: DatabaseUrls) -> Iterator[Database]:
    """The application's view of a database; its connections are closed at the end."""
    database = Database(urls)
    try:
        yield database
    finally:
        database.dispose()


def _prepare(urls: DatabaseUrls) -> None:
    """What `plumbline db upgrade` does to an empty database: the schema, and the default seller, meters, prices and plan."""
    migrate.upgrade(urls)
    with opened(urls) as database, database.transaction("jobs") as session:
        bootstrap.install(session, now=BOOTSTRAPPED_AT)


@contextmanager
def _sqlite_file(run_dir: Path) -> Iterator[Path]:
    directory = run_dir / f"sqlite-{os.getpid()}-{next(_numbers)}"
    directory.mkdir()
    try:
        yield directory / "plumbline.db"
    finally:
        shutil.rmtree(directory)


def _sqlite_template(run_dir: Path) -> Path:
    template = run_dir / "template.db"
    with postgres.locked(run_dir, "sqlite"):
        if not template.exists():
            making = run_dir / "making.db"
            making.unlink(missing_ok=True)
            _prepare(DatabaseUrls(web=f"sqlite:///{making}"))
            with closing(sqlite3.connect(making)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            making.rename(template)
    return template


def _postgres_template(run_dir: Path) -> str:
    name = "template_migrated"
    with postgres.locked(run_dir, "cluster"):
        postgres.start(run_dir)
        done = run_dir / "pg-template-made"
        if not done.exists():
            with postgres.administration(run_dir) as connection:
                postgres.drop_database(connection, name)
                postgres.create_database(connection, name)
            _prepare(_postgres_urls(run_dir, name))
            done.touch()
    return name


@contextmanager
def _postgres_database(run_dir: Path, template: str | None) -> Iterator[DatabaseUrls]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with postgres.administration(run_dir) as connection:
        postgres.create_database(connection, name, template)
        try:
            yield _postgres_urls(run_dir, name)
        finally:
            postgres.drop_database(connection, name)


def _postgres_urls(run_dir: Path, name: str) -> DatabaseUrls:
    return DatabaseUrls(
        web=postgres.url(run_dir, name, postgres.WEB),
        jobs=postgres.url(run_dir, name, postgres.JOBS),
        owner=postgres.url(run_dir, name, postgres.OWNER),
    )
