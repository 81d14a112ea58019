"""What a seller declares: by jurisdiction, scheme and rate, credit notes in their own period, tied to the ledger."""

from dataclasses import replace
from datetime import datetime

import pytest

from billing.accounts import directory
from billing.exports import tax_filing
from billing.invoicing import credit_notes
from billing.invoicing.taxes import filing
from billing.invoicing.taxes.filing import Filing
from billing.kernel.errors import Invalid
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use


def _file(database: Database, period: str) -> Filing:
    with database.reading("jobs") as session:
        return filing.file(session, directory.first_seller(session), period)


def _lines(found: Filing) -> list[tuple[str, str, str, int, int, int, int]]:
    return [
        (
            key.jurisdiction,
            key.scheme,
            key.category,
            figures.taxable_minor,
            figures.tax_minor,
            figures.invoices,
            figures.credit_notes,
        )
        for key, figures in found.rows
    ]


def test_documents_of_a_month_are_declared_and_a_credit_note_in_its_own(database: Database) -> None:
    consumer = world.invoice_of(database, 10_000)
    business = world.open_account(
        database, "bureau", profile=replace(world.GERMANY, vat_id="DE136695976", legal_name="Bureau")
    )
    world.used(database, business, Use(5_000))
    world.issued(database, business)
    december = datetime(2026, 12, 3, tzinfo=NOW.tzinfo)
    with database.transaction() as session:
        credit_notes.credit(
            session, now=december, invoice_id=consumer.id, amount_minor=1_190, reason="Slow", actor="usr_ann"
        )
    november = _file(database, "2026-11")
    assert _lines(november) == [
        ("DE", "oss", "S", 10_000, 1_900, 1, 0),
        ("DE", "reverse_charge", "AE", 5_000, 0, 1, 0),
    ]
    assert _lines(_file(database, "2026-12")) == [("DE", "oss", "S", -1_000, -190, 0, 1)]
    quarter = _file(database, "2026-Q4")
    assert _lines(quarter)[0] == ("DE", "oss", "S", 9_000, 1_710, 1, 1)
    assert not november.differences + quarter.differences
    assert [row["form"] for row in tax_filing.records(quarter, form="local")] == ["local"]
    made = tax_filing.declaration(quarter, form="oss")
    text = b"".join(made.export).decode()
    assert "2026-Q4,house,oss,DE,oss,IE1234567T,S,19.00,USD,90.00,17.10,USD,17.10,1,1" in text
    assert (made.to_manifest()["tax"], made.to_manifest()["ties_to_ledger"]) == ({"USD": "17.10"}, True)


def test_a_document_that_says_other_than_the_ledger_is_named(database: Database) -> None:
    world.invoice_of(database, 10_000)
    found = _file(database, "2026-11")
    key, figures = found.rows[0]
    figures.tax_minor += 1
    [difference] = filing._differences([(key, figures)], {("DE", "USD"): 1_900})
    assert (difference.jurisdiction, difference.filed_minor, difference.ledger_minor) == ("DE", 1_901, 1_900)


@pytest.mark.parametrize("period", ["2026-13", "2026-Q5", "2026", "", "Q1-2026"])
def test_a_text_that_is_no_period_is_refused(period: str) -> None:
    with pytest.raises(Invalid):
        filing.window(period, "UTC")
