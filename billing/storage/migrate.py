"""Bring a database to the present schema: migrations, then guards, then grants, in that order, as the owner."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from sqlalchemy import Connection, make_url, text

from billing.storage.database import DatabaseUrls, owner_engine

if TYPE_CHECKING:
    import sqlite3

    from alembic.config import Config

_ROOT = Path(__file__).resolve().parents[2]
_ADVISORY_LOCK = 7_236_001


def upgrade(urls: DatabaseUrls, revision: str = "head") -> None:
    """Apply what is missing. Several migrators at once wait for each other; a repeat changes nothing.

    Guards are installed anew after the migrations, because a table rebuild on SQLite drops triggers silently.
    """
    from alembic import command  # here and below: the migrator is no part of a serving process

    _prepare_sqlite_folder(urls)
    engine = owner_engine(urls)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                # A table that is written anew is dropped for a moment; what refers to it is proven below.
                cast("sqlite3.Connection", connection.connection.dbapi_connection).execute("PRAGMA foreign_keys=OFF")
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
                command.upgrade(alembic_config(connection=connection, urls=urls), revision)
                _require_references(connection)
    finally:
        engine.dispose()


def current_revision(urls: DatabaseUrls) -> str | None:
    """The revision the database is at, None for an empty one or a SQLite file that is not there."""
    from alembic.runtime.migration import MigrationContext

    url = make_url(urls.owner or urls.web)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return None
    engine = owner_engine(urls)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def head_revision() -> str:
    """The newest revision the code knows."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if head is None:
        raise RuntimeError("no migrations found")
    return head


def alembic_config(**attributes: object) -> "Config":
    """Alembic's configuration without an ini file; `attributes` reach `migrations/env.py`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    config.set_main_option("prepend_sys_path", str(_ROOT))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes.update(attributes)
    return config


def role_names(urls: DatabaseUrls) -> tuple[str | None, str | None]:
    """(web, jobs) user names of the PostgreSQL URLs."""
    return make_url(urls.web).username, make_url(urls.jobs or urls.web).username


def _require_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.execute(text("PRAGMA foreign_key_check")).all()
        if broken:
            raise RuntimeError(f"the migration left {len(broken)} rows that refer to nothing, first in {broken[0][0]}")


def _prepare_sqlite_folder(urls: DatabaseUrls) -> None:
    url = make_url(urls.owner or urls.web)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
