"""`plumbline db`: migrations, and whether the database holds what the code expects."""

import click

from billing.assurance import schema
from billing.catalog import bootstrap
from billing.storage import migrate
from portal.cli import Failed, context
from portal.config import database_urls


@click.group()
def db() -> None:
    """Bring the database up to date, or check that it is."""


@db.command()
def upgrade() -> None:
    """Apply what is missing; an empty database becomes usable by this alone. Safe to repeat."""
    urls = database_urls()
    before = migrate.current_revision(urls)
    migrate.upgrade(urls)
    with context.database().transaction("jobs") as session:
        bootstrap.install(session, now=context.now())
    after = migrate.current_revision(urls)
    click.echo(f"database is at {after}" + ("" if before == after else f" (was {before or 'empty'})"))


@db.command()
def check() -> None:
    """Compare tables and guards with what the code expects; exit 1 at any difference."""
    found = schema.check(database_urls())
    for difference in found:
        click.echo(difference)
    if found:
        raise Failed(f"{len(found)} differences: run `plumbline db upgrade`.")
    click.echo(f"{len(schema.metadata.tables)} tables and their guards are as they must be")
