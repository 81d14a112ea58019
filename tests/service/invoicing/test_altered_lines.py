"""A line of an issued invoice that was altered behind the guards is named by the self-check, even where the sums still hold."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import make_url

from billing.assurance import selfcheck
from billing.storage.database import Database
from tests.service.invoicing import terms_world, test_conversion, world
from tests.service.invoicing.world import NOW, Use

pytestmark = [pytest.mark.tampers, pytest.mark.parametrize("engine", ["sqlite"], indirect=True)]


def altered(database: Database, *statements: str) -> list[tuple[str, str]]:
    """(check, row) of what the self-check finds after somebody who holds the file changed it."""
    path = make_url(database.urls.web).database
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' "
            "AND tbl_name IN ('invoice_lines', 'invoice_taxes', 'invoice_allowances', 'invoice_rates', 'fx_rates', 'usage_records')"
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


def taken_off(database: Database) -> str:
    """The id of an issued invoice over 200.00 of which a commitment covers 100.00, a gift 20.00."""
    account_id = world.open_account(database)
    terms_world.committed(database, account_id, 10_000)
    terms_world.gift(database, account_id, 2_000)
    world.used(database, account_id, Use(20_000))
    return world.issued(database, account_id).id


def test_a_gift_that_is_said_to_be_larger_is_found(database: Database) -> None:
    invoice_id = taken_off(database)
    found = altered(database, "UPDATE invoice_allowances SET amount_minor = amount_minor + 1")
    assert ("invoice", invoice_id) in found
    assert ("invoice_line", invoice_id) in found


def test_a_drawdown_that_names_no_commitment_any_more_is_found(database: Database) -> None:
    invoice_id = taken_off(database)
    found = altered(
        database, "UPDATE invoice_lines SET contract_id = NULL WHERE contract_id IS NOT NULL AND amount_minor < 0"
    )
    assert ("invoice", invoice_id) in found
    assert [check for check, _ in found].count("invoice_line") == 1


def test_a_commitment_with_more_left_than_was_sold_is_found(database: Database) -> None:
    account_id = world.open_account(database)
    made = terms_world.committed(database, account_id, 10_000)
    found = altered(database, "UPDATE commit_contracts SET amount_minor = 9999")
    assert sorted(found) == [("agreement", made.id), ("commitment", made.id)]


def test_a_closing_charge_that_is_not_what_its_words_come_to_is_found(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, minimum={"USD": "100.00"}, opened_at=terms_world.OCTOBER)
    terms_world.use(database, account_id, Use(4_000))
    found = altered(database, "UPDATE usage_records SET quantity_base = '6001000000' WHERE source = 'closing/minimum'")
    assert "terms" in {check for check, _ in found}


def test_an_altered_rate_conversion_or_converted_amount_is_found(database: Database) -> None:
    test_conversion.load(database)
    header = world.issued(database, test_conversion.account_in(database, "EUR", Use(333)))
    for statement, expected in (
        (
            "UPDATE fx_rates SET rate_text = '1.1171' WHERE currency = 'USD'",
            3,
        ),  # the snapshot, and two rates made from it
        ("UPDATE fx_rates SET rate_text = '1.1172' WHERE currency = 'USD'", 0),
        ("UPDATE invoice_rates SET to_minor = to_minor + 1 WHERE purpose = 'tax'", 1),
        ("UPDATE invoice_rates SET to_minor = to_minor - 1 WHERE purpose = 'tax'", 0),
        ("UPDATE invoice_lines SET charged_minor = charged_minor + 1", 1),
    ):
        found = [pair for pair in altered(database, statement) if pair[0] == "conversion"]
        assert len(found) == expected, statement
        assert expected == 0 or header.id in {row for _, row in found} | {header.id}
