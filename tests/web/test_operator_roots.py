"""Integrity: how far the books are held by signed roots, the list of them, their files, and signing one by hand."""

from collections.abc import Callable

from flask import Flask
from flask.testing import FlaskClient

from billing.jobs import runner
from billing.ledger import root_files
from billing.storage.database import Database
from portal.services import Services
from tests.service.invoicing import world
from tests.web.pages import Page
from tests.web.test_operator_desk import token

Browser = Callable[..., FlaskClient]
URL = "/operator/integrity/roots"


def test_a_root_is_signed_by_hand_listed_and_taken_away(app: Flask, browser: Browser, database: Database) -> None:
    world.top_up(database, world.open_account(database), 500)
    client = browser(staff="maker")
    assert "No root is signed yet" in Page(client.get(URL)).text
    sent = token(client, URL)
    signed = Page(client.post(f"{URL}/sign", data=sent, follow_redirects=True))
    assert "Root number 1 was signed." in signed.text
    again = Page(client.post(f"{URL}/sign", data=sent, follow_redirects=True))
    assert "Nothing is new" in again.text
    services: Services = app.extensions["plumbline"]
    folder = services.config.keeping().folder
    downloaded = client.get(f"{URL}/1.json")
    assert downloaded.data == (folder / root_files.name_of(1)).read_bytes()
    for absent in ("0", "2", "9" * 19, "9" * 23):
        assert client.get(f"{URL}/{absent}.json").status_code == 404
    overview = Page(client.get("/operator/integrity")).text
    assert "Number 1" in overview
    (folder / root_files.name_of(1)).unlink()
    assert "1 file is missing" in Page(client.get(URL)).text


def test_the_chains_and_the_roots_are_checked_as_works(app: Flask, browser: Browser, database: Database) -> None:
    world.top_up(database, world.open_account(database), 500)
    services: Services = app.extensions["plumbline"]
    keeping = services.config.keeping
    client = browser(staff="maker")
    client.post(f"{URL}/sign", data=token(client, URL))
    next(keeping().folder.iterdir()).unlink()
    for kind, expected in (("verify", "Nothing contradicts anything else"), ("roots", "1 difference was found")):
        sent = token(client, "/operator/integrity") | {"kind": kind, "form_key": kind}
        location = client.post("/operator/integrity/works", data=sent).headers["Location"]
        runner.run_job(database, {}, "works", now=world.NOW, keeping=keeping)
        assert expected in Page(client.get(location)).text


def test_who_may_only_read_signs_nothing(browser: Browser, database: Database) -> None:
    client = browser(staff="viewer")
    assert "Sign a root now" not in Page(client.get(URL)).text
    assert client.post(f"{URL}/sign", data=token(client, "/operator/integrity")).status_code == 403
