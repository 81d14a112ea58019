"""A database that can be taken back to where it was, so that a thousand stories share their beginnings."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from billing.storage.database import Database, DatabaseUrls, Role


class Rewinding(Database):
    """Everything happens on one connection inside one transaction that never commits; what the application commits is a savepoint.

    For one thread. Guards, checks and unique keys hold as ever; nothing of ours is deferred to a commit.
    """

    def __init__(self, urls: DatabaseUrls) -> None:
        super().__init__(urls)
        self._connection: Connection | None = None

    @contextmanager
    def held(self) -> Iterator["Rewinding"]:
        """The connection is open as long as the block; all of it is taken back at the end."""
        with self.jobs_engine.connect() as connection, connection.begin() as outer:
            self._connection = connection
            try:
                yield self
            finally:
                self._connection = None
                outer.rollback()

    @contextmanager
    def rewound(self) -> Iterator[None]:
        """What happens inside the block will not have happened."""
        with self._open.begin_nested() as point:
            yield
            point.rollback()

    @contextmanager
    def transaction(self, role: Role = "web") -> Iterator[Session]:
        """As the real one, its commit a released savepoint, its rollback one to the savepoint."""
        with (
            Session(self._open, expire_on_commit=False, join_transaction_mode="create_savepoint") as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self, role: Role = "web") -> Iterator[Session]:
        """As the real one; what is written inside is taken back, where the real one would refuse it."""
        with (
            self.rewound(),
            Session(
                self._open, autoflush=False, expire_on_commit=False, join_transaction_mode="create_savepoint"
            ) as session,
        ):
            yield session

    @property
    def _open(self) -> Connection:
        assert self._connection is not None, "use it inside `held()`"
        return self._connection
