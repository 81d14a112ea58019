"""Approvals in the operators' pages: what waits, what it would do, and a decision by somebody else, bound to what was shown."""

from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from billing.accounts import users
from billing.kernel.money import Money
from billing.ledger import adjustments, balances, periods, statement
from billing.storage.database import Database, DatabaseUrls, owner_engine
from tests.service.ledger import books
from tests.web import operators
from tests.web.operators import NOW, House, act
from tests.web.pages import Page

Browser = Callable[..., FlaskClient]
# What the page does is the same on both; what the engines must hold is tested below it.
ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    return House(app, database)


@pytest.fixture
def account_id(house: House) -> str:
    """An account with 500.00 in its wallet."""
    account_id = house.account("calla")
    house.top_up(account_id, 50_000)
    return account_id


@pytest.fixture
def maker(browser: Browser) -> FlaskClient:
    return browser(staff="maker")


def ask(database: Database, account_id: str, minor: int = 15_000, pair: str = "gift", login: str = "maker") -> str:
    """A request of a person who signs in already; its id."""
    with database.transaction() as session:
        person = users.find_user_by_login(session, f"{login}.owner@example.com")
        assert person is not None
        return adjustments.request(
            session,
            now=NOW,
            account_id=account_id,
            pair_code=pair,
            amount=Money(minor=minor, currency="USD"),
            maker=person.id,
            reason="Storage was <slow>",
        ).id


def held(database: Database, account_id: str) -> tuple[int, int]:
    """(wallet, gifts) in cents."""
    with database.reading() as session:
        (usd,) = balances.of_account(session, account_id)
    return usd.wallet_minor, usd.promo_minor


def test_a_credit_is_asked_for_checked_and_approved_by_another(
    browser: Browser, database: Database, maker: FlaskClient, account_id: str
) -> None:
    url = f"/operator/accounts/{account_id}/credit"
    check = act(maker, url, step="check", pair="gift", amount="150.00", reason="Storage was slow")
    page = Page(check)
    assert (check.status_code, page.h1) == (200, "Check the request")
    assert "Ask for gift of USD 150.00" in page.text
    assert page.rows("effect-table") == [["Gift", "Gifts given", "Gifts", "USD 150.00"]]
    assert page.rows("after-table") == [
        ["Gifts", "USD 0.00", "USD 150.00"],
        ["Balance", "USD 500.00", "USD 650.00"],
    ]
    answers = [maker.post(url, data={**page.form_values(), "step": "send"}) for _ in range(2)]
    assert len({answer.headers["Location"] for answer in answers}) == 1  # two clicks are one request
    location = answers[0].headers["Location"]
    own = Page(maker.get(location))
    assert ("Waits for another person" in own.text, "Withdraw" in own.text) == (True, True)
    assert maker.get(f"{location}/approve").status_code == 403
    checker = browser(staff="approver")
    case = Page(checker.get(location))
    assert (case.h1, {"Approve", "Reject"} <= set(case.links())) == ("Gift of USD 150.00", True)
    assert held(database, account_id) == (50_000, 0)
    form = Page(checker.get(f"{location}/approve"))
    assert "Approve gift of USD 150.00" in form.text
    done = [checker.post(f"{location}/approve", data=form.form_values()) for _ in range(2)]
    assert [answer.headers["Location"] for answer in done] == [location, location]
    assert held(database, account_id) == (50_000, 15_000)
    after = Page(checker.get(location))
    assert ("Posted as" in after.text, "Approved" in after.text, "Approve" in after.links()) == (True, True, False)
    posted = next(href for words, href in after.links().items() if words.startswith("txn_"))
    assert Page(checker.get(posted)).rows("entries-table") == [["Gift", "Gifts given", "Gifts", "USD 150.00"]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": "1_000"}, "cannot be read"),
        ({"amount": "0"}, "above zero"),
        ({"reason": " "}, "Say why"),
        ({"pair": "loan"}, "Not a valid choice"),
        ({"pair": "wallet_debit", "amount": "500.01"}, "USD 500.00 stands in the wallet"),
        ({"pair": "gift_back"}, "USD 0.00 stands in the promo"),
        ({"currency_code": "EUR"}, "Not a valid choice"),
    ],
)  # fmt: skip
@ONE_ENGINE
def test_a_credit_that_cannot_be_is_refused_with_its_form(
    maker: FlaskClient, account_id: str, change: dict[str, str], words: str
) -> None:
    filled = {"pair": "gift", "amount": "12.50", "reason": "Machine was down", "currency_code": "USD", **change}
    for step in ("check", "send"):
        answer = act(maker, f"/operator/accounts/{account_id}/credit", step=step, **filled)
        assert answer.status_code in (409, 422)
        page = Page(answer)
        assert words in page.text
        assert page.form_values()["amount"] == filled["amount"]


