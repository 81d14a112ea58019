"""Refunds at the operators' desk: limits and effect before the decision, a second person, one effect of many clicks."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.accounts.tables import User
from billing.ledger import balances
from billing.payments import acts
from billing.payments.refunds import RefundRow
from billing.storage.database import Database
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import House, act
from tests.web.pages import Page


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    return House(app, database)


@pytest.fixture
def row(house: House) -> RefundRow:
    """45.00 of a payment of 500.00, asked for by the tenant."""
    account_id = house.account("calla", Use(10_000))
    return house.ask_refund(account_id, house.top_up(account_id, 50_000), 4_500, reason="Trial <b>ended</b> early")


def wallet_minor(database: Database, account_id: str) -> tuple[int, int]:
    """(wallet, held for refunds)."""
    with database.reading() as session:
        (usd,) = balances.of_account(session, account_id)
    return usd.wallet_minor, usd.refund_pending_minor


def user_id(database: Database, login: str) -> str:
    with database.reading() as session:
        return session.execute(select(User.id).where(User.login == login)).scalar_one()


def test_the_case_shows_limits_and_effect_before_anyone_decides(
    browser: Callable[..., FlaskClient], row: RefundRow
) -> None:
    page = Page(browser(staff="approver").get(f"/operator/refunds/{row.id}"))
    assert page.h1 == "Refund of USD 45.00"
    assert "Trial <b>ended</b> early" in page.text
    assert page.rows("effect-table") == [
        ["On approval", "Wallet", "Refunds held", "USD 45.00"],
        ["When the provider has sent it", "Refunds held", "Cash at the provider", "USD 45.00"],
    ]
    # Wallet 500.00, usage of 100.00 not invoiced yet.
    assert page.rows("after-table") == [["Wallet", "500.00", "455.00"], ["Balance", "400.00", "355.00"]]
    facts = {
        operators.words(row.find("dt")): operators.words(row.find("dd"))
        for row in page.root.iter("div")
        if row.find("dt") is not None
    }
    # A postpaid account: what was not invoiced yet does not bind the wallet.
    assert (facts["Left of the payment"], facts["At most"], facts["Asked for"]) == (
        "USD 500.00",
        "USD 500.00",
        "USD 45.00",
    )
    assert {"Approve", "Reject"} <= set(page.links())


def test_approval_holds_the_money_and_the_job_sends_it(
    browser: Callable[..., FlaskClient], house: House, database: Database, row: RefundRow
) -> None:
    client = browser(staff="approver")
    check = Page(client.get(f"/operator/refunds/{row.id}/approve"))
    assert check.h1 == "Check before approving"
    assert "Approve refund of USD 45.00" in check.text
    answer = act(client, f"/operator/refunds/{row.id}/approve", note="Seen the mail")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/operator/refunds/{row.id}")
    assert wallet_minor(database, row.billing_account_id) == (45_500, 4_500)
    held = house.refund(row.id)
    assert (held.state, held.decision_note, held.decided_by) == (
        "approved", "Seen the mail", user_id(database, "approver.owner@example.com"),
    )  # fmt: skip
    waiting = Page(client.get(f"/operator/refunds/{row.id}"))
    assert any(element.get("hx-trigger") for element in waiting.root.iter("div"))
    acts.send_approved_refunds(house.services.database, house.services.providers, now=operators.NOW)
    done = Page(client.get(f"/operator/refunds/{row.id}"))
    assert "The refund has arrived" in done.text
    assert not any(element.get("hx-trigger") for element in done.root.iter("div"))
    assert wallet_minor(database, row.billing_account_id) == (45_500, 0)


def test_two_clicks_and_two_tabs_approve_once(
    browser: Callable[..., FlaskClient], database: Database, row: RefundRow
) -> None:
    client = browser(staff="approver")
    url = f"/operator/refunds/{row.id}/approve"
    first_tab, second_tab = Page(client.get(url)).form_values(), Page(client.get(url)).form_values()
    answers = [client.post(url, data=form) for form in (first_tab, first_tab, second_tab)]
    assert [answer.status_code for answer in answers] == [303, 303, 303]
    assert wallet_minor(database, row.billing_account_id) == (45_500, 4_500)


def test_a_colleague_who_comes_second_is_told_so(
    browser: Callable[..., FlaskClient], house: House, row: RefundRow
) -> None:
    url = f"/operator/refunds/{row.id}"
    late, quick = browser(staff="admin"), browser(staff="approver")
    form = Page(late.get(f"{url}/reject")).form_values()
    act(quick, f"{url}/approve")
    answer = late.post(f"{url}/reject", data={**form, "note": "No"})
    assert answer.status_code == 409
    assert "decided before" in Page(answer).text
    assert house.refund(row.id).state == "approved"


def test_rejecting_needs_a_reason_and_posts_nothing(
    browser: Callable[..., FlaskClient], house: House, database: Database, row: RefundRow
) -> None:
    client = browser(staff="approver")
    url = f"/operator/refunds/{row.id}/reject"
    empty = act(client, url, note="  ")
    assert empty.status_code == 422
    assert "Say why" in Page(empty).text
    assert house.refund(row.id).state == "requested"
    assert act(client, url, note="Not what was agreed").status_code == 303
    rejected = house.refund(row.id)
    assert (rejected.state, rejected.decision_note) == ("rejected", "Not what was agreed")
    assert wallet_minor(database, row.billing_account_id) == (50_000, 0)


def test_nobody_decides_their_own_request_the_button_is_absent_and_the_server_refuses(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla")
    payment = house.top_up(account_id, 50_000)
    client = browser(staff="admin")
    own = house.ask_refund(account_id, payment, 1_000, actor=user_id(database, "admin.owner@example.com"))
    other = house.ask_refund(account_id, payment, 1_000, key="other")
    url = f"/operator/refunds/{own.id}"
    page = Page(client.get(url))
    assert not {"Approve", "Reject"} & set(page.links())
    assert "Somebody else must decide it" in page.text
    assert client.get(f"{url}/approve").status_code == 403
    # Sent all the same, with the form of a request that may be decided.
    form = Page(client.get(f"/operator/refunds/{other.id}/approve")).form_values()
    for name in ("approve", "reject"):
        answer = client.post(f"{url}/{name}", data={**form, "note": "mine"})
        assert answer.status_code == 409
        assert "Somebody else must decide" in Page(answer).text
    assert house.refund(own.id).state == "requested"
    assert wallet_minor(database, account_id) == (50_000, 0)


def test_what_may_no_longer_leave_is_refused_at_approval(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla")
    row = house.ask_refund(account_id, house.top_up(account_id, 10_000), 9_000)
    operators.world.used(database, account_id, Use(1_000_000))  # 10,000.00 of usage: billed below, paid from the wallet
    operators.world.issued(database, account_id)
    client = browser(staff="approver")
    page = Page(client.get(f"/operator/refunds/{row.id}"))
    assert "This is more than may leave now" in page.text
    answer = act(client, f"/operator/refunds/{row.id}/approve")
    assert answer.status_code == 409
    assert "USD 0.00 in the wallet can leave" in Page(answer).text
    assert house.refund(row.id).state == "requested"


def test_a_maker_asks_for_a_tenant_and_another_person_approves(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla")
    payment = house.top_up(account_id, 50_000)
    maker = browser(staff="maker")
    url = f"/operator/accounts/{account_id}/refund"
    filled = {"subject": f"payment:{payment.id}", "amount": "12.50", "reason": "Machine was down"}
    check = act(maker, url, step="check", **filled)
    page = Page(check)
    assert (check.status_code, page.h1) == (200, "Check the request")
    assert "Request refund of USD 12.50" in page.text
    answers = [maker.post(url, data={**page.form_values(), "step": "send"}) for _ in range(2)]
    locations = {answer.headers["Location"] for answer in answers}
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(locations) == 1
    location = locations.pop()
    assert maker.get(f"{location}/approve").status_code == 403
    assert act(browser(staff="approver"), f"{location}/approve").status_code == 303
    assert wallet_minor(database, account_id) == (48_750, 1_250)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": "1_000"}, "cannot be read"),
        ({"amount": "1e3"}, "cannot be read"),
        ({"amount": "\u0663"}, "cannot be read"),
        ({"amount": "12.345"}, "more decimals"),
        ({"amount": "0"}, "above zero"),
        ({"amount": "-5"}, "above zero"),
        ({"amount": "500.01"}, "USD 500.00 is left to refund"),
        ({"reason": ""}, "Say why"),
        ({"subject": "payment:pmt_of_another"}, "Not a valid choice"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_is_refused_with_its_form(
    browser: Callable[..., FlaskClient], house: House, change: dict[str, str], words: str
) -> None:
    account_id = house.account("calla")
    payment = house.top_up(account_id, 50_000)
    client = browser(staff="maker")
    filled = {"subject": f"payment:{payment.id}", "amount": "12.50", "reason": "Machine was down", **change}
    answer = act(client, f"/operator/accounts/{account_id}/refund", step="send", **filled)
    assert answer.status_code in (409, 422)
    assert words in Page(answer).text


def test_a_refund_as_credit_shows_and_makes_its_credit_note(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla", Use(10_000))
    invoice = operators.world.issued(database, account_id)
    maker = browser(staff="maker")
    url = f"/operator/accounts/{account_id}/refund"
    page = Page(act(maker, url, step="check", subject=f"invoice:{invoice.id}", amount="19.00", reason="Wrong price"))
    location = maker.post(url, data={**page.form_values(), "step": "send"}).headers["Location"]
    case = Page(maker.get(location))
    assert case.rows("effect-table") == [["On approval", "Revenue and VAT", "Receivable", "USD 19.00"]]
    assert act(browser(staff="approver"), f"{location}/approve").status_code == 303
    with database.reading() as session:
        (usd,) = balances.of_account(session, account_id)
    assert (usd.receivable_minor, usd.wallet_minor) == (-10_000, 0)  # 119.00 less 19.00
    assert "CN-" in Page(maker.get(f"/operator/invoices/{invoice.id}")).text


def test_the_queue_is_filtered_by_state_and_its_part_stands_alone(
    browser: Callable[..., FlaskClient], row: RefundRow
) -> None:
    client = browser(staff="viewer")
    page = Page(client.get("/operator/refunds"))
    assert [cells[-1] for cells in page.rows("refunds")] == ["USD 45.00"]
    assert Page(client.get("/operator/refunds?state=succeeded")).text.count("No requests here") == 1
    assert "left out" in Page(client.get("/operator/refunds?state=nonsense")).text
    part = Page(client.get("/operator/refunds?state=requested", headers={"HX-Request": "true"}), is_partial=True)
    assert [root.get("id") for root in part.root] == ["refund-list"]
    assert not {"Approve", "Reject"} & set(Page(client.get(f"/operator/refunds/{row.id}")).links())
