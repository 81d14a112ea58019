"""INSERT .. ON CONFLICT, which both engines have, each in a dialect of its own.

The dialects are loaded when they are first spoken: SQLAlchemy's for PostgreSQL alone is a tenth of the portal's start.
"""

from typing import Any

from sqlalchemy.orm import Session


def insert(session: Session, table: Any) -> Any:
    """An insert into the mapped table with `on_conflict_do_nothing` and `on_conflict_do_update`, as the session's engine has them."""
    return of_dialect(session.get_bind().dialect.name, table)


def of_dialect(name: str, table: Any) -> Any:
    """The same by the dialect's name, for a statement that is made once and kept."""
    if name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
