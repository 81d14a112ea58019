"""Law 3: the guards that keep the books append-only are all there, as they must be."""

from sqlalchemy.orm import Session

from billing.assurance import schema
from billing.assurance.report import Tally
from billing.storage import guards

NAME = "guard"


def check(session: Session, tally: Tally) -> None:
    """Compare every guard's text with what the tables' definitions ask for."""
    connection = session.connection()
    tally.look(len(guards.expected(schema.metadata, connection.dialect.name)))
    for name in guards.differences(connection, schema.metadata):
        tally.differ(name, "is missing, altered, disabled or unknown: the database no longer refuses what it must")
