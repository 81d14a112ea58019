"""Locks on names, for things that have no row yet to lock."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def take(session: Session, *names: str) -> None:
    """Let transactions that take the same name wait for each other until they end.

    PostgreSQL: advisory locks in order of name. SQLite: a writing transaction is the only one already.
    """
    if session.get_bind().dialect.name == "postgresql":
        for name in sorted(names):
            session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
