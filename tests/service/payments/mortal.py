"""Processes that die by a seed: at a call of the provider, before a commit, or right after it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from billing.storage.database import Database, DatabaseUrls, Role


class Died(BaseException):
    """The process is gone: no handler of ours may see it."""


class Fate:
    """Of 1,000 moments at which a process may die it does at `per_mille`; `deaths` says where it did."""

    def __init__(self, seed: int | str, *, per_mille: int) -> None:
        self._random = random.Random(f"deaths:{seed}")
        self.per_mille = per_mille
        self.deaths: list[str] = []

    def pass_by(self, place: str) -> None:
        """A moment at which a process may die."""
        if self._random.randrange(1000) < self.per_mille:
            self.deaths.append(place)
            raise Died(place)


class MortalDatabase(Database):
    """Dies on either side of a commit."""

    def __init__(self, urls: DatabaseUrls, fate: Fate) -> None:
        super().__init__(urls)
        self.fate = fate

    @contextmanager
    def transaction(self, role: Role = "web") -> Iterator[Session]:
        """As the real one; a death before the commit rolls back."""
        with super().transaction(role) as session:
            yield session
            self.fate.pass_by("before commit")
        self.fate.pass_by("after commit")


class MortalProvider:
    """Dies on either side of a call."""

    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner, self._fate = inner, fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name == "read_webhook":
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._fate.pass_by(f"before {name}")
            answer = found(*arguments, **named)
            self._fate.pass_by(f"after {name}")
            return answer

        return call
