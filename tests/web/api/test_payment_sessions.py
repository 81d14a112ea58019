"""Payment sessions by API: a tenant's own, all of them for finance under both addresses, and bringing one to what its provider says."""

from collections.abc import Iterator

import pytest
from flask import Flask

from billing.accounts import directory
from billing.ledger import balances
from billing.payments.errors import OutcomeUnknown
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.storage.database import Database
from tests.web import operators
from tests.web.api.machines import machine, problem, staff_machine
from tests.web.operators import NOW, House

SESSIONS, FINANCE = "/billing/payment-sessions", "/admin/billing/payment-sessions"
OLD = "/v3/platform/finance"
TOP_UP = {"purpose": "top_up", "amount": {"amount_minor": 5_000, "currency": "USD"}}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    made = House(app, database)
    made.top_up(made.account("calla"), 50_000)
    made.account("birch")
    return made


def test_a_tenant_reads_its_own_sessions_page_by_page(app: Flask, database: Database, house: House) -> None:
    caller = machine(app, database, "calla")
    begun = caller.post("/payments/checkout-session", TOP_UP, Idempotency_Key="k").json
    first = caller.get(SESSIONS, limit="1").json
    assert [(one["id"], one["state"], one["redirect_url"]) for one in first["data"]] == [
        (begun["id"], "open", begun["redirect_url"])
    ]
    second = caller.get(SESSIONS, limit="1", cursor=first["next_cursor"]).json
    [paid] = second["data"]
    assert (paid["state"], paid["method"], second["next_cursor"]) == ("paid", "visa ending 4242", None)
    assert caller.get(SESSIONS, state="paid").json["data"] == [paid]
    assert caller.get(f"{SESSIONS}/{paid['id']}").json == paid
    assert problem(caller.get(SESSIONS, state="lost"))[0] == 422
    stranger = machine(app, database, "birch")
    assert problem(stranger.get(f"{SESSIONS}/{paid['id']}"))[0] == 404
    assert stranger.get(SESSIONS).json["data"] == []
    assert problem(stranger.get(FINANCE))[:2] == (403, "insufficient_scope")


def test_finance_reads_all_accounts_under_both_addresses(app: Flask, database: Database, house: House) -> None:
    finance = staff_machine(app, database, "finance.read")
    answer = finance.get(FINANCE).json
    [row] = answer["data"]
    assert (row["account"], row["provider"], row["trigger"]) == ("calla", "sandbox", "person")
    assert row["provider_payment_id"].startswith("pi_")
    assert finance.get(f"{FINANCE}/{row['id']}").json == row
    assert finance.get(FINANCE, account="birch").json["data"] == []
    assert problem(finance.get(FINANCE, account="nobody"))[0] == 404
    for path in ("/payment-sessions", f"/payment-sessions/{row['id']}", "/refunds", "/reconciliation"):
        assert finance.get(f"{OLD}{path}").status_code == 200, path
    assert finance.get(f"{OLD}/payment-sessions").json == answer
    assert problem(finance.post(f"{FINANCE}/{row['id']}:recover", {}, Idempotency_Key="k"))[0] == 403


def test_finance_brings_a_session_to_what_its_provider_says_once(
    app: Flask, database: Database, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = machine(app, database, "calla").post("/payments/checkout-session", TOP_UP, Idempotency_Key="k").json
    house.sandbox.pay(begun["redirect_url"].rpartition("/")[2], now=NOW)
    finance = staff_machine(app, database)
    path = f"{FINANCE}/{begun['id']}:recover"

    def down(*_: object, **__: object) -> None:
        raise OutcomeUnknown("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(SandboxProvider, "fetch_checkout", down)
        assert problem(finance.post(path, {}, Idempotency_Key="a"))[:2] == (503, "provider_unreachable")
    for key, has_changed in (("a", True), ("a", True), ("b", False)):
        answer = finance.post(path, {}, Idempotency_Key=key).json
        assert (answer["has_changed"], answer["verdict"], answer["session"]["state"]) == (has_changed, "same", "paid")
        assert all(field["is_same"] for field in answer["fields"])
    with database.reading() as session:
        assert (
            balances.of_account(session, directory.get_account_by_code(session, "calla").id)[0].wallet_minor == 55_000
        )
    assert problem(finance.post(f"{FINANCE}/pay_none:recover", {}, Idempotency_Key="c"))[0] == 404
    assert problem(finance.post(path, {}))[0] == 400
