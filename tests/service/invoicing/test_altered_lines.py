"""A line of an issued invoice that was altered behind the guards is named by the self-check, even where the sums still hold."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import make_url

from billing.assurance import selfcheck
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use

pytestmark = [pytest.mark.tampers, pytest.mark.parametrize("engine", ["sqlite"], indirect=True)]


def altered(database: Database, *statements: str) -> list[tuple[str, str]]:
    """(check, row) of what the self-check finds after somebody who holds the file changed it."""
    path = make_url(database.urls.web).database
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('invoice_lines', 'invoice_taxes')"
        ).fetchall()
        for (name,) in names:
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
        connection.commit()
    with database.reading("jobs") as session:
        found = selfcheck.run(session, now=NOW).differences
    return [(difference.check, difference.subject_id) for difference in found if difference.check != "guard"]


def issued(database: Database) -> str:
    """The id of an issued invoice of two lines, 1.00 for each of two projects."""
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100, project="red"), Use(100, project="blue"))
    return world.issued(database, account_id).id


def test_a_cent_moved_from_one_line_to_another_is_found(database: Database) -> None:
    issued(database)
    found = altered(
        database,
        "UPDATE invoice_lines SET amount_minor = amount_minor - 1 WHERE seq = 1",
        "UPDATE invoice_lines SET amount_minor = amount_minor + 1 WHERE seq = 2",
    )
    assert [check for check, _ in found] == [
        "invoice_line"
    ] * 4  # each line against the document, and against its charge


def test_another_text_on_a_line_is_found(database: Database) -> None:
    issued(database)
    found = altered(database, "UPDATE invoice_lines SET description = 'Something else' WHERE seq = 2")
    assert [check for check, _ in found] == ["invoice_line"]


def test_another_base_of_the_tax_is_found(database: Database) -> None:
    invoice_id = issued(database)
    found = altered(database, "UPDATE invoice_taxes SET taxable_minor = taxable_minor + 1")
    assert found == [("invoice_line", invoice_id)]


def test_untouched_lines_are_all_looked_at(database: Database) -> None:
    issued(database)
    with database.reading("jobs") as session:
        found = selfcheck.run(session, now=NOW)
    assert not found.differences
    assert found.by_check["invoice_line"] == 3  # two lines, one VAT group
