"""Verify my statement: the page, the files, and that a stranger proves what was downloaded."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.storage.database import Database
from tests.service.assurance import bundles
from tests.service.invoicing import world
from tests.service.rating.world import Use
from tests.web.api.machines import machine, problem
from tests.web.pages import Page

Browser = Callable[..., FlaskClient]


def test_what_is_downloaded_is_proven_with_the_fingerprint_on_the_page(
    browser: Browser, database: Database, tmp_path: Path
) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(3_000, "red"), Use(2_000, "blue"))
    client = browser("calla")
    page = Page(client.get("/balance/verify"))
    fingerprint = page.text.split("--fingerprint ")[1].split()[0]
    assert len(fingerprint) == 64
    downloaded = client.get("/balance/bundle.zip")
    assert downloaded.headers["Content-Disposition"] == "attachment; filename=statement-calla-all.zip"
    assert client.get("/balance/bundle.zip").data == downloaded.data
    assert client.get("/balance/plumbline_verify.py").data == bundles.VERIFIER.read_bytes()
    status, said = bundles.run(tmp_path / "all", downloaded.data, "--fingerprint", fingerprint)
    assert (status, "2 rated lines" in said) == (0, True), said
    some = client.get("/balance/bundle.zip?from=2016-01-01&to=2016-01-31")
    assert "2016-01-01-to-2016-01-31" in some.headers["Content-Disposition"]
    status, said = bundles.run(tmp_path / "some", some.data, "--fingerprint", fingerprint)
    assert (status, "0 rated lines" in said) == (0, True), said


def test_an_account_without_a_transaction_has_nothing_to_prove(browser: Browser) -> None:
    client = browser("calla")
    assert "Nothing to prove yet" in Page(client.get("/balance/verify")).text
    assert client.get("/balance/bundle.zip").status_code == 409


def test_the_api_gives_the_same_file_and_says_when_nothing_is_new(
    app: Flask, database: Database, tmp_path: Path
) -> None:
    account_id = world.open_account(database)
    caller = machine(app, database, "calla")
    assert problem(caller.get("/billing/statement/bundle"))[:2] == (409, "nothing_signed")
    world.used(database, account_id, Use(3_000, "red"))
    first = caller.get("/billing/statement/bundle")
    assert first.mimetype == "application/zip"
    assert bundles.run(tmp_path, first.data)[0] == 2
    again = caller.get("/billing/statement/bundle", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    world.top_up(database, account_id, 500)
    later = caller.get("/billing/statement/bundle", headers={"If-None-Match": first.headers["ETag"]})
    assert later.status_code == 200
    backwards = {"from": "2026-11-01T00:00:00Z", "to": "2026-10-01T00:00:00Z"}
    refused = caller.get("/billing/statement/bundle", **backwards)
    assert problem(refused)[0] == 422


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_no_file_is_made_for_days_that_there_are_not(browser: Browser, database: Database) -> None:
    account_id = world.open_account(database)
    world.top_up(database, account_id, 100)
    client = browser("calla")
    for path in (
        "/balance/bundle.zip?from=2016-13-01",
        "/balance/statement.csv?to=yesterday",
        "/usage.csv?from=2016-02-30",
        "/usage.manifest.json?period=2016",
        "/usage/cost.csv?from=2016-02-01&to=2016-01-01",
    ):
        answer = client.get(path)
        assert answer.status_code == 422, path
        assert "Content-Disposition" not in answer.headers
        assert "No file was made" in answer.get_data(as_text=True)
