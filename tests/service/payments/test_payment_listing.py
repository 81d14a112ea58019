"""What the provider's own list shows: charged and no word of it, nobody's money, money that contradicts; and what two people do."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from billing.accounts.access_tables import Approval
from billing.controls import second_person
from billing.kernel.errors import Conflict, Invalid, Refusal
from billing.payments.errors import NotPayable
from billing.payments.recovery import cases, linking, listing, session_list, unmatched
from billing.payments.recovery.session_list import Filters
from billing.payments.recovery.unmatched import UnmatchedRow
from billing.payments.tables import PaymentSession
from billing.storage.database import Database
from tests.service.payments.world import ASKER, DECIDER, StripeCustomer, World
from tests.staff import MAKER, hire

StripeWorld = tuple[World, StripeCustomer]


def read(world: World) -> int:
    return listing.read_payments(world.database, world.providers, now=world.now)


def found(world: World, state: str | None = "open") -> list[UnmatchedRow]:
    with world.database.reading("jobs") as session:
        return unmatched.list_rows(session, state=state)


def foreign(customer: StripeCustomer, amount: int = 4200, **more: Any) -> str:
    """A payment that another system has taken through the same account of the provider."""
    import stripe

    client = stripe.StripeClient("sk_test_peer", base_addresses={"api": customer.peer.url})
    params: Any = {
        "amount": amount, "currency": more.pop("currency", "usd"), "payment_method": "pm_card_visa", "confirm": True,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    } | more  # fmt: skip
    return client.v1.payment_intents.create(params).id


def ask(world: World, row: UnmatchedRow, **more: Any) -> Approval:
    with world.database.transaction() as session:
        hire(session, MAKER, role="maker")
        return linking.request(
            session,
            now=world.now,
            unmatched_id=row.id,
            account_id=more.pop("account_id", world.account_id),
            invoice_number=more.pop("invoice_number", None),
            maker=MAKER,
            reason="Their mail of Monday",
        )


def approve(world: World, asked: Approval, checker: str = DECIDER) -> None:
    with world.database.transaction() as session:
        second_person.approve(
            session, now=world.now, approval_id=asked.id, content_hash=asked.content_hash, checker=checker
        )


def test_charged_but_no_webhook_is_credited_by_the_list_even_when_we_had_given_up(world: World) -> None:
    row = world.start()
    world.customer.pay(row)  # and nothing arrives
    with world.database.transaction() as session:
        item = session.get_one(PaymentSession, row.id)
        item.state, item.failure, item.provider_session_id = "failed", "never_reached_provider", None
    world.later(minutes=59)
    assert read(world) == 1
    assert (world.session(row).state, world.held("wallet")) == ("paid", 5000)
    assert read(world) == 0
    assert (found(world), len(world.payments())) == ([], 1)


def test_a_payment_without_our_reference_is_found_once_and_credited_to_nobody(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    world.top_up(1000)
    payment_id = foreign(customer)
    world.later(minutes=10)
    assert read(world) == 1
    [row] = found(world)
    assert (row.kind, row.provider_payment_id, row.amount_minor) == ("foreign", payment_id, 4200)
    assert (row.reference, row.account_id) == (None, None)
    world.later(minutes=10)
    assert read(world) == 0
    assert [one.id for one in found(world)] == [row.id]
    assert world.held("wallet") == 1000


def test_a_reference_of_ours_without_a_row_is_an_orphan(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    foreign(customer, metadata={"plumbline_id": "pay_lost_with_a_backup"})
    world.later(minutes=10)
    assert read(world) == 1
    assert [(row.kind, row.reference) for row in found(world)] == [("orphan", "pay_lost_with_a_backup")]


def test_a_payment_that_contradicts_its_session_waits_for_people_and_ends_when_it_is_credited(
    stripe_world: StripeWorld,
) -> None:
    world, customer = stripe_world
    row = world.start()
    customer.pay(row)
    with customer.peer.playing() as objects:
        objects.all("checkout.session")[0]["amount_total"] = 4999
    world.later(minutes=10)
    assert read(world) == 1
    [finding] = found(world)
    assert (finding.kind, finding.reason, finding.session_id) == ("uncredited", "amount_mismatch", row.id)
    assert finding.account_id == world.account_id
    assert (world.session(row).failure, world.held("wallet")) == ("mismatch:amount_mismatch", 0)
    with customer.peer.playing() as objects:
        objects.all("checkout.session")[0]["amount_total"] = 5000
    world.later(minutes=10)
    assert read(world) == 1
    assert world.held("wallet") == 5000
    [ended] = found(world, state="credited")
    assert (ended.id, ended.payment_id) == (finding.id, world.payments()[0].id)


def test_money_of_the_other_mode_and_what_is_not_paid_are_passed_over(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment_id = foreign(customer)
    world.start()
    with customer.peer.playing() as objects:
        objects.by_id[payment_id]["livemode"] = True
    world.later(minutes=10)
    assert read(world) == 0
    assert found(world) == []


def test_a_list_of_many_pages_is_read_to_its_end(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    with customer.peer.playing() as objects:
        first = objects.by_id[foreign_in(objects, customer)]
        for number in range(250):
            objects.by_id[f"pi_more_{number}"] = first | {"id": f"pi_more_{number}", "_seq": number}
    world.later(minutes=10)
    assert read(world) == 251
    with world.database.reading("jobs") as session:
        assert unmatched.count_rows(session)[0] == 251
        [row] = unmatched.list_listings(session)
    assert (row.read_count, row.found_count) == (251, 251)


def foreign_in(objects: Any, customer: StripeCustomer) -> str:
    """As `foreign`, without the network: the peer is held."""
    from tests.peers.stripe import payment_intents

    made = payment_intents.create(
        objects._account,
        {
            "amount": "100", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
            "automatic_payment_methods": {"enabled": "true", "allow_redirects": "never"},
        },
    )  # fmt: skip
    return str(made["id"])


def test_a_provider_that_is_down_is_read_from_the_same_place_the_next_time(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    foreign(customer)
    world.later(minutes=10)
    customer.peer.fail_next("error_500", "/v1/payment_intents")
    assert read(world) == 0
    with world.database.reading("jobs") as session:
        assert unmatched.list_listings(session) == []
    assert read(world) == 1


def test_two_people_give_a_payment_to_an_account_once(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment_id = foreign(customer)
    world.later(minutes=10)
    read(world)
    [row] = found(world)
    asked = ask(world, row)
    with pytest.raises(Refusal):
        approve(world, asked, checker=MAKER)
    assert world.held("wallet") == 0
    approve(world, asked)
    assert world.held("wallet") == 4200
    [payment] = world.payments()
    assert (payment.provider_payment_id, payment.amount_minor) == (payment_id, 4200)
    [ended] = found(world, state="credited")
    assert (ended.payment_id, ended.ended_by) == (payment.id, DECIDER)
    world.later(minutes=10)
    assert read(world) == 0
    assert world.held("wallet") == 4200
    with pytest.raises(Conflict):
        ask(world, row)
    compared = cases.look(world.database, world.provider, session_id=str(payment.session_id))
    assert compared.verdict == "same"


def test_what_was_given_back_or_disputed_there_is_given_to_nobody(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment_id = foreign(customer)
    world.later(minutes=10)
    read(world)
    asked = ask(world, found(world)[0])
    with customer.peer.playing() as objects:
        objects.create_refund({"payment_intent": payment_id, "amount": "100"})
    world.later(minutes=10)
    read(world)
    assert found(world)[0].is_given_back
    with pytest.raises(Refusal):
        approve(world, asked)
    assert (world.held("wallet"), world.payments()) == (0, [])


def test_a_payment_in_another_currency_or_of_an_unknown_invoice_is_refused(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    foreign(customer, currency="eur")
    foreign(customer)
    world.later(minutes=10)
    read(world)
    rows = {row.currency: row for row in found(world)}
    with pytest.raises(Invalid) as refusal:
        ask(world, rows["EUR"])
    assert refusal.value.fields["reason"] == "currency_mismatch"
    with pytest.raises((Invalid, NotPayable)):
        ask(world, rows["USD"], invoice_number="INV-0")


def test_one_that_is_not_ours_is_closed_with_a_reason(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    foreign(customer)
    world.later(minutes=10)
    read(world)
    [row] = found(world)
    with world.database.transaction() as session, pytest.raises(Invalid):
        unmatched.close(session, now=world.now, key=row.id, reason=" ", actor=ASKER)
    with world.database.transaction() as session:
        unmatched.close(session, now=world.now, key=row.id, reason="The web shop's", actor=ASKER)
    world.later(minutes=10)
    assert read(world) == 0
    assert found(world) == []
    assert [one.end_reason for one in found(world, state="closed")] == ["The web shop's"]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "paid_there"),
        ({"amount_total": 4999}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"client_reference_id": "pay_other"}, "reference"),
        ({"livemode": True}, "mode"),
    ],
)
def test_both_sides_are_compared_field_by_field(
    stripe_world: StripeWorld, changes: dict[str, Any], verdict: str
) -> None:
    world, customer = stripe_world
    row = world.start()
    customer.pay(row)
    with customer.peer.playing() as objects:
        objects.all("checkout.session")[0].update(changes)
    compared = cases.look(world.database, world.provider, session_id=row.id)
    assert compared.verdict == verdict
    assert compared.is_recoverable == (verdict == "paid_there")
    assert [field.name for field in compared.fields if not field.is_same]
    assert world.held("wallet") == 0  # looking records nothing


def test_recovering_credits_once_and_says_what_changed(world: World) -> None:
    row = world.start()
    assert cases.look(world.database, world.provider, session_id=row.id).verdict == "same"
    world.customer.pay(row)
    for has_changed in (True, False):
        done = cases.recover(world.database, world.provider, now=world.now, session_id=row.id, actor=ASKER)
        assert (done.has_changed, done.comparison.verdict) == (has_changed, "same")
    assert world.held("wallet") == 5000


def test_sessions_are_listed_by_state_account_amount_and_day(world: World, database: Database) -> None:
    world.top_up(5000)
    world.start(700)
    with database.reading("jobs") as session:

        def listed(**filters: Any) -> list[int]:
            rows = session_list.list_sessions(session, Filters(**filters))
            assert session_list.count_sessions(session, Filters(**filters)) == len(rows)
            assert [row.id for row in session_list.iterate(session, Filters(**filters))] == [row.id for row in rows]
            return [row.amount_minor for row in rows]

        from decimal import Decimal

        assert listed() == [700, 5000]
        assert listed(state="paid") == [5000]
        assert listed(amount=Decimal("7.00")) == [700]
        assert listed(amount=Decimal("7.001")) == []
        assert listed(provider=world.provider.name, channel="checkout") == [700, 5000]
        assert listed(account_id="bac_other") == []
        assert listed(from_at=world.now + timedelta(seconds=1)) == []
        assert session_list.list_providers(session) == [world.provider.name]
        assert session.scalars(select(PaymentSession.id)).all()
