"""`plumbline invoices`, as a person or a script meets it, on both engines."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from billing.accounts import profiles, users
from billing.storage.database import Database, DatabaseUrls
from portal.cli import context, main
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use

Plumbline = Callable[..., Result]


@pytest.fixture
def plumbline(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plumbline]:
    """Runs a command against the test's database."""
    monkeypatch.setenv("DATABASE_URL", database_urls.web)
    monkeypatch.setenv("PLUMBLINE_JOBS_URL", database_urls.jobs or database_urls.web)
    monkeypatch.setenv("PLUMBLINE_OWNER_URL", database_urls.owner or database_urls.web)
    context.database.cache_clear()

    def call(*words: str) -> Result:
        result = CliRunner().invoke(main, ("invoices", *words))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    yield call
    context.database().dispose()
    context.database.cache_clear()


def _two_accounts(database: Database) -> None:
    for code, count in (("calla", 10_000), ("taifl", 200)):
        world.used(database, world.open_account(database, code), Use(count))
    with database.transaction() as session:
        users.create_user(
            session,
            now=NOW,
            login="ann@fin.example",
            name="Ann",
            password="four small blue stones",
            staff_role="approver",
        )
        users.create_user(
            session, now=NOW, login="max@fin.example", name="Max", password="four small blue stones", staff_role="maker"
        )


def test_drafts_are_generated_approved_issued_and_listed_in_the_shape_that_scripts_rely_on(
    database: Database, plumbline: Plumbline
) -> None:
    _two_accounts(database)
    made = plumbline("generate", "--period", "2026-10", "--format", "json")
    assert made.exit_code == 0
    assert {(row["account"], row["state"], row["number"]) for row in json.loads(made.stdout)} == {
        ("calla", "draft", None),
        ("taifl", "draft", None),
    }
    again = plumbline("generate", "--period", "2026-10", "--format", "json")
    assert json.loads(again.stdout) == json.loads(made.stdout)
    issued = plumbline("issue", "--period", "2026-10", "--approve-as", "ann@fin.example", "--format", "json")
    assert issued.exit_code == 0
    listed = json.loads(plumbline("list", "--account", "calla", "--format", "json").stdout)
    assert [{name: row[name] for name in row if name != "id"} for row in listed] == [
        {
            "number": "INV-2026-000001",
            "account": "calla",
            "period": "2026-10",
            "state": "issued",
            "currency": "USD",
            "net_minor": 10_000,
            "tax_minor": 1_900,
            "total_minor": 11_900,
            "due_minor": 11_900,
        }
    ]
    shown = json.loads(plumbline("show", "INV-2026-000001", "--format", "json").stdout)
    assert [line["amount_minor"] for line in shown["lines"]] == [10_000]
    assert [event["type"] for event in shown["events"]] == ["drafted", "approved", "issued"]


def test_a_draft_that_nobody_approved_is_not_issued_and_a_maker_may_not_approve(
    database: Database, plumbline: Plumbline
) -> None:
    _two_accounts(database)
    made = json.loads(plumbline("generate", "--period", "2026-10", "--account", "calla", "--format", "json").stdout)
    assert len(made) == 1
    refused = plumbline("issue", made[0]["id"])
    assert (refused.exit_code, "not approved" in refused.stderr) == (1, True)
    for login in ("max@fin.example", "nobody@fin.example"):
        assert plumbline("issue", made[0]["id"], "--approve-as", login).exit_code == 1
    assert json.loads(plumbline("issue", "--period", "2026-10", "--format", "json").stdout) == []
    voided = plumbline("void", made[0]["id"], "--format", "json")
    assert json.loads(voided.stdout)[0]["state"] == "void"


