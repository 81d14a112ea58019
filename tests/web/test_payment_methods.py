"""Payment methods and payments on the tenant's pages: saved on the provider's page, believed only when the provider says so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.accounts import directory
from billing.payments.customers import methods
from billing.payments.customers.methods import MethodRow
from billing.payments.customers.tables import MethodSetup
from billing.payments.errors import OutcomeUnknown
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.storage.database import Database
from tests.web import operators, tenants
from tests.web.pages import Page
from tests.web.tenants import Lived


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@dataclass(frozen=True)
class Tenant:
    """An account that has used and paid nothing yet."""

    database: Database
    account_id: str


@pytest.fixture
def client(browser: Callable[..., FlaskClient]) -> FlaskClient:
    return browser("calla")


@pytest.fixture
def calla(client: FlaskClient, database: Database) -> Tenant:
    with database.reading() as session:
        account = directory.find_account_by_code(session, "calla")
        assert account is not None
        return Tenant(database, str(account.id))


@pytest.fixture
def lived(app: Flask, database: Database) -> Lived:
    return tenants.lived(app, database)


def path_of(location: str) -> str:
    return location.removeprefix("http://localhost")


def saved(calla: Tenant) -> list[MethodRow]:
    with calla.database.reading() as session:
        return methods.list_methods(session, account_id=calla.account_id)


def begin(client: FlaskClient, **changes: str) -> str:
    """Press the button; the path of the provider's page."""
    form = Page(client.get("/payment-methods/add")).form_values()
    answer = client.post("/payment-methods/add", data=form | {"makes_default": "y"} | changes)
    assert answer.status_code == 303
    return path_of(answer.headers["Location"])


def press(client: FlaskClient, path: str, act: str, **more: str) -> str:
    """A button of the provider's page; the path to which it leads."""
    form = Page(client.get(path)).form_values()
    answer = client.post(path, data=form | {"act": act, "card": "4242"} | more)
    assert answer.status_code == 303
    return path_of(answer.headers["Location"])


def button(client: FlaskClient, path: str) -> str:
    """A button of the list that is a form of its own; the path to which it leads."""
    page = Page(client.get("/payment-methods"))
    [place] = [place for place, form in enumerate(page.forms()) if form.get("action") == path]
    answer = client.post(path, data=page.form_values(place))
    assert answer.status_code == 303
    return path_of(answer.headers["Location"])


def test_a_card_is_saved_on_the_providers_page_and_listed_with_its_last_digits(
    calla: Tenant, client: FlaskClient
) -> None:
    assert "No saved payment methods" in Page(client.get("/payment-methods")).text
    page = begin(client)
    assert page.startswith("/sandbox/setup/")
    back = press(client, page, "save")
    shown = Page(client.get(back))
    assert ("Payment method saved" in shown.text, "Visa ending 4242" in shown.text) == (True, True)
    page_text = Page(client.get("/payment-methods")).text
    assert ("Visa ending 4242" in page_text, "Default" in page_text, "12 / 2034" in page_text) == (True, True, True)


def test_the_return_page_waits_for_the_fact_and_an_address_that_claims_success_saves_nothing(
    calla: Tenant, client: FlaskClient
) -> None:
    begin(client)
    with calla.database.reading() as session:
        setup_id = session.execute(select(MethodSetup.id)).scalar_one()
    url = f"/payment-methods/setups/{setup_id}?success=true&redirect_status=succeeded"
    waiting = client.get(url, headers={"HX-Request": "true"}).get_data(as_text=True)
    assert ("has not confirmed" in waiting, 'hx-trigger="every 2s"' in waiting) == (True, True)
    assert saved(calla) == []


def test_two_clicks_lead_to_one_page(calla: Tenant, client: FlaskClient) -> None:
    form = Page(client.get("/payment-methods/add")).form_values()
    answers = [client.post("/payment-methods/add", data=form).headers["Location"] for _ in range(2)]
    assert answers[0] == answers[1]


def test_a_declined_card_and_an_abandoned_page_save_nothing(calla: Tenant, client: FlaskClient) -> None:
    page = begin(client)
    assert press(client, page, "decline") == page
    back = press(client, page, "abandon")
    assert "was left without saving" in Page(client.get(back)).text
    assert saved(calla) == []
    assert client.get(page).status_code == 303  # the page is over


def test_the_default_is_chosen_and_a_method_removed_after_a_look(calla: Tenant, client: FlaskClient) -> None:
    press(client, begin(client), "save")
    press(client, begin(client), "save", card="4444")
    newer, older = saved(calla)
    button(client, f"/payment-methods/{older.id}/default")
    assert [method.id for method in saved(calla)] == [older.id, newer.id]
    url = f"/payment-methods/{older.id}/remove"
    look = Page(client.get(url))
    assert "nothing is charged automatically until you choose another" in look.text
    assert len(saved(calla)) == 2  # looking removes nothing
    assert client.post(url, data=look.form_values()).status_code == 303
    page = Page(client.get("/payment-methods"))
    assert ("No default" in page.text, [method.id for method in saved(calla)]) == (True, [newer.id])
    again = client.post(url, data=look.form_values())
    assert again.status_code == 303
    assert "removed already" in Page(client.get("/payment-methods")).text


