"""`plumbline db`: migrations, and whether the database holds what the code expects."""

import click

from billing.assurance import schema
from billing.catalog import bootstrap
from billing.storage import guards, migrate
from billing.storage.database import owner_engine
from portal.cli import Failed, context
from portal.config import database_urls


@click.group()
def db() -> None:
    """Bring the database up to date, or check that it is."""


@db.command()
def upgrade() -> None:
    """Apply what is missing; an empty database becomes usable by this alone. Safe to repeat."""
    urls = database_urls()
    before = migrate.current_revision(urls) if _exists() else None
    migrate.upgrade(urls)
    with context.database().transaction("jobs") as session:
        bootstrap.install(session, now=context.now())
    after = migrate.current_revision(urls)
    click.echo(f"database is at {after}" + ("" if before == after else f" (was {before or 'empty'})"))


@db.command()
def check() -> None:
    """Compare tables and guards with what the code expects; exit 1 at any difference."""
    engine = owner_engine(database_urls())
    try:
        with engine.connect() as connection:
            found = schema.drift(connection) + [f"guard {name}" for name in guards.differences(connection, schema.metadata)]
    finally:
        engine.dispose()
    for difference in found:
        click.echo(difference)
    if found:
        raise Failed(f"{len(found)} differences: run `plumbline db upgrade`.")
    click.echo(f"{len(schema.metadata.tables)} tables and their guards are as they must be")


def _exists() -> bool:
    from pathlib import Path

    from sqlalchemy import make_url

    url = make_url(database_urls().web)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()
