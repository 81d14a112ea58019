"""The doors of the portal: where a sign-in leads, which hosts are served, whom it tells apart, and how large a request may be."""

import re
import statistics
import time
from urllib.parse import urlsplit

import pytest

from portal.api.routes.all import ROUTES
from tests.gates.walk import Walk, login_of_person
from tests.web import conftest as web
from tests.web.pages import Page

REDIRECTS = [
    "//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\\/evil.example",
    "https://evil.example", "https:evil.example", "https:/evil.example", "https:///evil.example", "http://evil.example",
    "HTTPS://EVIL.EXAMPLE", "ftp://evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:x", "blob:https://evil.example/x", "//evil.example/%2f..", "/%09/evil.example",
    "/%5cevil.example", "/%2f%2fevil.example", "/\t/evil.example", "/\n/evil.example", "/\r\n\r\nevil", " //evil.example", "\t//evil.example",
    "//evil%E3%80%82example", "//evil.example@localhost/", "//localhost@evil.example/", "http://localhost@evil.example/",
    "http://localhost.evil.example/", "http://localhost:80@evil.example", "//[::1]@evil.example", "/..//evil.example", ".evil.example",
    "?next=//evil.example", "#//evil.example", "%68ttps://evil.example", "/operator", "eyJ4IjoxfQ.aaaa.bbbb", "",
]  # fmt: skip
HOSTS = [
    "evil.example", "evil.example:80", "localhost.evil.example", "evil.example@localhost", "localhost@evil.example", "localhost:80@evil.example",
    "127.0.0.1.evil.example", "evil.example#localhost", "localhost,evil.example", "LOCALHOST.EVIL.EXAMPLE", "[::1]evil.example", "0x7f000001",
]  # fmt: skip


def signed_in_to(walk: Walk, target: str) -> str:
    """Where a sign-in with that `next` leads."""
    client = walk.app.test_client()
    form = Page(client.get("/sign-in", query_string={"next": target})).form_values()
    sent = {**form, "login": login_of_person("viewer"), "password": web.PASSWORD, "next": target}
    answer = client.post("/sign-in", query_string={"next": target}, data=sent)
    assert answer.status_code == 303
    return str(answer.headers["Location"])


def test_a_sign_in_leads_only_where_we_signed(own_walk: Walk) -> None:
    assert len(REDIRECTS) >= 40
    assert {target: signed_in_to(own_walk, target) for target in REDIRECTS} == dict.fromkeys(REDIRECTS, "/")


def test_a_way_back_that_we_signed_is_followed(own_walk: Walk) -> None:
    location = own_walk.app.test_client().get("/invoices?state=open").headers["Location"]
    token = urlsplit(location).query.removeprefix("next=")
    assert signed_in_to(own_walk, token) == "/invoices?state=open"


@pytest.mark.parametrize("host", HOSTS)
def test_another_host_is_refused_in_words_that_do_not_repeat_it(walk: Walk, host: str) -> None:
    answer = walk.app.test_client().get("/sign-in", headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.get_data(as_text=True).lower() + str(answer.headers).lower()


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override"]
)
def test_a_header_that_names_another_host_or_path_means_nothing(walk: Walk, name: str) -> None:
    client = walk.app.test_client()
    value = {"Forwarded": "host=evil.example", "X-HTTP-Method-Override": "POST"}.get(name, "evil.example")
    plain, led = client.get("/invoices"), client.get("/invoices", headers={name: value})
    assert (led.status_code, urlsplit(led.headers["Location"]).path) == (303, "/sign-in")
    assert urlsplit(plain.headers["Location"]).netloc == urlsplit(led.headers["Location"]).netloc == ""


def test_signing_in_gives_a_session_of_its_own(own_walk: Walk) -> None:
    """What a stranger planted before is worth nothing after, and what was held before a sign-out is worth nothing after it."""
    client = own_walk.app.test_client()
    client.get("/sign-in")
    planted = client.get_cookie("plumbline")
    assert planted is not None
    web.sign_in(client, login_of_person("owner"))
    held = client.get_cookie("plumbline")
    assert held is not None
    assert held.value != planted.value
    attacker = own_walk.app.test_client()
    attacker.set_cookie("plumbline", planted.value)
    assert attacker.get("/invoices").status_code == 303
    attacker.set_cookie("plumbline", held.value)
    assert attacker.get("/invoices").status_code == 200  # the positive control: the cookie is what signs in
    token = Page(client.get("/invoices")).csrf_token
    client.post("/sign-out", data={"csrf_token": token})
    assert attacker.get("/invoices").status_code == 303
    web.sign_in(client, login_of_person("viewer"))
    again = client.get_cookie("plumbline")
    assert again is not None
    assert again.value not in (held.value, planted.value)


