"""Bank transfers by finance's machines and on the command line: the same line once, named invoices, clear refusals."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from billing.storage.database import Database, DatabaseUrls
from portal.cli import context, main
from tests import staff
from tests.service.invoicing import world
from tests.web import operators
from tests.web.api.machines import problem, staff_machine

URL = "/billing/bank-transfers"
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the services are proved on both
IBAN = "DE89370400440532013000"
LINE: dict[str, Any] = {
    "account": "dahlia",
    "amount": {"amount_minor": 15_000, "currency": "USD"},
    "value_on": "2026-11-20",
    "bank_reference": "S-1",
    "payer": "Dahlia GmbH",
    "bank_account": IBAN,
}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def number(database: Database) -> str:
    """An invoice of 119.00 that is open."""
    return str(world.invoice_of(database, 10_000, code="dahlia").number)


def test_a_machine_books_a_line_once_and_lists_it(app: Flask, database: Database, number: str) -> None:
    ops = staff_machine(app, database, "finance.run", "finance.read")
    made = ops.post(URL, LINE, Idempotency_Key="b1")
    assert made.status_code == 201, made.text
    assert (made.json["pays"][0]["number"], made.json["pays"][0]["amount_minor"]) == (number, 11_900)
    assert (made.json["to_wallet"]["amount_minor"], made.json["state"]) == (3_100, "booked")
    assert ops.post(URL, LINE, Idempotency_Key="b2").json["id"] == made.json["id"]
    other = LINE | {"amount": {"amount_minor": 1, "currency": "USD"}}
    assert problem(ops.post(URL, other, Idempotency_Key="b3"))[0] == 409
    assert [row["id"] for row in ops.get(URL, account="dahlia").json["data"]] == [made.json["id"]]


def test_a_machine_names_invoices_and_is_refused_in_words(app: Flask, database: Database, number: str) -> None:
    ops = staff_machine(app, database, "finance.run")
    too_much = LINE | {"pays": [{"invoice": number, "amount_minor": 11_901}]}
    assert problem(ops.post(URL, too_much, Idempotency_Key="c1"))[0] == 422
    for wrong in (
        {"account": "nobody"},
        {"account": "house:house"},
        {"pays": [{"invoice": "INV-0", "amount_minor": 1}]},
    ):
        assert problem(ops.post(URL, LINE | wrong, Idempotency_Key=f"d{len(str(wrong))}"))[0] == 404
    for place, wrong in enumerate(({"value_on": "2026-02-30"}, {"payer": ""}, {"amount": 5})):
        assert problem(ops.post(URL, LINE | wrong, Idempotency_Key=f"e{place}"))[0] == 422
    some = LINE | {"pays": [{"invoice": number, "amount_minor": 1_900}]}
    assert ops.post(URL, some, Idempotency_Key="f1").json["to_wallet"]["amount_minor"] == 13_100


@pytest.fixture
def command_line(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """The command line on this test's database."""
    monkeypatch.setenv("DATABASE_URL", database_urls.web)
    context.database.cache_clear()
    yield CliRunner()
    context.database().dispose()
    context.database.cache_clear()


def test_the_command_line_books_lists_and_asks_to_take_back(
    database: Database, number: str, command_line: CliRunner
) -> None:
    staff.hired(database, staff.MAKER, role="maker")
    staff.hired(database, staff.CHECKER)
    said = ["transfers", "book", "--account", "dahlia", "--amount", "50.00", "--value-date", "2026-11-20"]
    said += ["--reference", "S-1", "--payer", "=Dahlia()", "--bank-account", IBAN, "--format", "json"]

    def run(*words: str) -> Result:
        return command_line.invoke(main, list(words))

    refused = run(*said, "--as", f"{staff.CHECKER}@staff.example")
    assert (refused.exit_code, "Traceback" in refused.output) == (1, False)
    person = ("--as", f"{staff.MAKER}@staff.example")
    assert run(*said, *person, "--pay", f"{number}=60.00").exit_code == 1
    assert run(*said, *person, "--pay", number).exit_code == 2
    done = run(*said, *person, "--pay", f"{number}=20.00")
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout)
    assert (row["pays"], row["wallet_minor"], row["state"]) == (f"{number}=2000", 3_000, "booked")
    [listed] = json.loads(run("transfers", "list", "--format", "json").stdout)
    assert listed == row
    table = run("transfers", "list", "--format", "csv").stdout
    assert ('"\'=Dahlia()"' in table, ",5000," in table) == (True, True)  # text is disarmed, figures stay figures
    asked = run("transfers", "reverse", row["id"], "--reason", "Of another customer", *person, "--format", "json")
    assert json.loads(asked.stdout)[0]["state"] == "requested"
