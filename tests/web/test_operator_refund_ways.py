"""Refunds at the operators' desk beyond the card: transfers, what was made at the provider, limits of roles, cancelling."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.payments import acts, foreign_refunds, refund_authority, refunds
from billing.payments.providers.sandbox.refunds import CARD_THAT_ASKS
from billing.payments.refund_subjects import Payee
from billing.payments.refunds import RefundRow
from billing.payments.sessions import PaymentRow
from billing.storage.database import Database
from tests.service.payments.test_refund_transfers import transferred
from tests.service.payments.world import World
from tests.web import operators
from tests.web.operators import NOW, House, act
from tests.web.pages import Page

IBAN = "DE89370400440532013000"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    return House(app, database)


def bank_refund(house: House) -> RefundRow:
    """45.00 of a bank transfer of 50.00, approved."""
    account_id = house.account("calla")
    payment = transferred(World(database=house.database, customer=None, account_id=account_id, now=NOW))  # type: ignore[arg-type]
    with house.database.transaction() as session:
        asked = refunds.request(
            session,
            now=NOW,
            account_id=account_id,
            mode="bank",
            amount=operators.Money(minor=4_500, currency="USD"),
            reason="Paid twice",
            form_key="bank",
            actor=operators.ASKER,
            payment_id=payment.id,
            payee=Payee(name="Calla GmbH", iban=IBAN),
        )
    house.approve_refund(asked)
    return asked


def made_at_provider(house: House, minor: int = 1_500) -> tuple[PaymentRow, str]:
    """A top-up of 500.00 of which somebody refunded a part on the provider's pages; the case's id."""
    account_id = house.account("calla")
    payment = house.top_up(account_id, 50_000)
    house.sandbox.refund_by_hand(payment.provider_payment_id, minor, now=NOW)
    [seen] = house.sandbox.list_refunds(payment.provider_payment_id)
    with house.database.transaction() as session:
        case_id = foreign_refunds.note(session, now=NOW, provider="sandbox", payment_id=payment.id, facts=seen)
    return payment, case_id


def test_a_transfer_is_recorded_with_its_day_and_reference_once(
    browser: Callable[..., FlaskClient], house: House
) -> None:
    refund, maker = bank_refund(house), browser(staff="maker")
    url = f"/operator/refunds/{refund.id}"
    page = Page(maker.get(url))
    assert "Approved, waiting for the transfer" in page.text
    assert IBAN in page.text
    form = f"{url}/transfer/left"
    wrong = act(maker, form, transfer_on="2031-01-01", reference="OUT-7")
    assert (wrong.status_code, "The day must lie between" in Page(wrong).text) == (422, True)
    assert Page(wrong).form_values()["reference"] == "OUT-7"
    sent = [act(maker, form, transfer_on=NOW.date().isoformat(), reference="OUT-7") for _ in range(1)]
    assert [answer.status_code for answer in sent] == [303]
    page = Page(maker.get(url))
    assert ("The transfer has left the bank" in page.text, "Reference OUT-7" in page.text) == (True, True)
    back = act(maker, f"{url}/transfer/returned", returned_on=NOW.date().isoformat(), reason="Account closed")
    assert back.status_code == 303
    assert "The money came back and is in the wallet." in Page(maker.get(url)).text


def test_a_refund_made_at_the_provider_is_adopted_by_two_people(
    browser: Callable[..., FlaskClient], house: House
) -> None:
    _payment, case_id = made_at_provider(house)
    maker, approver = browser(staff="maker"), browser(staff="approver")
    assert "1 refund was made at the provider's own pages" in Page(maker.get("/operator/refunds")).text
    url = f"/operator/refunds/made-at-provider/{case_id}"
    assert Page(maker.get("/operator/refunds/made-at-provider")).rows("foreign")[0][-1] == "USD 15.00"
    refused = act(maker, f"{url}/adopt", reason="", invoice="")
    assert (refused.status_code, "Say why" in Page(refused).text) == (422, True)
    asked = act(maker, f"{url}/adopt", reason="Refunded by phone", invoice="")
    assert asked.status_code == 303
    case = Page(approver.get(asked.headers["Location"]))
    assert case.rows("effect-table")[1][0] == "On approval: it has left already"
    assert act(approver, f"{asked.headers['Location']}/approve").status_code == 303
    page = Page(approver.get(asked.headers["Location"]))
    assert [row[-1] for row in page.rows("beside-table")] == ["Yes"] * 5
    assert "Adopted" in Page(maker.get(url)).text


def test_a_limit_of_a_role_is_asked_for_allowed_and_applied(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    maker, approver = browser(staff="maker"), browser(staff="approver")
    change = "/operator/refunds/limits/change"
    values = {"role": "approver", "currency": "USD", "per_refund": "10.00", "per_day": "", "reason": "New staff"}
    wrong = act(maker, change, **{**values, "per_day": "1"})
    assert (wrong.status_code, "cannot be below the limit of one refund" in Page(wrong).text) == (422, True)
    asked = act(maker, change, **values)
    assert asked.status_code == 303
    assert act(approver, f"{asked.headers['Location']}/approve").status_code == 303
    page = Page(maker.get("/operator/refunds/limits"))
    assert page.rows("limits")[0][:4] == ["Approvers, in what they allow", "USD", "USD 10.00", "No limit"]
    account_id = house.account("calla")
    refund = house.ask_refund(account_id, house.top_up(account_id, 50_000), 1_001)
    refused = act(approver, f"/operator/refunds/{refund.id}/approve")
    assert (refused.status_code, "Your role may go up to" in Page(refused).text) == (403, True)
    with database.reading() as session:
        assert len(refund_authority.in_force(session)) == 1


def test_a_refund_that_waits_for_the_customer_is_cancelled_at_the_provider(
    browser: Callable[..., FlaskClient], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id, maker = house.account("calla"), browser(staff="maker")
    pay = house.sandbox.pay
    monkeypatch.setattr(house.sandbox, "pay", lambda *args, **more: pay(*args, **{**more, "last4": CARD_THAT_ASKS}))
    refund = house.ask_refund(account_id, house.top_up(account_id, 50_000), 1_000)
    house.approve_refund(refund)
    acts.send_refund(house.services.database, house.services.providers, now=NOW, refund_id=refund.id)
    url = f"/operator/refunds/{refund.id}"
    assert "The provider waits for details from the customer" in Page(maker.get(url)).text
    assert maker.post(f"{url}/again", data=Page(maker.get(url)).form_values()).status_code == 303
    assert maker.post(f"{url}/cancel", data=Page(maker.get(url)).form_values()).status_code == 303
    assert "The money never left and is back in the wallet." in Page(maker.get(url)).text