def test_a_credit_note_is_made_by_amount_by_line_and_for_the_rest(database: Database, plumbline: Plumbline) -> None:
    header = world.invoice_of(database, 10_000)
    made = [
        json.loads(
            plumbline("credit-note", str(header.number), *words, "--reason", "Outage", "--format", "json").stdout
        )[0]
        for words in (("--amount", "50.00"), ("--line", "1=10.00"), ("--full",))
    ]
    assert [(one["number"], one["credited_minor"]) for one in made] == [
        ("CN-2026-000001", 5_000),
        ("CN-2026-000002", 1_190),
        ("CN-2026-000003", 5_710),
    ]
    assert {one["corrects"] for one in made} == {"INV-2026-000001"}
    listed = json.loads(plumbline("list", "--kind", "all", "--format", "json").stdout)
    assert len(listed) == 4


def test_a_pdf_is_written_for_an_issued_document_and_refused_for_a_draft(
    database: Database, plumbline: Plumbline, tmp_path: Path
) -> None:
    header = world.invoice_of(database, 10_000)
    written = plumbline("pdf", "INV-2026-000001", "-o", str(tmp_path / "a.pdf"))
    assert written.exit_code == 0
    again = plumbline("pdf", header.id, "-o", str(tmp_path / "b.pdf"))
    assert again.exit_code == 0
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    account_id = world.open_account(database, "taifl")
    world.used(database, account_id, Use(100))
    draft_id = world.draft(database, account_id)
    assert plumbline("pdf", draft_id, "-o", str(tmp_path / "c.pdf")).exit_code == 1
    assert plumbline("pdf", header.id, "-o", str(tmp_path / "none" / "c.pdf")).exit_code == 1


def test_wrong_input_is_answered_with_a_sentence(database: Database, plumbline: Plumbline) -> None:
    header = world.invoice_of(database, 10_000)
    for words in (
        ("show", "INV-1999-000001"),
        ("show", "' OR 1=1 --"),
        ("generate", "--period", "2026-13"),
        ("generate", "--period", "2026-10", "--account", "nobody"),
        ("void", header.id),
        ("credit-note", header.id, "--reason", "r", "--amount", "1e3"),
        ("credit-note", header.id, "--reason", "r", "--amount", "119.01"),
        ("credit-note", header.id, "--reason", "r", "--line", "2"),
        ("credit-note", header.id, "--reason", "r"),
        ("credit-note", header.id, "--reason", " ", "--full"),
    ):
        result = plumbline(*words)
        assert result.exit_code == 1, words
        assert result.stderr.strip(), words
        assert "Traceback" not in result.stderr
    assert plumbline("issue").exit_code == 2


def test_a_running_month_is_refused_with_its_end(database: Database, plumbline: Plumbline) -> None:
    account_id = world.open_account(database)
    far = NOW.replace(year=2125, month=1)
    world.used(database, account_id, Use(1, at=far))
    refused = plumbline("generate", "--period", "2125-01")
    assert (refused.exit_code, "still runs" in refused.stderr) == (1, True)


def test_a_month_is_tried_then_drafted_and_run_again_changes_nothing(database: Database, plumbline: Plumbline) -> None:
    account_id = world.open_account(database, "acme")
    world.used(database, account_id, Use(10_000))
    tried = json.loads(plumbline("run", "--period", "2026-10", "--dry-run", "--format", "json").stdout)
    assert [(row["account"], row["state"], row["net_minor"]) for row in tried] == [("acme", "ready", 10_000)]
    for drafted in (1, 0):
        made = plumbline("run", "--period", "2026-10", "--resume", "--format", "json")
        row = json.loads(made.stdout)[0]
        assert (row["drafted"], row["documents"], row["waiting"]) == (drafted, 1, 0)


def test_parties_are_corrected_by_one_command(database: Database, plumbline: Plumbline) -> None:
    header = world.invoice_of(database, 10_000)
    refused = plumbline("correct", header.number, "--reason", "New name")
    assert refused.exit_code == 1
    with database.transaction("jobs") as session:
        facts = replace(world.GERMANY, legal_name="Calla Labs SE")
        profiles.update_profile(session, now=NOW, account_id=header.billing_account_id, facts=facts)
    done = json.loads(plumbline("correct", header.number, "--reason", "New name", "--format", "json").stdout)[0]
    assert (done["credit_note_number"], done["invoice_number"]) == ("CN-2026-000001", "INV-2026-000002")
