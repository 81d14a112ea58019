"""Disputes at the operators' desk: evidence by form, what it refuses and keeps, a last look before sending, and who may do it."""

import io
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.payments.disputes import acts, evidence, listing
from billing.payments.disputes.evidence import Draft
from billing.payments.disputes.listing import DisputeRow
from billing.storage.database import Database
from tests.web import operators
from tests.web.operators import House, act
from tests.web.pages import Page

NOW = operators.NOW
PDF = b"%PDF-1.7 what the customer signed"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def row(app: Flask, database: Database) -> DisputeRow:
    """A top-up of 50.00 of calla that its bank has asked back."""
    house = House(app, database)
    account_id = house.account("calla")
    payment = house.top_up(account_id, 5_000)
    house.sandbox.open_dispute(payment.provider_payment_id, now=NOW)
    acts.find_untold(database, {house.sandbox.name: house.sandbox}, now=NOW)
    with database.reading("jobs") as session:
        [found] = listing.list_disputes(session, listing.Filters(account_id=account_id))
    return found


def draft(database: Database, row: DisputeRow) -> Draft:
    with database.reading("jobs") as session:
        return evidence.get_draft(session, row.id)


def test_a_case_says_the_reason_in_words_and_leads_to_its_payment(
    browser: Callable[..., FlaskClient], row: DisputeRow
) -> None:
    maker = browser(staff="maker")
    listed = Page(maker.get("/operator/disputes"))
    assert "The cardholder says that they did not make the payment" in listed.text
    case = Page(maker.get(f"/operator/disputes/{row.id}"))
    [payment] = [url for _, url in case.addresses() if url.startswith("/operator/payments/pay_")]
    assert Page(maker.get(payment)).h1 == "Top-up of USD 50.00"


def test_a_file_is_kept_under_its_own_name_and_only_what_is_there_is_taken_out(
    browser: Callable[..., FlaskClient], database: Database, row: DisputeRow
) -> None:
    maker, url = browser(staff="maker"), f"/operator/disputes/{row.id}/evidence"
    values = Page(maker.get(url)).form_values()
    sent = {**values, "step": "save", "field": "receipt", "text-uncategorized_text": "Used <b>daily</b>."}
    for content, status in ((b"MZ", 422), (b"", 422), (PDF, 303)):
        answer = maker.post(url, data={**sent, "file": (io.BytesIO(content), "..\\..\\secret/receipt.pdf")})
        assert answer.status_code == status, answer.text
        if status == 422:
            assert "Used &lt;b&gt;daily&lt;/b&gt;." in answer.text
            assert draft(database, row).is_empty
    kept = draft(database, row)
    assert ([file.name for file in kept.files], kept.texts["uncategorized_text"]) == (
        ["receipt.pdf"],
        "Used <b>daily</b>.",
    )
    assert act(maker, url, step="remove:nonsense").status_code == 422
    assert act(maker, url, step="save", version="1").status_code == 409
    assert len(draft(database, row).files) == 1
    file = f"/operator/disputes/{row.id}/files/{kept.files[0].id}"
    assert "attachment; filename=receipt.pdf" in maker.get(file).headers["Content-Disposition"]
    assert maker.get(file.replace(row.id, "dsp_other")).status_code == 404
    assert act(maker, url, step="remove:receipt").status_code == 303
    assert draft(database, row).files == ()


def test_only_who_may_answer_does_and_what_was_shown_is_what_leaves(
    browser: Callable[..., FlaskClient], database: Database, row: DisputeRow
) -> None:
    maker, url = browser(staff="maker"), f"/operator/disputes/{row.id}"
    assert (
        act(maker, f"{url}/evidence", **{"step": "save", "text-uncategorized_text": "Used daily."}).status_code == 303
    )
    viewer, tenant = browser(staff="viewer"), browser("dahlia")
    assert viewer.get(url).status_code == 200
    for page in ("evidence", "submit", "accept"):
        assert viewer.get(f"{url}/{page}").status_code == 403
        assert tenant.get(f"{url}/{page}").status_code == 404
    assert tenant.get(f"/disputes/{row.id}").status_code == 404
    assert act(maker, f"{url}/submit").status_code == 422
    assert act(maker, f"{url}/submit", sha256="0" * 64, is_checked="y").status_code == 409
    form = Page(maker.get(f"{url}/submit")).form_values() | {"is_checked": "y"}
    assert [maker.post(f"{url}/submit", data=form).status_code for _ in range(2)] == [303, 303]
    assert "Evidence submitted" in Page(maker.get(url)).text
    assert maker.get(f"{url}/accept").status_code == 303
