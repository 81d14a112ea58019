"""The books from the command line: shapes that others rely on, and exit codes."""

import json
import os
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from billing.storage.database import Database, DatabaseUrls, owner_engine
from portal.cli import context, main
from tests.service.ledger.books import entry, open_account, post, top_up


@pytest.fixture
def command_line(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """The command line on this test's database."""
    monkeypatch.setenv("DATABASE_URL", database_urls.web)
    for name, url in (("PLUMBLINE_JOBS_URL", database_urls.jobs), ("PLUMBLINE_OWNER_URL", database_urls.owner)):
        monkeypatch.setenv(name, url) if url else monkeypatch.delenv(name, raising=False)
    context.database.cache_clear()
    yield CliRunner()
    context.database().dispose()
    context.database.cache_clear()


def _json(result: Result) -> object:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_balance_gives_the_shape_that_others_rely_on(database: Database, command_line: CliRunner) -> None:
    account_id = open_account(database, "calla")
    open_account(database, "taifl")
    top_up(database, account_id, 500, "p1")
    assert _json(command_line.invoke(main, ["balance", "--account", "calla", "--format", "json"])) == [
        {
            "account": "calla",
            "balances": [
                {
                    "currency": "USD",
                    "balance_minor": 500,
                    "wallet_minor": 500,
                    "promo_minor": 0,
                    "unbilled_minor": 0,
                    "receivable_minor": 0,
                    "disputed_minor": 0,
                    "deferred_minor": 0,
                    "available_minor": 500,
                }
            ],
        }
    ]
    everyone = _json(command_line.invoke(main, ["balance", "--format", "json"]))
    assert isinstance(everyone, list)
    assert [row["account"] for row in everyone] == ["calla", "taifl"]
    table = command_line.invoke(main, ["balance"])
    assert (table.exit_code, "calla" in table.stdout) == (0, True)
    unknown = command_line.invoke(main, ["balance", "--account", "nobody"])
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert len(unknown.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "command", [["ledger", "verify"], ["self-check"], ["replay"], ["replay", "--period", "2026-10"]]
)
def test_checks_of_books_in_order_exit_0(database: Database, command_line: CliRunner, command: list[str]) -> None:
    top_up(database, open_account(database), 500, "p1")
    report = _json(command_line.invoke(main, [*command, "--format", "json"]))
    assert isinstance(report, dict)
    assert report["differences"] == []
    assert (report["checked"] > 0) == (command[0] != "replay")
    assert "0 differences" in command_line.invoke(main, command).stdout


@pytest.mark.tampers
@pytest.mark.parametrize("command", [["ledger", "verify"], ["ledger", "verify", "--account", "calla"], ["self-check"]])
def test_checks_of_altered_books_exit_1_and_name_the_row(
    database: Database, database_urls: DatabaseUrls, command_line: CliRunner, command: list[str]
) -> None:
    posted = top_up(database, open_account(database, "calla"), 500, "p1")
    engine = owner_engine(database_urls)
    with engine.begin() as owner:
        on = " ON ledger_transactions" if engine.dialect.name == "postgresql" else ""
        verb = "change" if engine.dialect.name == "postgresql" else "update"
        owner.execute(text(f"DROP TRIGGER guard_ledger_transactions_{verb}{on}"))
        owner.execute(text("UPDATE ledger_transactions SET actor = 'nobody'"))
    engine.dispose()
    result = command_line.invoke(main, [*command, "--format", "json"])
    assert result.exit_code == 1
    named = [each["subject_id"] for each in json.loads(result.stdout)["differences"]]
    assert posted.transaction_id in named
    shown = command_line.invoke(main, command)
    assert (shown.exit_code, posted.transaction_id in shown.stdout) == (1, True)


def test_a_trial_balance_prints_its_totals(database: Database, command_line: CliRunner) -> None:
    top_up(database, open_account(database), 500, "p1")
    found = _json(command_line.invoke(main, ["ledger", "trial-balance", "--format", "json"]))
    assert isinstance(found, dict)
    assert found["differences"] == []
    assert found["totals"] == [
        {"owner": "total", "name": "", "currency": "USD", "debit_minor": 500, "credit_minor": 500}
    ]
    month = ["ledger", "trial-balance", "--period", "2026-11", "--seller", "north", "--format", "json"]
    assert _json(command_line.invoke(main, month)) == found
    assert command_line.invoke(main, ["ledger", "trial-balance", "--seller", "nobody"]).exit_code == 1


def test_a_reversal_from_the_command_line_names_its_original(database: Database, command_line: CliRunner) -> None:
    account_id = open_account(database, "calla")
    posted = top_up(database, account_id, 500, "p1")
    asked = ["ledger", "reverse", posted.transaction_id, "--reason", "paid twice", "--format", "json"]
    first, again = _json(command_line.invoke(main, asked)), _json(command_line.invoke(main, asked))
    assert isinstance(first, dict)
    assert isinstance(again, dict)
    assert first["reverses_id"] == posted.transaction_id
    assert (first["is_new"], again["is_new"]) == (True, False)
    told = _json(command_line.invoke(main, ["ledger", "explain", "--account", "calla", "--format", "json"]))
    assert isinstance(told, list)
    assert [row["amount_minor"] for row in told[0]["movements"]] == [500, -500]
    assert (told[0]["opening_minor"], told[0]["closing_minor"]) == (0, 0)
    of_reversal = command_line.invoke(main, ["ledger", "reverse", first["transaction_id"], "--reason", "x"])
    assert (of_reversal.exit_code, "is a reversal itself" in of_reversal.stderr) == (1, True)
    assert command_line.invoke(main, ["ledger", "reverse", "txn_none", "--reason", "x"]).exit_code == 1
    assert command_line.invoke(main, ["ledger", "reverse", "txn_none"]).exit_code == 2


def test_months_are_closed_and_opened_again(database: Database, command_line: CliRunner) -> None:
    account_id = open_account(database)
    closed = command_line.invoke(main, ["ledger", "close-period", "2026-09", "--seller", "north"])
    assert closed.exit_code == 0, closed.output
    with database.transaction() as session:
        post(session, account_id, "late", entry("bank_credit", "cash:bank", "wallet", 5))
    for wrong in (["close-period", "2999-01"], ["reopen-period", "2026-08"], ["close-period", "September"]):
        refused = command_line.invoke(main, ["ledger", *wrong, "--seller", "north"])
        assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (1, 1), refused.output
    assert command_line.invoke(main, ["ledger", "reopen-period", "2026-09", "--seller", "north"]).exit_code == 0


def test_checkpoints_are_rebuilt_where_they_are_wrong(database: Database, command_line: CliRunner) -> None:
    top_up(database, open_account(database, "calla"), 500, "p1")
    assert os.environ["DATABASE_URL"]
    rows = _json(
        command_line.invoke(main, ["ledger", "checkpoints", "rebuild", "--account", "calla", "--format", "json"])
    )
    assert rows == [{"account": "calla", "rebuilt": 0}]