def test_what_is_done_in_the_portal_is_seen_on_the_way_back(calla: Tenant, client: FlaskClient) -> None:
    press(client, begin(client), "save")
    portal = button(client, "/payment-methods/portal")
    assert portal.startswith("/sandbox/portal/")
    form = Page(client.get(portal)).form_values()
    client.post(portal, data=form | {"act": "add", "card": "4444"})
    client.post(portal, data=form | {"act": "remove", "method": saved(calla)[-1].provider_method_id})
    assert len(saved(calla)) == 1
    assert Page(client.get("/payment-methods?from=portal")).status == 200


def test_a_provider_that_is_silent_is_said_and_changes_nothing(calla: Tenant, client: FlaskClient, app: Flask) -> None:
    press(client, begin(client), "save")
    press(client, begin(client), "save", card="4444")
    newer, older = saved(calla)

    class Silent(SandboxProvider):
        def fetch_customer(self, customer_id: str) -> None:  # type: ignore[override]
            raise OutcomeUnknown("no answer")

        def set_default_method(self, customer_id: str, method_id: str) -> None:
            raise OutcomeUnknown("no answer")

        def detach_method(self, method_id: str) -> None:
            raise OutcomeUnknown("no answer")

    providers = app.extensions["plumbline"].providers
    providers["sandbox"] = Silent(secret="s", base_url="http://localhost", database=calla.database)
    button(client, f"/payment-methods/{older.id}/default")
    page = Page(client.get("/payment-methods?from=portal"))
    assert ("did not answer" in page.text, saved(calla)[0].id) == (True, newer.id)
    operators.act(client, f"/payment-methods/{newer.id}/remove")
    assert "is asked again until it has removed it too" in Page(client.get("/payment-methods")).text
    assert [method.id for method in saved(calla)] == [older.id]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_another_tenants_method_setup_and_payment_do_not_exist(
    calla: Tenant, client: FlaskClient, browser: Callable[..., FlaskClient]
) -> None:
    back = press(client, begin(client), "save")
    method = saved(calla)[0]
    stranger = browser("stranger")
    for path in (back, f"/payment-methods/{method.id}/remove"):
        assert stranger.get(path).status_code == 404, path
    form = Page(stranger.get("/payment-methods/add")).form_values()
    assert stranger.post(f"/payment-methods/{method.id}/default", data=form).status_code == 404
    assert stranger.post(f"/payment-methods/{method.id}/remove", data=form).status_code == 404


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_viewer_sees_methods_and_changes_none(
    calla: Tenant, client: FlaskClient, browser: Callable[..., FlaskClient]
) -> None:
    press(client, begin(client), "save")
    viewer = browser("calla", role="viewer")
    page = Page(viewer.get("/payment-methods"))
    assert ("Visa ending 4242" in page.text, "Remove" in page.text) == (True, False)
    assert viewer.get("/payment-methods/add").status_code == 403


def test_a_payment_is_listed_and_shown_with_what_hangs_on_it(lived: Lived, browser: Callable[..., FlaskClient]) -> None:
    client = browser("calla")
    page = Page(client.get("/payments"))
    assert len(page.rows("payments")) == 1
    detail = Page(client.get(f"/payments/{lived.payment.id}"))
    assert detail.h1 == "Payment of USD 100.00"
    assert lived.payment.transaction_id in detail.text
    assert "Ask for a refund" in detail.links()
    assert browser("stranger").get(f"/payments/{lived.payment.id}").status_code == 404


def test_saved_methods_are_offered_where_one_pays(calla: Tenant, client: FlaskClient) -> None:
    press(client, begin(client), "save", card="4444")
    assert "Mastercard ending 4444" in Page(client.get("/add-funds")).text
    check = Page(client.get("/add-funds/check?amount=20"))
    assert "Mastercard ending 4444: offered on that page" in check.text
    checkout = path_of(client.post("/add-funds/check?amount=20", data=check.form_values()).headers["Location"])
    page = Page(client.get(checkout))
    method = saved(calla)[0]
    answer = client.post(checkout, data=page.form_values() | {"act": "pay", "card": method.provider_method_id})
    assert answer.status_code == 303
    assert "Payment received" in Page(client.get(path_of(answer.headers["Location"]))).text
    assert any("ending 4444" in " ".join(row) for row in Page(client.get("/payments")).rows("payments"))
