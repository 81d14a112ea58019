"""The books from the command line: shapes that others rely on, and exit codes."""

import json
import os
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from billing.storage.database import Database, DatabaseUrls, owner_engine
from portal.cli import context, main
from tests import staff
from tests.service.ledger.books import entry, open_account, post, top_up
from tests.staff import CHECKER, MAKER


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


def test_a_reversal_is_asked_for_by_one_and_approved_by_another(database: Database, command_line: CliRunner) -> None:
    staff.hired(database, MAKER, role="maker")
    staff.hired(database, CHECKER)
    posted = top_up(database, open_account(database, "calla"), 500, "p1")
    ask = ["ledger", "reverse", posted.transaction_id, "--reason", "paid twice", "--as", f"{MAKER}@staff.example"]
    asked = _json(command_line.invoke(main, [*ask, "--format", "json"]))
    assert isinstance(asked, dict)
    assert (asked["act"], asked["state"], asked["amount_minor"]) == ("ledger.reverse", "requested", 500)
    again = command_line.invoke(main, ask)
    assert (again.exit_code, "waits for a second person" in again.stderr) == (1, True)
    [listed] = _listed(command_line)
    assert (listed["id"], listed["account"], listed["maker"]) == (asked["id"], "calla", "Maker")
    shown = _json(command_line.invoke(main, ["approvals", "show", asked["id"], "--format", "json"]))
    assert isinstance(shown, dict)
    assert shown["content"]["entries"] == [["adjustment", "wallet", "cash:bank", 500, "USD"]]
    decide = ["approvals", "approve", asked["id"], "--as"]
    for login, more, words in (
        (f"{MAKER}@staff.example", [], "Somebody else must decide"),
        ("nobody@staff.example", [], "Nobody signs in as"),
        (f"{CHECKER}@staff.example", ["--hash", "0" * 12], "not what the page showed"),
    ):
        refused = command_line.invoke(main, [*decide, login, *more])
        assert (refused.exit_code, words in refused.stderr) == (1, True), refused.output
    told = ["ledger", "explain", "--account", "calla", "--format", "json"]
    assert [row["amount_minor"] for row in _movements(command_line, told)] == [500]
    done = _json(
        command_line.invoke(
            main, [*decide, f"{CHECKER}@staff.example", "--hash", shown["content_hash"][:12], "--format", "json"]
        )
    )
    assert isinstance(done, dict)
    assert done["state"] == "approved"
    assert [row["amount_minor"] for row in _movements(command_line, told)] == [500, -500]
    assert _listed(command_line) == []
    reversal_id = _movements(command_line, told)[-1]["transaction_id"]
    for transaction_id, words in ((reversal_id, "is a reversal itself"), (posted.transaction_id, "reversed already")):
        refused = command_line.invoke(main, [*ask[:2], transaction_id, *ask[3:]])
        assert (refused.exit_code, words in refused.stderr) == (1, True)
    assert command_line.invoke(main, [*ask[:2], "txn_none", *ask[3:]]).exit_code == 1
    assert command_line.invoke(main, [*ask[:3]]).exit_code == 2


def test_a_request_is_rejected_or_withdrawn_on_the_command_line(database: Database, command_line: CliRunner) -> None:
    staff.hired(database, MAKER, role="maker")
    staff.hired(database, CHECKER)
    posted = top_up(database, open_account(database, "calla"), 500, "p1")
    maker, checker = (["--as", f"{who}@staff.example"] for who in (MAKER, CHECKER))
    ask = ["ledger", "reverse", posted.transaction_id, "--reason", "paid twice", *maker, "--format", "json"]
    for act, who, wrong, state in (
        (["reject", "--note", "It was not"], checker, maker, "rejected"),
        (["withdraw"], maker, checker, "withdrawn"),
    ):
        asked = _json(command_line.invoke(main, ask))
        assert isinstance(asked, dict)
        command = ["approvals", act[0], asked["id"], *act[1:]]
        assert command_line.invoke(main, [*command, *wrong]).exit_code == 1
        done = _json(command_line.invoke(main, [*command, *who, "--format", "json"]))
        assert isinstance(done, dict)
        assert done["state"] == state
        late = command_line.invoke(main, [*command, *who])
        assert (late.exit_code, "decided before" in late.stderr) == (1, True)
    everything = _json(command_line.invoke(main, ["approvals", "list", "--all", "--format", "json"]))
    assert isinstance(everything, list)
    assert [row["state"] for row in everything] == ["withdrawn", "rejected"]


def test_months_are_closed_by_one_and_opened_again_by_two(database: Database, command_line: CliRunner) -> None:
    staff.hired(database, MAKER, role="maker")
    staff.hired(database, CHECKER)
    account_id = open_account(database)
    closed = command_line.invoke(main, ["ledger", "close-period", "2026-09", "--seller", "north"])
    assert closed.exit_code == 0, closed.output
    with database.transaction() as session:
        post(session, account_id, "late", entry("bank_credit", "cash:bank", "wallet", 5))
    asks = ["--reason", "a late statement", "--as", f"{MAKER}@staff.example"]
    for wrong in (
        ["close-period", "2999-01"],
        ["close-period", "September"],
        ["reopen-period", "2026-08", *asks],
        ["reopen-period", "September", *asks],
        ["reopen-period", "2026-09", *asks[:3], f"{CHECKER}@staff.example"],
    ):
        refused = command_line.invoke(main, ["ledger", *wrong, "--seller", "north"])
        assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (1, 1), refused.output
    asked = _json(
        command_line.invoke(
            main, ["ledger", "reopen-period", "2026-09", "--seller", "north", *asks, "--format", "json"]
        )
    )
    assert isinstance(asked, dict)
    assert (asked["subject"], asked["amount_minor"]) == ("2026-09", None)
    decide = ["approvals", "approve", asked["id"], "--as", f"{CHECKER}@staff.example"]
    assert command_line.invoke(main, decide).exit_code == 0
    refused = command_line.invoke(main, decide)
    assert (refused.exit_code, "decided before" in refused.stderr) == (1, True)


def _listed(command_line: CliRunner) -> list[dict[str, object]]:
    found = _json(command_line.invoke(main, ["approvals", "list", "--format", "json"]))
    assert isinstance(found, list)
    return found


def _movements(command_line: CliRunner, command: list[str]) -> list[dict[str, object]]:
    found = _json(command_line.invoke(main, command))
    assert isinstance(found, list)
    return list(found[0]["movements"])


def test_checkpoints_are_rebuilt_where_they_are_wrong(database: Database, command_line: CliRunner) -> None:
    top_up(database, open_account(database, "calla"), 500, "p1")
    assert os.environ["DATABASE_URL"]
    rows = _json(
        command_line.invoke(main, ["ledger", "checkpoints", "rebuild", "--account", "calla", "--format", "json"])
    )
    assert rows == [{"account": "calla", "rebuilt": 0}]