@ONE_ENGINE
def test_a_transaction_is_reversed_by_two_people(
    browser: Browser, database: Database, maker: FlaskClient, account_id: str
) -> None:
    with database.reading() as session:
        paid = statement.movements(session, account_id=account_id).rows[0].transaction_id
    at_provider = f"/operator/accounts/{account_id}/transactions/{paid}"
    assert "Reverse this transaction" not in Page(maker.get(at_provider)).links()
    refused = maker.get(f"{at_provider}/reverse")
    assert (refused.status_code, "a refund gives the money back" in Page(refused).text) == (409, True)
    with database.transaction() as session:
        given = books.post(session, account_id, "goodwill", books.entry("adjustment", "bad_debt", "wallet", 20_000))
    url = f"/operator/accounts/{account_id}/transactions/{given.transaction_id}"
    assert "Reverse this transaction" in Page(maker.get(url)).links()
    empty = act(maker, f"{url}/reverse")
    assert (empty.status_code, "Say why" in Page(empty).text) == (422, True)
    page = Page(maker.get(f"{url}/reverse"))
    assert "Ask for reversal of USD 200.00" in page.text
    assert page.rows("after-table")[0] == ["Wallet", "USD 700.00", "USD 500.00"]
    location = act(maker, f"{url}/reverse", reason="Booked to the wrong tenant").headers["Location"]
    waiting = Page(maker.get(url))
    assert ("A reversal is asked for" in waiting.text, "Reverse this transaction" in waiting.links()) == (True, False)
    late = act(maker, f"{url}/reverse", reason="Again")
    assert (late.status_code, "waits for a second person" in Page(late).text) == (409, True)
    checker = browser(staff="approver")
    assert "Reverse this transaction" not in Page(checker.get(url)).links()
    assert checker.get(f"{url}/reverse").status_code == 403
    assert act(checker, f"{location}/approve").status_code == 303
    assert held(database, account_id) == (50_000, 0)
    assert "This was reversed" in Page(maker.get(url)).text
    gone = maker.get(f"{url}/reverse")
    assert (gone.status_code, "reversed already" in Page(gone).text) == (409, True)


@ONE_ENGINE
def test_nobody_decides_their_own_request_whatever_the_page_showed(
    browser: Browser, database: Database, account_id: str
) -> None:
    client = browser(staff="admin")
    browser(staff="maker")
    own, other = ask(database, account_id, login="admin"), ask(database, account_id)
    url = f"/operator/approvals/{own}"
    assert not {"Approve", "Reject"} & set(Page(client.get(url)).links())
    assert client.get(f"{url}/approve").status_code == 403
    form = Page(client.get(f"/operator/approvals/{other}/approve")).form_values()
    for name in ("approve", "reject"):
        answer = client.post(f"{url}/{name}", data={**form, "note": "mine"})
        assert (answer.status_code, "Somebody else must decide" in Page(answer).text) == (409, True)
    assert held(database, account_id) == (50_000, 0)


@ONE_ENGINE
def test_a_forged_hash_is_a_conflict_that_shows_what_stands(
    browser: Browser, database: Database, maker: FlaskClient, account_id: str, house: House
) -> None:
    approval_id = ask(database, account_id)
    refund = house.ask_refund(account_id, house.top_up(account_id, 10_000, key="second"), 1_000)
    client = browser(staff="approver")
    for url in (f"/operator/approvals/{approval_id}/approve", f"/operator/refunds/{refund.id}/approve"):
        for forged in ("", "0" * 64, "<b>"):
            answer = act(client, url, content_hash=forged)
            page = Page(answer)
            assert (answer.status_code, "not what the page showed" in page.text) == (409, True)
            assert page.form_values()["content_hash"] not in ("", forged)  # what is on the page now can be approved
    assert held(database, account_id) == (60_000, 0)
    assert house.refund(refund.id).state == "requested"
    assert client.post(url, data=page.form_values()).status_code == 303


@pytest.mark.tampers
@ONE_ENGINE
def test_an_altered_request_says_so_and_can_only_be_rejected(
    browser: Browser, database: Database, database_urls: DatabaseUrls, maker: FlaskClient, account_id: str
) -> None:
    approval_id = ask(database, account_id)
    engine = owner_engine(database_urls)
    with engine.begin() as owner:
        owner.execute(text("UPDATE approvals SET content = replace(content, '15000', '99000')"))
    engine.dispose()
    client = browser(staff="approver")
    url = f"/operator/approvals/{approval_id}"
    page = Page(client.get(url))
    assert ("was altered after it was made" in page.text, "Approve" in page.links()) == (True, False)
    answer = act(client, f"{url}/approve")
    assert (answer.status_code, "was altered" in Page(answer).text) == (409, True)
    assert act(client, f"{url}/reject", note="Altered").status_code == 303
    assert held(database, account_id) == (50_000, 0)


