"""The workflows that a release must show, walked once on the demo's cloud through the command line, each leaving its evidence (QA1).

Those whose rooms are not built yet are named in the evidence with the step that brings them, so that nobody takes silence for proof.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from billing.accounts import directory, users
from billing.assurance import audit_log
from billing.controls import second_person
from billing.kernel import clock
from billing.kernel.money import Money
from billing.ledger import adjustments
from billing.storage.database import Database, DatabaseUrls
from portal.cli import context, main
from tests import databases
from tests.session import run_dir

LATER = {"reseller account": "resellers, after step 6", "shadow rating": "step 3, the money core"}

Evidence = dict[str, Any]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """What the walks found, written to the run's folder at the end (a scratch one outside a confidence run)."""
    folder = Path(os.environ.get("PLUMBLINE_EVIDENCE_DIR") or tmp_path_factory.mktemp("evidence"))
    folder.mkdir(parents=True, exist_ok=True)
    found: Evidence = {"proven": {}, "later": LATER, "folder": str(folder)}
    yield found
    (folder / "workflows.json").write_text(
        json.dumps({k: found[k] for k in ("proven", "later")}, indent=2, default=str)
    )


@pytest.fixture(scope="module")
def cloud() -> Iterator[DatabaseUrls]:
    """The demo's cloud in a database of this module's own."""
    with databases.fresh("sqlite", run_dir()) as urls:
        yield urls


@pytest.fixture(scope="module")
def command(cloud: DatabaseUrls) -> Iterator[Callable[..., Any]]:
    """`command("balance")` calls plumbline and gives back what it printed as JSON."""
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = cloud.web
    _forget()

    def called(*words: str, form: str | None = "json") -> Any:
        result = CliRunner().invoke(main, [*words, *(("--format", form) if form else ())], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout) if form else result.stdout

    called("demo", form=None)
    yield called
    os.environ.pop("DATABASE_URL")
    if before is not None:
        os.environ["DATABASE_URL"] = before
    _forget()


def _forget() -> None:
    for cached in (context.database, context.config, context.providers):
        cached.cache_clear()


def test_multi_currency_balance(command: Callable[..., Any], cloud: DatabaseUrls, evidence: Evidence) -> None:
    before = {each["account"]: each["balances"] for each in command("balance")}
    with databases.opened(cloud) as database:
        _give(database, "northwind", Money(minor=50_00, currency="EUR"))
    accounts = command("balance")
    (northwind,) = (each for each in accounts if each["account"] == "northwind")
    by_currency = {balance["currency"]: balance for balance in northwind["balances"]}
    assert [by_currency["USD"]] == before["northwind"]  # currencies are never summed
    assert (by_currency["EUR"]["promo_minor"], by_currency["EUR"]["balance_minor"]) == (50_00, 50_00)
    for account in accounts:
        for balance in account["balances"]:
            parts = ("wallet", "promo", "unbilled", "receivable", "disputed", "deferred")
            assert balance["balance_minor"] == sum(balance[f"{part}_minor"] for part in parts)
    evidence["proven"]["multi-currency balance"] = accounts


def test_draft_invoice(command: Callable[..., Any], evidence: Evidence) -> None:
    invoices = command("invoices", "list")
    drafts = [row for row in invoices if row["number"] is None]
    assert drafts
    assert all(row["net_minor"] + row["tax_minor"] == row["total_minor"] for row in drafts)
    evidence["proven"]["draft invoice"] = drafts


def test_issued_invoice_with_its_document(command: Callable[..., Any], evidence: Evidence) -> None:
    issued = next(row for row in command("invoices", "list") if row["number"] and row["state"] == "paid")
    path = Path(evidence["folder"]) / "invoice.pdf"
    command("invoices", "pdf", issued["number"], "-o", str(path), form=None)
    assert path.read_bytes().startswith(b"%PDF")
    evidence["proven"]["issued invoice"] = issued


def test_audited_refund(command: Callable[..., Any], cloud: DatabaseUrls, evidence: Evidence) -> None:
    command("audit", "head")  # seals what waits
    with databases.opened(cloud) as database, _reading(database) as session:
        rows = audit_log.list_rows(session, act="refund", limit=200)
    acts = {row.act for row in rows}
    assert acts >= {"refund.request", "refund.approve", "refund.succeed"}, acts
    assert all(row.seal_seq for row in rows)
    by = {row.act: row.actor for row in rows if row.subject_id == rows[-1].subject_id}
    assert by["refund.request"] != by.get("refund.approve")
    evidence["proven"]["audited refund"] = [vars(row) for row in rows]


def test_release_evidence(command: Callable[..., Any], evidence: Evidence) -> None:
    for words in (("ledger", "verify"), ("self-check",), ("audit", "verify"), ("replay",)):
        found = command(*words)
        assert found["checked"] > 0, words
        assert found["differences"] == [], words
        evidence["proven"][" ".join(words)] = found


def test_what_is_not_built_yet_is_named(evidence: Evidence) -> None:
    assert set(evidence["later"]) == {"reseller account", "shadow rating"}
    assert not set(evidence["later"]) & set(evidence["proven"])


def _give(database: Database, code: str, amount: Money) -> None:
    """A gift that one operator asks for and another one allows."""
    with database.transaction() as session:
        mia, otto = (users.find_user_by_login(session, f"{name}@plumbline.example") for name in ("mia", "otto"))
        assert mia is not None
        assert otto is not None
        account_id = directory.get_account_by_code(session, code).id
        asked = adjustments.request(
            session,
            now=clock.utc_now(),
            account_id=account_id,
            pair_code="gift",
            amount=amount,
            maker=mia.id,
            reason="confidence workflow",
        )
        second_person.approve(
            session, now=clock.utc_now(), approval_id=asked.id, content_hash=asked.content_hash, checker=otto.id
        )


def _reading(database: Database) -> Any:
    return database.reading("jobs")
