"""A page of 50 rated lines as a signed-in tenant gets it, against Flask and Jinja making the same bytes without a database."""

import time
from typing import Any

from flask import Flask, template_rendered
from flask.testing import FlaskClient
from jinja2 import Template

from billing.accounts import directory, users
from billing.storage.database import Database
from portal import access, create_app
from portal.config import PortalConfig
from tests.bench import world
from tests.bench.measure import Goal, Result, compare, percentile, require
from tests.bench.scratch import Scratch
from tests.web.pages import Page

NAME = "page"
UNIT = "ms p50"
GOAL = Goal(at_most=2.0)
SIZE = 20_000  # rated lines; --scale 500 for ten million
_PATH = "/rated-lines"
_LOGIN, _PASSWORD = "bench@example.com", "correct horse battery staple"
_READS = 60
_SAME_BYTES = 400  # tokens and nonces differ, the page does not


def prepare(scratch: Scratch, *, size: int, keep: bool) -> str:
    """A database with one account of `size` rated lines and an owner who can sign in; its name."""
    name, is_new = scratch.kept(f"{NAME}_{size}", keep=keep)
    if is_new:
        with scratch.opened(name) as database:
            world.install(database)
            (account_id,) = world.open_accounts(database, 1)
            world.add_usage(database, account_id, size, projects=20)
            require("records rated", world.rate_all(database, [account_id]), size)
            _add_owner(database)
        scratch.analyze(name)
    return name


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """The median of 60 requests for the first page."""
    name = prepare(scratch, size=size, keep=False)
    with scratch.opened(name):
        app = create_app(
            PortalConfig(
                database=scratch.urls_of(name), secret_key="k" * 40, base_url="http://localhost", is_testing=True
            )
        )
        captured: list[tuple[Template, dict[str, Any]]] = []

        @access.public
        def without_database() -> str:
            template, context = captured[0]
            return template.render(context)

        app.add_url_rule("/bench", "bench", without_database)
        client = app.test_client()
        _sign_in(client)
        whole = _captured(app, client, captured)
        require("lines on the page", whole.count(b'href="/rated-lines/rtl_') >= min(50, size), True)
        try:
            return compare(
                case=NAME,
                engine=scratch.engine,
                size=size,
                unit=UNIT,
                goal=GOAL,
                limit=lambda: _median_ms(client, "/bench", len(whole)),
                figure=lambda: _median_ms(client, _PATH, len(whole)),
                rounds=rounds,
            )
        finally:
            app.extensions["plumbline"].database.dispose()


def _median_ms(client: FlaskClient, path: str, size: int) -> float:
    taken = []
    for _ in range(_READS):
        start = time.perf_counter()
        answer = client.get(path)
        body = answer.get_data()
        taken.append((time.perf_counter() - start) * 1000)
        require(f"status of {path}", answer.status_code, 200)
        require(f"bytes of {path}", abs(len(body) - size) <= _SAME_BYTES, True)
    return percentile(taken, 50)


def _captured(app: Flask, client: FlaskClient, captured: list[tuple[Template, dict[str, Any]]]) -> bytes:
    """The page, and the template with all it was given: a second request then needs no database."""

    def keep(_sender: object, template: Template, context: dict[str, Any], **_: object) -> None:
        captured.append((template, dict(context)))

    with template_rendered.connected_to(keep, app):
        answer = client.get(_PATH)
    require("status of the page", answer.status_code, 200)
    return answer.get_data()


def _add_owner(database: Database) -> None:
    with database.transaction("jobs") as session:
        account = directory.get_account_by_code(session, "bench-0")
        person = users.create_user(session, now=world.NOW, login=_LOGIN, name="Bench", password=_PASSWORD)
        users.grant_membership(
            session, user_id=person.id, tenant_id=str(account.tenant_id), role="owner", now=world.NOW
        )


def _sign_in(client: FlaskClient) -> None:
    form = Page(client.get("/sign-in")).form_values()
    answer = client.post("/sign-in", data={**form, "login": _LOGIN, "password": _PASSWORD})
    require("sign-in", answer.status_code, 303)
