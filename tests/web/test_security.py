"""What every answer carries and every request must meet: headers, token, origin, host, and the way back after signing in."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter, Rule
from werkzeug.test import TestResponse

from billing.storage.database import Database
from portal import create_app
from portal.config import PortalConfig, Unsafe, from_environment
from tests.service.rating.world import Use
from tests.web import conftest, operators
from tests.web.operators import House
from tests.web.pages import Page

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def assert_guarded(answer: TestResponse, where: str) -> None:
    """The headers that no answer may lack, and a policy without holes."""
    for name, value in HEADERS.items():
        assert answer.headers.get(name) == value, (where, name)
    assert "Permissions-Policy" in answer.headers, where
    assert answer.headers["Cache-Control"] == "no-store", where
    assert "Cookie" in answer.headers.get("Vary", ""), where
    assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", answer.headers["X-Request-ID"]), where
    assert "Python" not in answer.headers.get("Server", "") or answer.request.environ.get("werkzeug.server") is None
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'", where
    assert re.fullmatch(r"'nonce-[A-Za-z0-9_-]{20,}'", policy["script-src"]), where
    assert policy["style-src"] == "'self'", where
    assert (policy["frame-ancestors"], policy["base-uri"], policy["object-src"]) == ("'none'", "'none'", "'none'"), (
        where
    )
    assert policy["form-action"].startswith("'self'"), where
    assert "unsafe" not in answer.headers["Content-Security-Policy"], where


@ONE_ENGINE
def test_every_address_answers_with_the_headers_also_when_it_refuses(app: Flask, client: FlaskClient) -> None:
    seen = 0
    for rule in app.url_map.iter_rules():
        if rule.endpoint in ("static", "api_docs.description"):  # for everybody to keep; the gates look at its headers
            continue
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            answer = client.open(_filled(app, rule), method=method)
            assert answer.status_code < 500, (rule.rule, method)
            assert_guarded(answer, f"{method} {rule.rule}")
            seen += 1
    assert seen > 50


@ONE_ENGINE
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no-such-page", 404),
        ("GET", "/api/v1/no-such-route", 404),
        ("POST", "/healthz", 405),
        ("GET", "/api/v1/billing/balance", 401),
        ("POST", "/sign-in", 400),
    ],
)
def test_errors_carry_the_headers(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert_guarded(answer, path)
    if path.startswith("/api/"):
        assert answer.mimetype == "application/problem+json"
        assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    else:
        assert answer.headers["X-Request-ID"] in Page(answer).text


@ONE_ENGINE
def test_an_unforeseen_error_is_a_page_with_the_request_id_and_tells_nothing_else(
    app: Flask, client: FlaskClient
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    from portal import access

    @access.public
    def broken() -> str:
        raise RuntimeError("secret-of-the-house")

    app.add_url_rule("/broken", "broken", broken)
    app.add_url_rule("/api/v1/broken", "broken_api", broken)
    page, problem = client.get("/broken"), client.get("/api/v1/broken")
    assert (page.status_code, problem.status_code) == (500, 500)
    assert_guarded(page, "/broken")
    assert "secret-of-the-house" not in Page(page).text + problem.get_data(as_text=True)
    assert page.headers["X-Request-ID"] in Page(page).text
    assert problem.json["code"] == "internal_error"


@ONE_ENGINE
def test_a_request_id_is_taken_over_only_when_it_is_harmless(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "job-12345678"}).headers["X-Request-ID"] == "job-12345678"
    for hostile in ("<script>", "x" * 65, "a b c d e f", "%0d%0aSet-Cookie"):
        assert client.get("/healthz", headers={"X-Request-ID": hostile}).headers["X-Request-ID"] != hostile


@ONE_ENGINE
def test_scripts_run_by_nonce_only_and_each_answer_has_its_own(client: FlaskClient) -> None:
    nonces = set()
    for _ in range(3):
        answer = client.get("/sign-in")
        page = Page(answer)
        used = {script.get("nonce") for script in page.root.iter("script")}
        assert len(used) == 1
        assert f"'nonce-{next(iter(used))}'" in answer.headers["Content-Security-Policy"]
        nonces |= used
    assert len(nonces) == 3


@ONE_ENGINE
def test_a_write_without_its_token_is_refused_on_every_form_route(
    app: Flask, browser: Callable[..., FlaskClient]
) -> None:
    client = browser("calla", staff="admin", login="both@example.com")
    refused = 0
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.endpoint.partition(".")[0] in ("api", "webhooks"):
            continue
        answer = client.post(_filled(app, rule), data={"amount": "10.00"})
        assert answer.status_code == 400, rule.rule
        assert Page(answer).h1 == "This form is no longer valid"
        refused += 1
    assert refused >= 10


@ONE_ENGINE
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_write_from_another_site_is_refused_before_its_token_is_looked_at(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    form = Page(client.get("/sign-in")).form_values()
    sent = {**form, "login": "x@example.com", "password": "wrong-password"}
    assert client.post("/sign-in", data=sent, headers=headers).status_code == 403
    assert client.post("/sign-in", data=sent, headers={"Origin": "http://localhost"}).status_code == 422


@ONE_ENGINE
@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "localhost@evil.example", "evil.example:80", "127.0.0.1.evil.example"],
)
def test_another_host_is_refused(client: FlaskClient, host: str) -> None:
    answer = client.get("/sign-in", headers={"Host": host})
    assert answer.status_code == 400
    assert host not in answer.get_data(as_text=True)


@ONE_ENGINE
@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "////evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil.example",
        "http:/evil.example", "javascript:alert(1)", "data:text/html,x", "/%09/evil.example", "/\t/evil.example",
        "/\n/evil.example", "///evil.example/..", "//evil.example@localhost/", "http://localhost@evil.example/", ".evil.example",
        "/operator", "/", "", "eyJ4IjoxfQ.aaaa.bbbb",
    ],
)  # fmt: skip
def test_the_way_back_after_signing_in_is_only_one_that_we_signed(
    database: Database, client: FlaskClient, target: str
) -> None:
    conftest.ensure_person(database, "ann@example.com", account="calla")
    form = Page(client.get("/sign-in", query_string={"next": target})).form_values()
    answer = client.post(
        "/sign-in",
        query_string={"next": target},
        data={**form, "login": "ann@example.com", "password": conftest.PASSWORD},
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


@ONE_ENGINE
def test_the_signed_way_back_leads_to_the_page_that_asked(database: Database, client: FlaskClient) -> None:
    conftest.ensure_person(database, "ann@example.com", account="calla")
    location = client.get("/invoices?state=open").headers["Location"]
    token = parse_qs(urlsplit(location).query)["next"][0]
    form = Page(client.get(location)).form_values()
    sent = {**form, "login": "ann@example.com", "password": conftest.PASSWORD}
    assert (
        client.post("/sign-in", query_string={"next": token}, data=sent).headers["Location"] == "/invoices?state=open"
    )


@ONE_ENGINE
def test_signing_in_leaves_nothing_of_the_session_before(database: Database, client: FlaskClient) -> None:
    conftest.ensure_person(database, "ann@example.com", account="calla")
    with client.session_transaction() as planted:
        planted["account_id"] = "bac_planted"
    conftest.sign_in(client, "ann@example.com")
    with client.session_transaction() as held:
        assert "account_id" not in held


@ONE_ENGINE
def test_the_session_cookie_is_closed_to_scripts_and_other_sites(app: Flask, database: Database) -> None:
    client = app.test_client()
    cookie = client.get("/sign-in").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    secure = create_app(replace(app.extensions["plumbline"].config, base_url="https://billing.example"))
    answer = secure.test_client().get("/sign-in", base_url="https://billing.example")
    assert answer.headers["Set-Cookie"].startswith("__Host-plumbline=")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age=" in answer.headers["Strict-Transport-Security"]
    secure.extensions["plumbline"].database.dispose()


@ONE_ENGINE
def test_signing_out_is_a_post_that_clears_the_browser(browser: Callable[..., FlaskClient]) -> None:
    client = browser("calla")
    assert client.get("/sign-out").status_code == 405
    form = Page(client.get("/"))
    token = next(f.get("value", "") for f in form.root.iter("input") if f.get("name") == "csrf_token")
    answer = client.post("/sign-out", data={"csrf_token": token})
    assert answer.status_code == 303
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert client.get("/").status_code == 303


@ONE_ENGINE
def test_a_body_above_four_megabytes_is_refused(client: FlaskClient) -> None:
    form = Page(client.get("/sign-in")).form_values()
    sent = {**form, "login": "x" * (4 * 2**20), "password": "x"}
    assert client.post("/sign-in", data=sent).status_code == 413


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"PLUMBLINE_SECRET_KEY": ""}, "PLUMBLINE_SECRET_KEY"),
        ({"PLUMBLINE_SECRET_KEY": "short"}, "PLUMBLINE_SECRET_KEY"),
        ({"PLUMBLINE_BASE_URL": "http://billing.example"}, "PLUMBLINE_BASE_URL"),
        ({"PLUMBLINE_SANDBOX": "1"}, "PLUMBLINE_SANDBOX"),
        ({"STRIPE_SECRET_KEY": "sk_live_x"}, "STRIPE_WEBHOOK_SECRET"),
        ({"PLUMBLINE_SIGNING_KEY_FILE": ""}, "PLUMBLINE_SIGNING_KEY_FILE"),
    ],
)
def test_production_refuses_what_would_be_unsafe(environ: dict[str, str], names: str) -> None:
    good = {
        "PLUMBLINE_ENV": "production",
        "PLUMBLINE_SECRET_KEY": "k" * 40,
        "PLUMBLINE_BASE_URL": "https://billing.example",
        "PLUMBLINE_SIGNING_KEY_FILE": "signing_key",
        "PLUMBLINE_MAIL": "off",
    }
    assert isinstance(from_environment(good), PortalConfig)
    with pytest.raises(Unsafe, match=names):
        from_environment({**good, **environ})


@ONE_ENGINE
def test_hostile_names_stand_as_text_on_every_operator_page(
    app: Flask, database: Database, browser: Callable[..., FlaskClient], data_dir: object
) -> None:
    hostile = _hostile_names(str(data_dir))
    house = House(app, database)
    account_id = house.account("calla", Use(10_000))
    payment = house.top_up(account_id, 100_000)
    draft_id = operators.world.draft(database, account_id)
    client = browser(staff="admin")
    from billing.accounts import listing
    from billing.catalog import onboarding
    from billing.kernel.errors import Invalid

    kept = 0
    for number, text in enumerate(hostile):
        try:
            with database.transaction("jobs") as session:
                onboarding.open_account(session, now=operators.NOW, code=f"h{number}", name=text)
            kept += 1
        except Invalid:
            continue  # control and direction characters are refused where they come in
    assert kept > len(hostile) // 2
    requests = []
    for number, text in enumerate(hostile):
        try:
            requests.append(house.ask_refund(account_id, payment, 1, key=f"k{number}", reason=text))
        except Invalid:
            continue
    for path in (
        "/operator", "/operator/accounts?sort=name", "/operator/accounts?sort=-name&page=2", "/operator/refunds", "/operator/refunds?page=2",
        f"/operator/accounts/{account_id}", f"/operator/invoices/{draft_id}", "/operator/invoice-runs/2026-10", "/operator/jobs",
        *(f"/operator/refunds/{one.id}" for one in requests[:: max(1, len(requests) // 15)]),
        *(f"/operator/accounts?q={number}" for number in ("%3Cscript%3E", "%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", "%27%20OR%201%3D1--")),
    ):  # fmt: skip
        page = Page(client.get(path))
        assert page.status == 200, path
        assert_only_ours(page, path)
    with database.reading() as session:
        listed = listing.list_accounts(session, sort="name", limit=50)
    first = Page(client.get("/operator/accounts?sort=name"))
    shown = {row[0] for row in first.rows("accounts")}
    assert all(any(" ".join(account.name.split()) in cell for cell in shown) for account in listed)


def assert_only_ours(page: Page, where: str) -> None:
    """No script but the three files of the layout, no element that a name could have made."""
    scripts = list(page.root.iter("script"))
    assert [bool(script.get("src", "").startswith("/static/")) for script in scripts] == [True] * 3, where
    for tag in ("iframe", "object", "embed", "marquee", "img", "video", "audio", "base"):
        assert not list(page.root.iter(tag)), (where, tag)
    for element in page.root.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on"), where
            if name in ("href", "src", "action"):
                assert not value.lower().lstrip().startswith(("javascript:", "data:text")), (where, value)


def _hostile_names(data_dir: str) -> list[str]:
    import json
    from pathlib import Path

    texts = json.loads((Path(data_dir) / "bad-input" / "blns.json").read_text())
    names = [text for text in texts if text.strip() and len(text) <= 200 and text.isprintable()]
    marked = [text for text in names if "<" in text or "script" in text or "'" in text or "{" in text]
    return [*marked[:150], *[text for text in names if text not in marked][:50]]


def _filled(app: Flask, rule: Rule) -> str:
    values = {
        name: 1
        if isinstance(rule._converters[name], IntegerConverter)
        else min(getattr(rule._converters[name], "items", None) or {"x"})
        for name in rule.arguments
    }
    with app.test_request_context():
        return app.url_map.bind("localhost").build(rule.endpoint, values)
