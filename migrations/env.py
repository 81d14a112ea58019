"""Alembic's entry: run the revisions on the owner's connection, then install guards, grants and walls for the tables as they now are."""

from alembic import context
from sqlalchemy import Connection, text

from billing.assurance import schema
from billing.storage import guards, migrate, walls
from billing.storage.database import DatabaseUrls


def run(connection: Connection, urls: DatabaseUrls) -> None:
    """Revisions, guards and grants in the caller's transaction."""
    context.configure(connection=connection, target_metadata=schema.metadata, render_as_batch=True)
    context.run_migrations()
    if not _is_at_head(connection):
        return  # a step on the way: the tables of the code are not all there yet
    guards.install(connection, schema.metadata)
    web_role, jobs_role = migrate.role_names(urls)
    owner = connection.engine.url.username
    if connection.dialect.name == "postgresql" and web_role and jobs_role:
        others = {web_role, jobs_role} - {owner}
        for statement in guards.grants(schema.metadata, web_role=web_role, jobs_role=jobs_role):
            if any(f'"{role}"' in statement for role in others):
                connection.execute(text(statement))
        walls.install(connection, schema.metadata, web_role=web_role, jobs_role=jobs_role)


def _is_at_head(connection: Connection) -> bool:
    return context.get_context().get_current_revision() == migrate.head_revision()


run(context.config.attributes["connection"], context.config.attributes["urls"])
