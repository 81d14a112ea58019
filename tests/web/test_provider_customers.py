"""The repair of links to the provider's customers: on the page, by API, on the command line; checked there, with reason and audit."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.catalog import onboarding
from billing.payments.customers import acts, listing
from billing.payments.customers.links import LinkRow
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.storage.database import Database
from billing.storage.tables import AuditRecord
from portal import services
from portal.cli import context, main
from tests.web import operators
from tests.web.api.machines import machine, staff_machine
from tests.web.conftest import CREATED_AT
from tests.web.pages import Page


@dataclass(frozen=True)
class Desk:
    """An account with its customer, one that somebody else made at the provider, and the provider."""

    database: Database
    sandbox: SandboxProvider
    account_id: str
    customer_id: str
    foreign_id: str

    def link(self) -> LinkRow:
        with self.database.reading("jobs") as session:
            return listing.get_link(session, account_id=self.account_id, provider="sandbox")

    def audited(self) -> list[str]:
        with self.database.reading("jobs") as session:
            query = select(AuditRecord.act).where(AuditRecord.act.like("provider_customer.%")).order_by(AuditRecord.id)
            return list(session.execute(query).scalars())


@pytest.fixture
def desk(app: Flask, database: Database) -> Desk:
    with database.transaction("jobs") as session:
        account_id = onboarding.open_account(session, now=CREATED_AT, code="calla").id
    with app.app_context():
        sandbox = services.default_provider()
    assert isinstance(sandbox, SandboxProvider)
    customer_id = acts.ensure_customer(database, sandbox, now=operators.NOW, account_id=account_id)
    body = {"object": "customer", "livemode": False, "metadata": {}}
    with database.transaction() as session:
        foreign_id = str(sandbox.add(session, "customer", "cus", None, body, None)["id"])
    return Desk(database, sandbox, str(account_id), customer_id, foreign_id)


@pytest.fixture
def run(database: Database, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """The command line on the test's database, with the portal's own settings."""
    urls = database.urls
    monkeypatch.setenv("DATABASE_URL", urls.web)
    monkeypatch.setenv("PLUMBLINE_SECRET_KEY", app.extensions["plumbline"].config.secret_key)
    monkeypatch.setenv("PLUMBLINE_BASE_URL", "http://localhost")
    for name, url in (("PLUMBLINE_JOBS_URL", urls.jobs), ("PLUMBLINE_OWNER_URL", urls.owner)):
        monkeypatch.setenv(name, url or "")
    caches = (context.database, context.config, context.providers)
    for cache in caches:
        cache.cache_clear()
    yield lambda *words: CliRunner().invoke(main, ("provider-customers", *words), catch_exceptions=False)
    context.database().dispose()
    for cache in caches:
        cache.cache_clear()


def test_both_sides_stand_beside_each_other_and_say_what_differs(
    desk: Desk, browser: Callable[..., FlaskClient]
) -> None:
    client = browser(staff="viewer")
    assert Page(client.get("/operator/provider-customers")).rows("customers")[0][0].startswith("calla")
    url = f"/operator/provider-customers/{desk.account_id}"
    page = Page(client.get(url))
    assert ("Both sides agree" in page.text, desk.customer_id in page.text) == (True, True)
    desk.sandbox.claim_customer(desk.customer_id, account_id="bac_other")
    assert "names another billing account" in Page(client.get(url)).text
    desk.sandbox.delete_customer(desk.customer_id, now=operators.NOW)
    assert "was deleted at the provider" in Page(client.get(url)).text
    assert client.get(f"{url}/relink").status_code == 403


def test_a_customer_is_linked_with_a_reason_after_it_was_looked_up(
    desk: Desk, browser: Callable[..., FlaskClient]
) -> None:
    client = browser(staff="maker")
    url = f"/operator/provider-customers/{desk.account_id}"
    refused = operators.act(client, f"{url}/relink", customer_id="cus_nobody", reason="Merged")
    page = Page(refused)
    assert (refused.status_code, "has no customer cus_nobody" in page.text) == (409, True)
    for customer_id, reason in ((desk.foreign_id, ""), (desk.foreign_id, "\u202eMerged"), ("cus_\x00", "Merged")):
        assert operators.act(client, f"{url}/relink", customer_id=customer_id, reason=reason).status_code == 422
    assert desk.link().customer_id == desk.customer_id
    done = operators.act(client, f"{url}/relink", customer_id=f" {desk.foreign_id} ", reason="Merged at the provider")
    assert (done.status_code, desk.link().customer_id) == (303, desk.foreign_id)
    assert desk.audited() == ["provider_customer.create", "provider_customer.relink"]
    shown = Page(client.get(url))
    assert ("Linked by an operator" in shown.text, "Merged at the provider" in shown.text) == (True, True)


def test_it_is_made_anew_only_when_the_provider_has_it_no_more(desk: Desk, browser: Callable[..., FlaskClient]) -> None:
    client = browser(staff="maker")
    url = f"/operator/provider-customers/{desk.account_id}"
    assert operators.act(client, f"{url}/renew", reason="Deleted there").status_code == 409
    desk.sandbox.delete_customer(desk.customer_id, now=operators.NOW)
    assert "Make it anew" in Page(client.get(url)).links()
    assert operators.act(client, f"{url}/renew", reason="Deleted there").status_code == 303
    assert desk.link().customer_id not in (None, desk.customer_id)
    assert "Both sides agree" in Page(client.get(url)).text


def test_the_operators_machine_looks_links_and_renews(app: Flask, database: Database, desk: Desk) -> None:
    ops = staff_machine(app, database, "finance.run")
    path = "/admin/billing/provider-customers"
    body = {"account": "calla"}
    looked = ops.post(path, body, Idempotency_Key="look")
    assert (looked.status_code, looked.json["customer_id"], looked.json["differences"]) == (200, desk.customer_id, [])
    linking = body | {"act": "relink", "customer_id": desk.foreign_id}
    unsaid = ops.post(path, linking, Idempotency_Key="unsaid")
    assert (unsaid.status_code, unsaid.json["reason"]) == (422, "reason_missing")
    linked = ops.post(path, linking | {"reason": "Merged"}, Idempotency_Key="link")
    assert (linked.status_code, linked.json["customer_id"]) == (200, desk.foreign_id)
    again = ops.post(path, linking | {"reason": "Merged"}, Idempotency_Key="link")
    assert again.headers["Idempotency-Replayed"] == "true"
    there = ops.post(path, body | {"act": "renew", "reason": "x"}, Idempotency_Key="renew")
    assert (there.status_code, there.json["reason"]) == (409, "customer_still_there")
    assert ops.post(path, {"account": "nobody"}, Idempotency_Key="none").status_code == 404
    assert machine(app, database, "calla").post(path, body, Idempotency_Key="m").status_code == 403


def test_a_machine_gets_the_portals_address_and_leads_back_only_here(
    app: Flask, database: Database, desk: Desk
) -> None:
    caller = machine(app, database, "calla")
    path = "/payments/customer-portal-session"
    made = caller.post(path, {"return_path": "/payment-methods"})
    assert made.status_code == 201
    assert made.json["url"].startswith("http://localhost/sandbox/portal/")
    assert made.json["return_url"] == "http://localhost/payment-methods"
    for hostile in ("//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a b", "/\u2028x"):
        refused = caller.post(path, {"return_path": hostile})
        assert (refused.status_code, refused.json["reason"]) == (422, "return_url_foreign"), hostile
    assert caller.post(path, {"account": "other"}).status_code == 404
    assert caller.get("/payments/methods").json == {"data": []}


def test_the_command_line_lists_remembers_links_and_checks(desk: Desk, run: Callable[..., Result]) -> None:
    [row] = json.loads(run("list", "--format", "json").stdout)
    assert (row["account"], row["customer_id"]) == ("calla", desk.customer_id)
    assert json.loads(run("check", "--format", "json").stdout) == {"checked": 1, "differences": []}
    refused = run("link", "--account", "calla", "--customer", desk.foreign_id, "--later")
    assert (refused.exit_code, "has a customer already" in refused.stderr) == (1, True)
    assert run("link", "--account", "calla", "--customer", desk.foreign_id).exit_code == 1  # no reason
    done = run("link", "--account", "calla", "--customer", desk.foreign_id, "--reason", "Merged")
    assert (done.exit_code, desk.link().customer_id) == (0, desk.foreign_id)
    desk.sandbox.delete_customer(desk.foreign_id, now=operators.NOW)
    found = run("check", "--format", "json")
    assert (found.exit_code, "customer_deleted" in found.stdout) == (1, True)


def test_the_command_line_remembers_an_older_systems_id(database: Database, run: Callable[..., Result]) -> None:
    with database.transaction("jobs") as session:
        onboarding.open_account(session, now=CREATED_AT, code="calla")
    assert run("link", "--account", "calla", "--customer", "cus_older", "--later").exit_code == 0
    [row] = json.loads(run("list", "--state", "legacy", "--format", "json").stdout)
    assert (row["legacy_id"], row["customer_id"]) == ("cus_older", None)
    bad = run("link", "--account", "calla", "--customer", "cüs", "--later")
    assert (bad.exit_code, "3 to 255 plain characters" in bad.stderr) == (1, True)
