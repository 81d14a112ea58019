"""Prices, plans, subscriptions and own prices from the command line."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from billing.storage.database import Database, DatabaseUrls
from portal.cli import context, main
from tests.service.catalog import world

MAKER, CHECKER = "maker@house.example.com", "approver@house.example.com"


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


def run(command_line: CliRunner, *words: str, fails: bool = False) -> str:
    result = command_line.invoke(main, list(words))
    assert result.exit_code == (1 if fails else 0), result.output
    return (result.stderr if fails else result.stdout).strip()


def rows(command_line: CliRunner, *words: str) -> Any:
    return json.loads(run(command_line, *words, "--format", "json"))


def test_a_candidate_waits_for_a_second_person_and_then_is_in_force(
    database: Database, command_line: CliRunner, tmp_path: Path
) -> None:
    world.staff(database)
    file = tmp_path / "book.toml"
    file.write_text(world.book("default", ("compute/cpu_hour", "0.60", "2999-01-01T00:00:00Z")), encoding="utf-8")
    assert run(command_line, "prices", "load", str(file)) == "default version 2, a candidate"
    refused = run(command_line, "prices", "activate", "default", fails=True)
    assert refused == (
        "default version 2 stays a candidate: no shadow rating of it was made. Try it anew, or ask a second person."
    )
    words = ("prices", "activate", "default", "--ask-as", MAKER, "--reason", "Energy costs more")
    asked = run(command_line, *words).removeprefix("asked for: ")
    run(command_line, "approvals", "approve", asked, "--as", CHECKER)
    assert [row["state"] for row in rows(command_line, "prices", "list") if row["book"] == "default"] == ["active"] * 2
    [change] = [
        row for row in rows(command_line, "prices", "compare", "default", "1", "2") if row["state"] == "changed"
    ]
    assert (change["sku"], change["percent"]) == ("compute/cpu_hour", "+20.00")
    assert len(rows(command_line, "prices", "show", "--book", "default", "--version", "2")) == 1
    assert len(rows(command_line, "prices", "show", "--book", "default")) == 9
    run(command_line, "prices", "show", "--book", "nowhere", fails=True)


def test_a_trial_of_past_usage_is_kept_and_one_that_met_none_opens_nothing(
    database: Database, command_line: CliRunner
) -> None:
    world.load(database, world.book("default", ("compute/cpu_hour", "0.60", "2999-01-01T00:00:00Z")))
    found = rows(command_line, "prices", "trial", "default", "--from", "2026-10-01", "--to", "2026-11-01")
    found = {row["field"]: row["value"] for row in found} if isinstance(found, list) else found
    assert (found["rows"], found["opens_the_gate"], found["fault"]) == (0, False, "looked_at_nothing")
    assert "met no usage" in run(command_line, "prices", "activate", "default", fails=True)


def test_plans_subscriptions_and_own_prices(database: Database, command_line: CliRunner, tmp_path: Path) -> None:
    world.staff(database)
    assert rows(command_line, "subscriptions", "list") == []
    world.open_account(database)
    file = tmp_path / "plan.toml"
    file.write_text('code = "gold"\nname = "Gold"\nbook = "gpu-cloud"\n[terms]\nlocks_price = true\n', encoding="utf-8")
    assert run(command_line, "plans", "load", str(file)) == "version 1 from 1970-01-01T00:00:00Z, book gpu-cloud"
    assert rows(command_line, "plans", "show", "gold")[0]["terms"] == {"locks_price": True}
    assert {row["plan"] for row in rows(command_line, "plans", "list")} >= {"default", "gpu-cloud", "gold"}
    words = ("subscriptions", "change", "--account", "calla", "--plan", "gold", "--from")
    assert "at most 10 years" in run(command_line, *words, "2999-01-01", fails=True)
    start_on = f"{datetime.now(UTC).year + 5}-01-01"
    run(command_line, *words, start_on)
    history = rows(command_line, "subscriptions", "list", "--account", "calla")
    assert [(row["plan"], row["until"]) for row in history] == [("default", f"{start_on}T00:00:00Z"), ("gold", None)]
    ask = ("overrides", "ask", "--account", "calla", "--sku", "compute/cpu_hour", "--unit-price", "0.3")
    asked = run(command_line, *ask, "--from", "2998-01-01", "--as", MAKER, "--reason", "Contract 7")
    run(command_line, "approvals", "approve", asked.removeprefix("asked for: "), "--as", CHECKER)
    [own] = rows(command_line, "overrides", "list", "--account", "calla")
    assert (own["sku"], own["parameters"], own["reason"]) == ("compute/cpu_hour", {"unit_price": "0.3"}, "Contract 7")
