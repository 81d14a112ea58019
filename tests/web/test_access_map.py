"""Every route of the whole application says who may open it, and only they can: walked from the map, not from a list."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from billing.accounts import permissions
from billing.storage.database import Database
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import House

PUBLIC = {
    "health.healthz",
    "health.readyz",
    "health.metrics",
    "auth.sign_in",
    "auth.sign_out",
    "auth.choose_account",
    "sandbox.checkout",
    "sandbox.decide",
    "style.index",  # only outside production
}
# Routes that authenticate by a provider's signature.
SIGNED = {"webhooks.stripe_webhook", "webhooks.sandbox_webhook"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def rules(app: Flask) -> list[Rule]:
    found = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    assert len(found) > 40
    return found


def undeclared(app: Flask) -> set[str]:
    """Endpoints whose declaration is missing or is none that exists."""
    members = frozenset().union(*map(permissions.of_member, permissions.MEMBER_ROLES))
    staff = frozenset().union(*map(permissions.of_staff, permissions.STAFF_ROLES))
    keys = {f"key:{scope}" for scope in permissions.SCOPES}
    valid = {"public", "key"} | members | {f"staff:{name}" for name in staff} | keys
    return {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static" and getattr(app.view_functions[rule.endpoint], "access", None) not in valid
    }


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_every_route_declares_who_may_open_it(app: Flask) -> None:
    assert undeclared(app) == set()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_view_without_a_declaration_is_found_and_is_refused(app: Flask) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "everybody's books")
    assert undeclared(app) == {"forgotten"}
    answer = app.test_client().get("/forgotten")
    assert answer.status_code == 403
    assert b"everybody's books" not in answer.data


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_is_public_is_exactly_what_was_meant_to_be(app: Flask) -> None:
    declared = {rule.endpoint: app.view_functions[rule.endpoint].access for rule in rules(app)}  # type: ignore[attr-defined]
    assert {name for name, access in declared.items() if access == "public"} == PUBLIC
    assert {name for name, access in declared.items() if access == "key"} == SIGNED
    for name, access in declared.items():
        blueprint = name.partition(".")[0]
        expected = {"operator": "staff:", "api": "key:"}.get(blueprint)
        if expected is not None:
            assert access.startswith(expected), name


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_writing_routes_of_operators_need_more_than_reading(app: Flask) -> None:
    for rule in rules(app):
        if rule.endpoint.startswith("operator.") and "POST" in (rule.methods or ()):
            assert app.view_functions[rule.endpoint].access != "staff:finance.read", rule.endpoint  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_who_is_not_signed_in_is_led_to_sign_in_on_every_page(app: Flask, client: FlaskClient) -> None:
    for rule in rules(app):
        access = app.view_functions[rule.endpoint].access  # type: ignore[attr-defined]
        if access in ("public", "key") or access.startswith("key:") or "GET" not in (rule.methods or ()):
            continue
        answer = client.get(_filled(app, rule, dict.fromkeys(rule.arguments, "x")))
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/sign-in"), rule.rule


@pytest.fixture
def objects(app: Flask, database: Database) -> dict[str, str]:
    """One object behind every kind of argument that operators' addresses have."""
    house = House(app, database)
    account_id = house.account("calla", Use(10_000))
    payment = house.top_up(account_id, 50_000)
    refund = house.ask_refund(account_id, payment, 1_000)
    draft_id = operators.world.draft(database, account_id)
    from billing.invoicing import batches
    from billing.jobs import runner

    with database.transaction() as session:
        run_id = runner.ask_for(session, now=operators.NOW, name="rate", actor="usr_x")
        batch_id = batches.start(
            session,
            now=operators.NOW,
            act="approve",
            period_label="2026-10",
            invoice_ids=[draft_id],
            form_key="k",
            actor="usr_x",
        )
    return {
        "account_id": account_id,
        "refund_id": refund.id,
        "invoice_id": draft_id,
        "period": "2026-10",
        "act": "approve",
        "batch_id": batch_id,
        "run_id": run_id,
        "name": "webhooks",
        "event_id": "pev_x",
    }


@pytest.mark.parametrize("role", permissions.STAFF_ROLES)
def test_each_role_opens_exactly_the_operator_pages_of_the_permissions_table(
    app: Flask, browser: Callable[..., FlaskClient], objects: dict[str, str], role: str
) -> None:
    client = browser(staff=role)
    opened, refused = 0, 0
    for rule in rules(app):
        if not rule.endpoint.startswith("operator.") or "GET" not in (rule.methods or ()):
            continue
        needed = app.view_functions[rule.endpoint].access.removeprefix("staff:")  # type: ignore[attr-defined]
        answer = client.get(_filled(app, rule, objects))
        if needed in permissions.of_staff(role):
            assert answer.status_code in (200, 303), (rule.rule, answer.status_code)
            assert not answer.headers.get("Location", "").startswith("/sign-in")
            opened += 1
        else:
            assert answer.status_code == 403, (rule.rule, answer.status_code)
            refused += 1
    assert opened >= 13
    assert (refused > 0) == (role != "admin")


@pytest.mark.parametrize("role", permissions.MEMBER_ROLES)
def test_for_a_tenant_operators_pages_do_not_exist(
    app: Flask, browser: Callable[..., FlaskClient], objects: dict[str, str], role: str
) -> None:
    client = browser("calla", role=role)
    for rule in rules(app):
        if rule.endpoint.startswith("operator."):
            method = "GET" if "GET" in (rule.methods or ()) else "POST"
            answer = client.open(_filled(app, rule, objects), method=method)
            # A POST without a token may be told that before anything else: nothing is said about the page either way.
            assert answer.status_code == (404 if method == "GET" else 400), rule.rule


def _filled(app: Flask, rule: Rule, values: dict[str, str]) -> str:
    arguments = {name: values[name] for name in rule.arguments}
    if "act" in arguments:
        arguments["act"] = "approve"
    with app.test_request_context():
        return app.url_map.bind("localhost").build(rule.endpoint, arguments)
