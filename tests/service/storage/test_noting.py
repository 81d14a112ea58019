"""A note that may be lost never makes a reader wait."""

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from billing.storage.database import Database
from billing.storage.tables import Setting

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _note(database: Database, value: str) -> None:
    with database.noting() as session:
        session.get_one(Setting, "seen", with_for_update=True).value = value


def test_a_note_is_written_when_nobody_is_in_the_way(database: Database) -> None:
    with database.noting() as session:
        session.add(Setting(name="seen", value="1", updated_at=NOW))
    with database.reading() as session:
        assert session.scalar(select(Setting.value).where(Setting.name == "seen")) == "1"


def test_a_note_gives_up_at_once_while_another_writes(database: Database) -> None:
    with database.transaction() as session:
        session.add(Setting(name="seen", value="1", updated_at=NOW))
    with database.transaction() as writing:
        writing.get_one(Setting, "seen", with_for_update=True).value = "2"
        writing.flush()
        started = time.monotonic()
        with pytest.raises(OperationalError):
            _note(database, "3")
        assert time.monotonic() - started < 10  # and not the half minute that a writer waits
    with database.reading() as session:
        assert session.get_one(Setting, "seen").value == "2"