@ONE_ENGINE
def test_a_second_decision_is_told_what_the_first_was(
    browser: Browser, database: Database, maker: FlaskClient, account_id: str
) -> None:
    url = f"/operator/approvals/{ask(database, account_id)}"
    late, quick = browser(staff="admin"), browser(staff="approver")
    form = Page(late.get(f"{url}/approve")).form_values()
    assert act(quick, f"{url}/reject").status_code == 422  # a rejection needs its reason
    assert act(quick, f"{url}/reject", note="Not agreed").status_code == 303
    answer = late.post(f"{url}/approve", data=form)
    assert (answer.status_code, "decided before: it is rejected" in Page(answer).text) == (409, True)
    assert late.get(f"{url}/approve").status_code == 303
    page = Page(late.get(url))
    assert ("Not agreed" in page.text, "Nothing was posted." in page.text) == (True, True)
    assert held(database, account_id) == (50_000, 0)


@ONE_ENGINE
def test_the_maker_withdraws_and_others_cannot(
    browser: Browser, database: Database, maker: FlaskClient, account_id: str, house: House
) -> None:
    client = browser(staff="admin")
    approval_id = ask(database, account_id)
    url = f"/operator/approvals/{approval_id}"
    token = {"csrf_token": Page(client.get(f"{url}/reject")).form_values()["csrf_token"]}
    other = client.post(f"{url}/withdraw", data=token)
    assert (other.status_code, "Only the person who asked" in Page(other).text) == (409, True)
    form = Page(maker.get(url)).form_values()
    assert [maker.post(f"{url}/withdraw", data=form).status_code for _ in range(2)] == [303, 303]
    assert "Withdrawn" in Page(client.get(url)).text
    assert client.get(f"{url}/reject").status_code == 303


@ONE_ENGINE
def test_a_reopened_month_shows_what_it_is_and_needs_two(
    browser: Browser, database: Database, maker: FlaskClient, account_id: str
) -> None:
    with database.transaction("jobs") as session:
        seller_id = periods.list_periods(session)[0].seller_id
        person = users.find_user_by_login(session, "maker.owner@example.com")
        assert person is not None
        periods.close(session, now=NOW, seller_id=seller_id, month_label="2026-09", actor="finance")
        approval_id = periods.request_reopening(
            session, now=NOW, seller_id=seller_id, month_label="2026-09", maker=person.id, reason="A late statement"
        ).id
    client = browser(staff="approver")
    page = Page(client.get(f"/operator/approvals/{approval_id}"))
    assert (page.h1, "September 2026" in page.text) == ("Reopening of September 2026", True)
    assert "Approve reopening of September 2026" in Page(client.get(f"/operator/approvals/{approval_id}/approve")).text
    assert act(client, f"/operator/approvals/{approval_id}/approve").status_code == 303
    with database.reading() as session:
        assert {row.month: row.state for row in periods.list_periods(session)}["2026-09"] == "open"


def test_the_queue_is_filtered_and_leads_to_each_case(
    browser: Browser, database: Database, maker: FlaskClient, account_id: str, house: House
) -> None:
    approval_id = ask(database, account_id)
    refund = house.ask_refund(account_id, house.top_up(account_id, 10_000, key="second"), 1_000)
    client = browser(staff="viewer")
    page = Page(client.get("/operator/approvals"))
    assert [cells[-1] for cells in page.rows("approvals")] == ["USD 150.00", "USD 10.00"]
    assert "Storage was <slow>" in page.text
    cards = Page(client.get("/operator/approvals?act=refund.card"))
    assert [cells[-1] for cells in cards.rows("approvals")] == ["USD 10.00"]
    assert client.get(cards.links()["Refund to the card"]).headers["Location"] == f"/operator/refunds/{refund.id}"
    assert "No requests here" in Page(client.get("/operator/approvals?state=expired")).text
    assert len(Page(client.get("/operator/approvals?state=all")).rows("approvals")) == 2
    assert Page(client.get("/operator/approvals?state=nonsense&act=x&page=0")).text.count("left out") == 2
    part = Page(client.get("/operator/approvals", headers={"HX-Request": "true"}), is_partial=True)
    assert [root.get("id") for root in part.root] == ["approval-list"]
    detail = Page(client.get(f"/operator/approvals/{approval_id}"))
    assert not {"Approve", "Reject"} & set(detail.links())
    assert client.get(f"/operator/approvals/{approval_id}/approve").status_code == 403
    assert client.get("/operator/approvals/apr_none").status_code == 404


@ONE_ENGINE
def test_a_request_whose_time_is_over_says_so_before_the_job_has_marked_it(
    browser: Browser, database: Database, maker: FlaskClient, account_id: str
) -> None:
    approval_id = ask(database, account_id)
    with time_machine.travel(NOW.replace(month=12, day=30), tick=True):
        client = browser(staff="approver")
        page = Page(client.get(f"/operator/approvals/{approval_id}"))
        assert ("Nobody decided this in time" in page.text, "Approve" in page.links()) == (True, False)
        assert client.get(f"/operator/approvals/{approval_id}/approve").status_code == 303
        assert "Over" in Page(client.get("/operator/approvals")).text
