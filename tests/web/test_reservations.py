"""Reservations from page, command line and API: made after a check, read hour by hour, ended."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from billing.catalog.reservations import HOUR
from billing.storage.database import Database, DatabaseUrls
from portal.cli import context, main
from tests.service.metering.test_reserved_hours import Ran, match, opened, reserve, tell, wanted
from tests.web import operators
from tests.web.api.machines import machine
from tests.web.pages import Page

NOW = operators.NOW
START = NOW.replace(minute=0, second=0, microsecond=0) - 5 * HOUR
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture(autouse=True)
def command_line() -> Iterator[None]:
    """Commands of this test open its own database."""
    context.database.cache_clear()
    yield
    context.database.cache_clear()


def asked(form: Page, **changes: str) -> dict[str, str]:
    facts = {"name": "Training", "meter": "gpu_hour", "variant": "X900", "capacity": "8", "ends_at": ""}
    times = {"starts_at": f"{NOW + timedelta(days=1):%Y-%m-%d} 00:00"}
    return form.form_values() | facts | times | changes


def test_a_reservation_is_checked_made_and_shown(database: Database, browser: Callable[..., FlaskClient]) -> None:
    account_id = opened(database)
    client = browser(staff="maker")
    address = f"/operator/accounts/{account_id}/reservations"
    assert "Nothing is reserved" in Page(client.get(address)).text
    form = Page(client.get(f"{address}/new"))
    check = client.post(f"{address}/new", data=asked(form, step="check"))
    assert check.status_code == 200
    assert "2.00" in Page(check).text
    assert "1.50" in Page(check).text
    assert "Nothing is reserved" in Page(client.get(address)).text
    made = [client.post(f"{address}/new", data=asked(form, step="send")) for _ in range(2)]
    assert made[0].status_code == 303
    assert made[0].location == made[1].location
    shown = Page(client.get(made[0].location))
    assert (shown.h1, "No hours yet" in shown.text) == ("Training", True)
    ended = client.post(
        f"{made[0].location}/end",
        data=Page(client.get(f"{made[0].location}/end")).form_values() | {"ends_at": "2020-01-01 00:00"},
    )
    assert ended.status_code == 422
    assert "the earliest end is" in Page(ended).text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"capacity": "many"}, "plain number above zero"),
        ({"variant": "none-such"}, "has no reserved price"),
        ({"starts_at": "2026-12-01 00:30"}, "full hour of UTC"),
        ({"starts_at": "soon"}, "time"),
        ({"ends_at": "2020-01-01 00:00"}, "must end after it begins"),
        ({"name": ""}, "Give it a name"),
    ],
)
def test_what_cannot_be_reserved_keeps_the_form_with_a_sentence(
    database: Database, browser: Callable[..., FlaskClient], changes: dict[str, str], sentence: str
) -> None:
    account_id = opened(database)
    client = browser(staff="maker")
    address = f"/operator/accounts/{account_id}/reservations/new"
    answer = client.post(address, data=asked(Page(client.get(address)), step="check", **changes))
    assert answer.status_code == 422
    assert sentence in Page(answer).text


def test_a_tenant_sees_hours_and_utilisation_and_nobody_elses(
    app: Flask, database: Database, database_urls: DatabaseUrls, browser: Callable[..., FlaskClient]
) -> None:
    account_id = opened(database)
    reservation_id = reserve(database, account_id, wanted("8", starts_at=START, ends_at=START + 2 * HOUR), now=NOW)
    tell(database, account_id, Ran(10, at=START), Ran(2, at=START + HOUR), now=NOW)
    match(database, account_id, now=NOW)
    owner = browser("acme")
    assert "Training" in Page(owner.get("/plan")).text
    rows = Page(owner.get(f"/plan/reservations/{reservation_id}")).rows("hours-table")
    assert [row[1:] for row in rows] == [["2", "6", "0", "25.0%"], ["8", "0", "2", "100.0%"]]
    assert browser("other").get(f"/plan/reservations/{reservation_id}").status_code == 404
    answer = machine(app, database, "acme").get("/billing/reservations").json
    (one,) = answer["data"]
    assert (one["used"], one["unused"], one["utilisation_percent"], one["state"]) == ("10", "6", "62.5", "ended")
    done = CliRunner().invoke(
        main, ["reservations", "list", "--format", "json"], env={"DATABASE_URL": database_urls.web}
    )
    (listed,) = json.loads(done.stdout)
    assert (listed["capacity"], listed["utilisation_percent"], listed["account"]) == ("8", "62.5", "acme")


def test_the_commands_make_and_end_a_reservation(database: Database, database_urls: DatabaseUrls) -> None:
    opened(database)
    environment = {"DATABASE_URL": database_urls.web}
    facts = ["--account", "acme", "--name", "Training", "--meter", "gpu_hour", "--variant", "x900", "--capacity", "8"]
    made = [
        CliRunner().invoke(main, ["reservations", "create", *facts, "--from", "2030-01-01"], env=environment)
        for _ in range(2)
    ]
    assert [each.exit_code for each in made] == [0, 0], made[0].output
    assert made[0].stdout == made[1].stdout
    key = made[0].stdout.strip()
    done = CliRunner().invoke(
        main, ["reservations", "end", key, "--account", "acme", "--at", "2031-01-01"], env=environment
    )
    assert (done.exit_code, done.stdout) == (0, f"{key} ends at 2031-01-01T00:00:00Z\n")
    refused = CliRunner().invoke(
        main, ["reservations", "create", *facts[:-1], "0", "--from", "2030-01-01"], env=environment
    )
    assert (refused.exit_code, refused.stderr) == (1, "The capacity is a plain number above zero, such as 8 or 0.5.\n")
