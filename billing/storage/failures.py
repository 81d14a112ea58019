"""What a failing database says, in one sentence for a person."""

from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# DatabaseError, the base of all of them, alone says that the file is damaged or is no database.
UNUSABLE = (DatabaseError, PoolTimeout)


def is_unavailable(error: BaseException) -> bool:
    """Whether the database did not answer, rather than refuse: trying again later may help."""
    return isinstance(error, OperationalError | PoolTimeout)


def sentence(error: BaseException) -> str:
    """What happened and what to do, without SQL."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    words = str(cause).strip().splitlines()
    if "unable to open database file" in str(cause):
        return "There is no database at this address: run `plumbline db upgrade` first, or correct DATABASE_URL."
    if "no such table" in str(cause) or type(cause).__name__ == "UndefinedTable":
        return "The database has no tables yet: run `plumbline db upgrade` first."
    if "file is not a database" in str(cause):
        return "The file at this address is not a database: correct DATABASE_URL."
    return f"The database cannot be used: {(words[0] if words else type(cause).__name__).rstrip('.')}."
