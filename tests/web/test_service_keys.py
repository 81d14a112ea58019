"""Service keys: made by an administrator for the tenants that they list, and for no others."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.storage.database import Database
from tests.web.conftest import ensure_person
from tests.web.pages import Page
from tests.web.test_api_keys import _KEY, make
from tests.web.test_team import send

Browser = Callable[..., FlaskClient]
ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
NEW = "/operator/service-keys/new"


def test_a_service_key_speaks_for_the_tenants_it_lists(app: Flask, database: Database, browser: Browser) -> None:
    for code in ("calla", "dahlia", "taifl"):
        ensure_person(database, f"{code}@example.com", account=code)
    client = browser(staff="admin")
    page = make(client, NEW, tenants="calla\n dahlia \n\ncalla")
    (key,) = set(_KEY.findall(page.html))

    def status(account: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return app.test_client().get(f"/api/v1/billing/balance?account={account}", headers=headers).status_code

    assert [status(code) for code in ("calla", "dahlia", "taifl", "nobody")] == [200, 200, 404, 404]
    listed = Page(client.get("/operator/service-keys"))
    assert "dahlia" in listed.text
    assert "taifl" not in listed.text
    assert not _KEY.search(listed.html)
    revoke = listed.links()["Revoke Importer"]
    assert "is revoked" in send(client, revoke).text
    assert status("calla") == 401


@ONE_ENGINE
def test_what_cannot_be_is_said_at_the_field(database: Database, browser: Browser) -> None:
    ensure_person(database, "calla@example.com", account="calla")
    client = browser(staff="admin")
    for changes, sentence in (
        ({"tenants": ""}, "Name at least one tenant."),
        ({"tenants": "  \n "}, "Name at least one tenant."),
        ({"tenants": "calla\nnobody"}, "There is no tenant nobody."),
        ({"tenants": "\u202e\n" + "x" * 9_000}, "There is no tenant"),
        ({"tenants": "\n".join(f"t{number}" for number in range(501))}, "at most 500"),
        ({"tenants": "calla", "scopes": ["billing.write"]}, "not a valid choice"),
        ({"tenants": "calla", "label": ""}, "Say what the key is for"),
    ):
        page = make(client, NEW, **changes)
        assert page.status == 422, changes
        assert sentence.lower() in page.text.lower(), (changes, page.text)
    assert "No service keys yet" in Page(client.get("/operator/service-keys")).text


@ONE_ENGINE
def test_a_tenants_own_key_is_not_among_them(browser: Browser) -> None:
    tenant, client = browser("calla"), browser(staff="admin")
    make(tenant)
    revoke = Page(tenant.get("/api-keys")).links()["Revoke Importer"]
    assert "No service keys yet" in Page(client.get("/operator/service-keys")).text
    assert client.get(f"/operator/service-keys{revoke.removeprefix('/api-keys')}").status_code == 404


@ONE_ENGINE
def test_only_administrators_make_them(browser: Browser) -> None:
    for role in ("viewer", "maker", "approver"):
        client = browser(staff=role)
        assert [client.get(path).status_code for path in ("/operator/service-keys", NEW)] == [403, 403]
    assert browser("calla").get("/operator/service-keys").status_code == 404
