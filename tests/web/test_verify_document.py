"""The public page: genuine or not, in the same words whatever is wrong, and nothing about anybody."""

import hashlib
import io

import pytest
from flask import Flask

from billing.invoicing.documents import fingerprints
from billing.storage.database import Database
from tests.web.pages import Page

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the look-up is proved on both
PDF = b"%PDF-1.7 what we issued"
SHA256 = hashlib.sha256(PDF).hexdigest()


@pytest.fixture
def issued(database: Database) -> None:
    with database.transaction("jobs") as session:
        fingerprints.record(session, number="INV-2026-000007", sha256=SHA256)


def ask(app: Flask, **values: object) -> Page:
    client = app.test_client()
    form = Page(client.get("/documents/verify")).form_values()
    answer = client.post("/documents/verify", data={**form, **values}, content_type="multipart/form-data")
    return Page(answer)


@pytest.mark.usefixtures("issued")
def test_the_file_as_it_was_issued_is_genuine_by_itself_and_by_its_hash(app: Flask) -> None:
    for values in (
        {"file": (io.BytesIO(PDF), "invoice.pdf")},
        {"sha256": SHA256},
        {"sha256": f" {SHA256.upper()} "},
    ):
        page = ask(app, number="INV-2026-000007", **values)
        assert (page.status, "Genuine" in page.text, "Not genuine" in page.text) == (200, True, False)


@pytest.mark.usefixtures("issued")
def test_an_unknown_number_and_a_wrong_file_are_answered_in_the_same_words(app: Flask) -> None:
    wrong_file = ask(app, number="INV-2026-000007", file=(io.BytesIO(PDF + b"."), "invoice.pdf"))
    wrong_number = ask(app, number="INV-2026-000008", sha256=SHA256)
    said = wrong_number.text.replace("INV-2026-000008", "INV-2026-000007")
    assert "Not genuine" in wrong_file.text
    assert (wrong_file.status, wrong_number.status) == (200, 200)
    assert wrong_file.text.replace("invoice.pdf", "") == said.replace(SHA256, "")


def test_bad_input_keeps_the_form_and_says_what_to_do(app: Flask) -> None:
    for values, words in (
        ({"number": "", "sha256": SHA256}, "Enter the number as it is printed"),
        ({"number": "INV-1"}, "Choose the file, or enter its SHA-256 below."),
        ({"number": "INV-1", "sha256": "zz"}, "64 characters"),
        ({"number": "N" * 81, "sha256": SHA256}, "At most 80 characters."),
        ({"number": "INV-1", "sha256": "é" * 64}, "64 characters"),
    ):
        page = ask(app, **values)
        assert (page.status, page.h1) == (422, "Is this document genuine?")
        assert words in page.text


def test_a_network_that_asks_too_often_is_slowed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    few = fingerprints.limits.Policy(name="verify_document", limit=2, window_s=900)
    monkeypatch.setattr(fingerprints, "PER_ADDRESS", few)
    statuses = [ask(app, number="INV-1", sha256=SHA256).status for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_the_number_of_the_printed_address_is_filled_in(app: Flask) -> None:
    page = Page(app.test_client().get("/documents/verify?number=INV-2026-000007"))
    assert page.form_values()["number"] == "INV-2026-000007"