def test_signing_in_for_somebody_else_from_another_site_is_refused(own_walk: Walk) -> None:
    """Login CSRF: neither without a token of this browser, nor from elsewhere with one."""
    client = own_walk.app.test_client()
    sent = {"login": login_of_person("owner"), "password": web.PASSWORD}
    assert client.post("/sign-in", data=sent).status_code == 400
    form = Page(client.get("/sign-in")).form_values()
    assert client.post("/sign-in", data={**form, **sent}, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post("/sign-in", data={**form, **sent}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get("/invoices").status_code == 303
    assert client.post("/sign-in", data={**form, **sent}, headers={"Origin": "http://localhost"}).status_code == 303


def refused(walk: Walk, login: str, password: str) -> tuple[int, str, float]:
    """(status, what the page says, seconds) of a sign-in that fails."""
    client = walk.app.test_client()
    form = Page(client.get("/sign-in")).form_values()
    began = time.perf_counter()
    answer = client.post("/sign-in", data={**form, "login": login, "password": password})
    took = time.perf_counter() - began
    return answer.status_code, Page(answer).text, took


def test_a_failed_sign_in_does_not_tell_whether_the_address_is_known(own_walk: Walk) -> None:
    """The same words and status, and time of the same size: an unknown address costs a hash too."""
    known, unknown = [], []
    for number in range(6):
        known.append(refused(own_walk, login_of_person("owner"), f"wrong password {number}"))
        unknown.append(refused(own_walk, f"nobody{number}@calla.example.com", f"wrong password {number}"))
    assert {answer[:2] for answer in known} == {answer[:2] for answer in unknown}
    assert known[0][0] == 422
    fast, slow = sorted(statistics.median(answer[2] for answer in group) for group in (known, unknown))
    assert slow < 3 * fast, f"{fast:.4f} s and {slow:.4f} s tell them apart"


def test_a_path_with_a_nul_names_nothing(walk: Walk) -> None:
    rules = [rule for rule in walk.app.url_map.iter_rules() if rule.arguments]
    assert len(rules) > 100
    for rule in rules:
        method = "GET" if "GET" in (rule.methods or ()) else "POST"
        path = re.sub(r"<[^>]+>", "a%00b", rule.rule)
        answer = walk.app.test_client().open(path, method=method)
        assert answer.status_code == 404, (rule.rule, answer.status_code)


@pytest.mark.parametrize(
    "path", ["/sign-in", "/budgets/new", "/api/v1/billing/usage:ingest", "/api/v1/payments/webhook/sandbox"]
)
def test_a_body_above_four_megabytes_is_413(walk: Walk, path: str) -> None:
    stop = next(stop for stop in walk.stops() if str(stop) == path and "POST" in stop.methods)
    content = "application/json" if path.startswith("/api/") else "application/x-www-form-urlencoded"
    answer = walk.open(stop, method="POST", data=b"a=" + b"x" * (4 * 2**20 + 1), headers={"Content-Type": content})
    assert answer.status_code == 413, answer.status_code


CONTENT_WITH_NOTHING = (
    "/reconciliation",
    "/customer-portal-session",
    "/evidence",
)  # every member of theirs may be left out
# Acts that the address alone says: they take nothing, or an empty object.
BODILESS = {f"/api/v1{route.path}" for route in ROUTES if route.method == "POST" and route.request is None}


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"a" * 3_000_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % number for number in range(20_000)), "application/x-www-form-urlencoded"),
        (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n", "multipart/form-data; boundary=x"),
        (b"no boundary", "multipart/form-data"),
        (b"{", "application/json"),
        (b"<a/>", "application/xml"),
        (b"", ""),
    ],
)
def test_a_body_that_is_none_is_a_fault_of_its_sender(walk: Walk, body: bytes, content: str) -> None:
    for stop in walk.stops():
        if "POST" in stop.methods:
            answer = walk.open(
                stop, method="POST", data=body, headers={"Content-Type": content, "Idempotency-Key": "k"}
            )
            least = 200 if str(stop) in BODILESS and not body else 400
            assert least <= answer.status_code < 500, (str(stop), answer.status_code)


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"null", b"1", b'"x"', b"{}", b'{"a":', b'{"amount": NaN}', b'{"amount": 1e999}', b"[" * 100_000, b'{"a":' * 5_000,
        b'\xef\xbb\xbf{}', b'{"a":1,"a":2}', b'{"amount": {"amount_minor": 1e3, "currency": "USD"}}', b'{"\\ud800": 1}', b"\x00",
        b'{"amount": {"amount_minor": 99999999999999999999999999, "currency": "USD"}}', b'{"amount": {"amount_minor": true}}',
    ],
)  # fmt: skip
def test_json_that_is_none_or_too_deep_is_a_problem_document(walk: Walk, body: bytes) -> None:
    asked = 0
    for stop in walk.stops():
        if "POST" not in stop.methods or not stop.access.startswith("key:"):
            continue
        headers = {"Content-Type": "application/json", "Idempotency-Key": "gate"}
        answer = walk.open(stop, method="POST", data=body, headers=headers)
        assert answer.status_code < 500, (str(stop), answer.status_code)
        asked += 1
        if body == b"{}" and str(stop) in BODILESS:
            continue
        if body == b"{}" and str(stop).endswith(CONTENT_WITH_NOTHING):
            assert answer.status_code in (200, 201), str(stop)
            continue
        if not str(stop).endswith(":ingest") or answer.mimetype != "application/json":  # which answers item by item
            assert answer.mimetype == "application/problem+json", str(stop)
            assert answer.status_code >= 400, str(stop)
        else:
            assert answer.json["accepted"] == 0, str(stop)
    assert asked >= 4


