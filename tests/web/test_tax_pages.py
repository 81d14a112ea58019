"""Pages about tax: what a tenant says of itself, what finance records, what is declared and why a tax is charged."""

import csv
import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from billing.accounts import directory, registrations, tax_profiles, vat_consultations
from billing.accounts.tables import BillingAccount
from billing.storage.database import Database
from tests.web.pages import Page
from tests.web.test_billing_details import DETAILS, post

Browser = Callable[..., FlaskClient]


def _account(database: Database) -> BillingAccount:
    with database.reading("jobs") as session:
        return directory.get_account_by_code(session, "calla")


def test_a_tenant_gives_its_vat_id_and_sees_how_it_is_taxed_then(browser: Browser, database: Database) -> None:
    client = browser("calla")
    post(client, "/settings/billing/edit", DETAILS)
    before = Page(client.get("/settings/tax"))
    assert "VAT 19%, Germany." in before.text
    page = post(client, "/settings/tax/edit", {"customer_kind": "business", "vat_id": "DE 136 695 976"})
    assert page.status == 200
    assert "No VAT charged: reverse charge." in page.text
    assert "DE136695976" in page.text
    with database.reading("jobs") as session:
        [version] = tax_profiles.versions(session, _account(database).id)
    assert (version.version, version.customer_kind, version.vat_id) == (1, "business", "DE136695976")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"customer_kind": "business", "vat_id": "DE1"}, "check its digits"),
        ({"customer_kind": "business", "vat_id": "FR40303265045"}, "another country"),
        ({"customer_kind": "martian", "vat_id": ""}, "business or private person"),
        ({"customer_kind": "business", "vat_id": "x" * 41}, "41"),
    ],
)
def test_a_tax_profile_that_cannot_stand_keeps_the_form(
    browser: Browser, database: Database, data: dict[str, str], sentence: str
) -> None:
    client = browser("calla")
    post(client, "/settings/billing/edit", DETAILS)
    page = post(client, "/settings/tax/edit", data)
    assert page.status == 422
    assert sentence in page.text or "longer than 40" in page.text
    with database.reading("jobs") as session:
        assert not tax_profiles.versions(session, _account(database).id)


def test_a_viewer_reads_the_tax_profile_and_changes_nothing(browser: Browser) -> None:
    client = browser("calla", role="viewer")
    assert "Change the tax profile" not in Page(client.get("/settings/tax")).text
    assert client.get("/settings/tax/edit").status_code == 403


def test_finance_records_an_exemption_and_an_account_shows_it(browser: Browser, database: Database) -> None:
    browser("calla")
    client, account = browser(staff="maker"), _account(database)
    url = f"/operator/accounts/{account.id}/tax"
    refused = post(client, f"{url}/override", {"category": "E", "reason": "Embassy", "vatex": "VATEX-EU-AE"})
    assert refused.status == 422
    assert "belongs to another treatment" in refused.text
    page = post(
        client,
        f"{url}/override",
        {"category": "E", "vatex": "VATEX-EU-151-1A", "certificate": "15.10", "valid_until": "2030-12-31"},
    )
    assert page.status == 200
    assert "Exempt, with a certificate: Exempt from VAT" in page.text
    assert "VATEX-EU-151-1A" in page.text


def test_an_operators_own_look_is_evidence(browser: Browser, database: Database) -> None:
    post(browser("calla"), "/settings/billing/edit", DETAILS)
    account = _account(database)
    with database.transaction() as session:
        tax_profiles.change(
            session,
            now=account.created_at,
            account_id=account.id,
            customer_kind="business",
            vat_id="DE136695976",
            actor="usr_ann",
        )
    client = browser(staff="maker")
    page = post(client, f"/operator/accounts/{account.id}/tax/vat-id", {"is_valid": "yes", "reason": "Letter of 3 May"})
    assert "Letter of 3 May" in page.text
    with database.reading("jobs") as session:
        [row] = vat_consultations.list_of(session, account.id)
    assert (row.method, row.outcome) == ("manual", "valid")


def test_registrations_are_recorded_and_ended(browser: Browser, database: Database) -> None:
    browser("calla")
    client = browser(staff="maker")
    data = {"scheme": "vat", "country": "DE", "number": "DE136695976", "valid_from": "2026-01-01"}
    assert "DE136695976" in post(client, "/operator/tax/house/registrations/new", data).text
    again = post(client, "/operator/tax/house/registrations/new", data)
    assert (again.status, "end it first" in again.text) == (409, True)
    with database.reading("jobs") as session:
        row = registrations.list_of(session, directory.first_seller(session).id)[-1]
    ended = post(client, f"/operator/tax/house/registrations/{row.id}/end", {"valid_until": "2026-12-31"})
    assert "31 Dec 2026" in ended.text
    assert post(browser(staff="viewer"), "/operator/tax", {}, "/operator/tax/house/policy").status == 403


@pytest.mark.parametrize("rate", ["8.123", "-1", "101", "abc", "1e3"])
def test_a_rate_that_is_none_is_refused(browser: Browser, rate: str) -> None:
    browser("calla")
    data = {"country": "CH", "tax_name": "MWST", "registration": "CHE1", "valid_from": "2026-01-01", "reason": "Law"}
    page = post(browser(staff="maker"), "/operator/tax/house/rates/new", {**data, "rate": rate})
    assert page.status == 422
    assert "from 0 to 100 percent" in page.text


def test_a_rate_waits_for_a_second_person(browser: Browser) -> None:
    browser("calla")
    data = {"country": "CH", "tax_name": "MWST", "registration": "CHE1", "valid_from": "2026-01-01", "reason": "Law"}
    page = post(browser(staff="maker"), "/operator/tax/house/rates/new", {**data, "rate": "8.1"})
    assert page.status == 200
    for words in ("Rate of another country", "Switzerland", "8.1%", "2026-01-01"):
        assert words in page.text
    assert "None. Customers outside" in Page(browser(staff="approver").get("/operator/tax")).text


def test_a_period_that_is_none_falls_back_with_a_notice_and_the_file_has_heads_alone(browser: Browser) -> None:
    browser("calla")
    client = browser(staff="viewer")
    assert "this is the present month" in Page(client.get("/operator/tax?period=soon")).text
    answer = client.get("/operator/tax/filing.csv?period=2020-01&form=oss")
    assert next(csv.reader(io.StringIO(answer.get_data(as_text=True))))[:4] == [
        "period",
        "seller",
        "form",
        "jurisdiction",
    ]
    assert client.get("/operator/tax/filing.manifest.json?period=2020-01").get_json()["ties_to_ledger"] is True