@pytest.mark.parametrize(
    "path",
    [
        "/static/", "/static/../portal/config.py", "/static/..%2f..%2fpyproject.toml", "/static/%2e%2e/pyproject.toml", "/.git/config",
        "/.git/HEAD", "/.env", "/pyproject.toml", "/instance/plumbline.db", "/static/vendor/", "/static/....//pyproject.toml",
        "/static//etc/passwd", "/static/..\\..\\pyproject.toml", "/wsgi.py", "/server-status", "/console",
    ],
)  # fmt: skip
def test_nothing_beside_the_static_files_is_served(walk: Walk, path: str) -> None:
    answer = walk.app.test_client().get(path)
    assert answer.status_code in (308, 404), path
    assert b"[project]" not in answer.data


def test_the_static_files_themselves_are_served(walk: Walk) -> None:
    with walk.app.test_client().get("/static/plumbline.css") as answer:
        assert answer.status_code == 200


def test_no_key_or_session_is_taken_from_the_address(walk: Walk) -> None:
    nobody, key = walk.app.test_client(), walk.ids["key:billing.read"]
    for name in ("api_key", "key", "token", "access_token", "authorization"):
        assert nobody.get("/api/v1/billing/balance", query_string={name: key}).status_code == 401, name
    cookie = walk.client("owner").get_cookie("plumbline")
    assert cookie is not None
    for name in ("session", "plumbline", "sid", "token"):
        assert nobody.get("/invoices", query_string={name: cookie.value}).status_code == 303, name
    assert nobody.get("/api/v1/billing/balance", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_an_address_in_a_header_is_not_whom_tries_are_counted_for(own_walk: Walk) -> None:
    """Guessing is slowed though each try claims to come from elsewhere."""
    client = own_walk.app.test_client()
    form = Page(client.get("/sign-in")).form_values()
    seen = []
    for number in range(12):
        headers = {
            "X-Forwarded-For": f"198.51.100.{number}",
            "X-Real-IP": f"198.51.100.{number}",
            "Forwarded": f"for=198.51.100.{number}",
        }
        sent = {**form, "login": login_of_person("owner"), "password": f"wrong password {number}"}
        seen.append(client.post("/sign-in", data=sent, headers=headers).status_code)
    assert seen[0] == 422
    assert seen[-1] == 429


def test_a_parameter_sent_twice_is_read_once(own_walk: Walk) -> None:
    """Neither of two amounts is added or joined: the form takes the first, and what it shows is what it does."""
    walk = own_walk
    stop = next(stop for stop in walk.stops() if str(stop) == "/add-funds")
    fields = [(name, value) for name, value in walk.fields(stop, "owner").items() if name != "amount"]
    data = [("csrf_token", walk.token("owner")), *fields, ("amount", "50.00"), ("amount", "99999.00")]
    answer = walk.open(
        stop,
        method="POST",
        data="&".join(f"{name}={value}" for name, value in data),
        content_type="application/x-www-form-urlencoded",
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/add-funds/check?amount=50.00")
    assert walk.client("owner").get("/invoices?state=open&state=%27&page=1&page=x").status_code == 200
