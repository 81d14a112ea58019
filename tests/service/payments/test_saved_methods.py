"""Saved methods: kept from what the provider has, whatever order its events come in; one default; removed for good."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from billing.kernel.errors import Conflict, NotFound
from billing.payments import apply, webhooks
from billing.payments.customers import saving, setups
from billing.payments.customers.errors import MethodGone
from billing.payments.errors import OutcomeUnknown, ProviderMismatch
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.storage.database import Database
from tests.service.payments.customers_world import (
    abandon_at_provider,
    begin_setup,
    default,
    delete_at_provider,
    manage,
    save_at_provider,
    saved,
    setup,
    shown,
    told,
)
from tests.service.payments.world import ASKER, StripeCustomer, World, customer_of, open_world


def remove(world: World, method_id: str) -> bool:
    return saving.remove(
        world.database, world.provider, now=world.now, account_id=world.account_id, method_id=method_id, actor=ASKER
    )


def choose(world: World, method_id: str) -> None:
    saving.make_default(
        world.database, world.provider, now=world.now, account_id=world.account_id, method_id=method_id, actor=ASKER
    )


def portal(world: World) -> str:
    return saving.open_portal(
        world.database,
        world.provider,
        now=world.now,
        account_id=world.account_id,
        return_url="http://127.0.0.1:8000/payment-methods",
        actor=ASKER,
    )


def test_a_saved_card_is_shown_by_its_last_four_digits_and_is_the_default(world: World) -> None:
    row = begin_setup(world)
    assert (row.state, row.is_final) == ("open", False)
    assert row.redirect_url is not None
    states = world.deliver(*save_at_provider(world, row))
    assert set(states) == {"processed"}
    assert setup(world, row).state == "saved"
    [method] = shown(world)
    assert (method.label, method.kind, method.exp_month, method.is_default) == ("visa ending 4242", "card", 12, True)
    assert default(world) == method


def test_the_events_of_a_saved_card_may_come_in_any_order_and_twice(world: World) -> None:
    for order in permutations(range(3)):
        row = begin_setup(world)
        deliveries = save_at_provider(world, row)
        assert len(deliveries) >= 3
        chosen = [deliveries[place] for place in order] + deliveries
        assert "failed" not in world.deliver(*chosen)
        assert setup(world, row).state == "saved"
    methods = shown(world)
    assert len(methods) == 6
    assert [method.is_default for method in methods] == [True] + [False] * 5


def test_the_return_page_finds_a_saved_card_whose_events_never_came(world: World) -> None:
    row = begin_setup(world)
    save_at_provider(world, row)
    found = saving.refresh_setup(
        world.database, world.providers, now=world.now, account_id=world.account_id, setup_id=row.id
    )
    assert (found.state, [method.last4 for method in shown(world)]) == ("saved", ["4242"])


def test_the_job_finds_a_saved_card_when_nobody_comes_back(world: World) -> None:
    row = begin_setup(world)
    save_at_provider(world, row)
    world.later(minutes=11)
    assert saving.look_up_unknown(world.database, world.providers, now=world.now) == 1
    assert (setup(world, row).state, len(shown(world))) == ("saved", 1)
    assert saving.look_up_unknown(world.database, world.providers, now=world.now) == 0


def test_an_abandoned_setup_saves_nothing(world: World) -> None:
    row = begin_setup(world)
    world.deliver(*abandon_at_provider(world, row))
    assert (setup(world, row).state, shown(world)) == ("expired", [])


def test_a_success_address_typed_by_hand_saves_nothing(world: World) -> None:
    row = begin_setup(world)
    found = saving.refresh_setup(
        world.database, world.providers, now=world.now, account_id=world.account_id, setup_id=row.id
    )
    assert (found.state, shown(world)) == ("open", [])
    with pytest.raises(NotFound):
        saving.refresh_setup(
            world.database, world.providers, now=world.now, account_id="bac_somebody_else", setup_id=row.id
        )


def test_eight_clicks_are_one_setup(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: begin_setup(world, form_key="once"), range(8)))
    assert len({row.id for row in rows}) == 1
    assert {row.provider_session_id for row in rows} <= {setup(world, rows[0]).provider_session_id, None}
    with pytest.raises(Conflict):
        begin_setup(world, form_key="once", makes_default=False)


def test_a_setup_whose_answer_was_lost_is_looked_up(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_after", "/v1/checkout/sessions")
    row = begin_setup(world)
    assert row.state == "unknown"
    world.later(minutes=2)
    saving.look_up_unknown(world.database, world.providers, now=world.now)
    found = setup(world, row)
    assert (found.state, found.provider_session_id is not None) == ("open", True)
    world.deliver(*save_at_provider(world, found))
    assert setup(world, row).state == "saved"


def test_a_setup_that_never_reached_the_provider_has_failed(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_before", "/v1/checkout/sessions")
    row = begin_setup(world)
    world.later(minutes=16)
    saving.look_up_unknown(world.database, world.providers, now=world.now)
    assert (setup(world, row).state, setup(world, row).failure) == ("failed", "never_reached_provider")


def test_the_default_is_chosen_and_stays_the_only_one(world: World) -> None:
    first, second = saved(world, "4242"), saved(world, "4444")
    assert [method.is_default for method in shown(world)] == [True, False]
    assert shown(world)[0].id == second.id
    choose(world, first.id)
    assert [(method.id, method.is_default) for method in shown(world)] == [(first.id, True), (second.id, False)]


def test_a_method_may_be_saved_beside_the_default(world: World) -> None:
    first = saved(world, "4242")
    saved(world, "4444", makes_default=False)
    found = default(world)
    assert found is not None
    assert found.id == first.id


def test_removing_the_default_leaves_none(world: World) -> None:
    first, second = saved(world, "4242"), saved(world, "4444")
    assert remove(world, second.id)
    assert (default(world), [method.id for method in shown(world)]) == (None, [first.id])
    assert [facts.id for facts in world.provider.list_methods(first.customer_id)] == [first.provider_method_id]
    with pytest.raises(MethodGone):
        remove(world, second.id)
    with pytest.raises(MethodGone):
        choose(world, second.id)


def test_a_method_on_its_way_out_is_not_offered_while_the_provider_is_silent(
    stripe_world: tuple[World, StripeCustomer],
) -> None:
    world, customer = stripe_world
    method = saved(world)
    customer.peer.fail_next("drop_before", "/v1/payment_methods")
    assert not remove(world, method.id)
    assert (shown(world), default(world)) == ([], None)
    assert len(world.provider.list_methods(method.customer_id)) == 1
    world.later(minutes=2)
    assert saving.look_up_unknown(world.database, world.providers, now=world.now) == 1
    assert world.provider.list_methods(method.customer_id) == []


def test_a_copy_taken_before_a_removal_does_not_bring_the_method_back(world: World) -> None:
    method = saved(world)
    row = begin_setup(world)
    late = save_at_provider(world, row, "4444")
    remove(world, method.id)
    world.deliver(*late)
    assert [method.last4 for method in shown(world)] == ["4444"]


def test_what_is_done_in_the_customer_portal_is_seen_here(world: World) -> None:
    first = saved(world, "4242")
    url = portal(world)
    world.deliver(*manage(world, url, "add", "4444"))
    second = next(method for method in shown(world) if method.last4 == "4444")
    assert not second.is_default
    world.deliver(*manage(world, url, "default", second.provider_method_id))
    found = default(world)
    assert found is not None
    assert found.id == second.id
    world.deliver(*manage(world, url, "remove", first.provider_method_id))
    assert [method.last4 for method in shown(world)] == ["4444"]


def test_the_portal_of_a_deleted_customer_is_that_of_a_new_one(world: World) -> None:
    method = saved(world)
    delete_at_provider(world, method.customer_id)
    assert portal(world).startswith("http")
    assert shown(world) == []


def test_a_copy_that_was_overtaken_is_fetched_again(database: Database) -> None:
    """The list is read, another one is read and kept, and only then the first would be kept: it is older, and is dropped."""
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        saved(world, "4242")

        class Overtaken(SandboxProvider):
            is_first = True

            def list_methods(self, customer_id: str) -> Any:
                found = super().list_methods(customer_id)
                if self.is_first:
                    self.is_first = False
                    url = portal(world)
                    world.deliver(*manage(world, url, "add", "4444"))
                return found

        body, headers = save_at_provider(world, begin_setup(world, makes_default=False), "3155")[0]
        slow = Overtaken(secret="sandbox secret", base_url="http://127.0.0.1:8000", database=database)
        with database.transaction() as session:
            event = webhooks.receive(session, now=world.now, provider=slow, raw_body=body, headers=headers)
        states = [apply.apply_event(database, {"sandbox": slow}, event.id, now=world.now) for _try in range(2)]
        assert states == ["received", "processed"]
        assert {method.last4 for method in shown(world)} == {"4242", "4444", "3155"}


def test_a_setup_of_another_customer_is_a_mismatch(world: World) -> None:
    row = begin_setup(world)
    save_at_provider(world, row)
    facts = world.provider.fetch_setup(str(row.provider_session_id))
    for changes in ({"customer_id": "cus_other"}, {"reference": "set_other"}, {"is_live": True}):
        with pytest.raises(ProviderMismatch), world.database.transaction() as session:
            setups.record_facts(session, now=world.now, setup_id=row.id, facts=replace(facts, **changes), is_live=False)
    assert shown(world) == []


def test_a_provider_that_does_not_answer_leaves_the_default_as_it_was(
    stripe_world: tuple[World, StripeCustomer],
) -> None:
    world, customer = stripe_world
    first, second = saved(world, "4242"), saved(world, "4444")
    customer.peer.fail_next("drop_before", "/v1/customers")
    with pytest.raises(OutcomeUnknown):
        choose(world, first.id)
    found = default(world)
    assert found is not None
    assert found.id == second.id


def test_a_bank_that_asks_while_a_card_is_saved_is_answered_first(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    row = begin_setup(world)
    world.deliver(*save_at_provider(world, row, "3155"))
    assert (setup(world, row).state, shown(world)) == ("open", [])
    with customer.peer.playing() as objects:
        intent_id = objects.by_id[str(row.provider_session_id)]["setup_intent"]
    world.deliver(*told(world, lambda objects: objects.authenticate(intent_id, is_confirmed=True)))
    assert (setup(world, row).state, [method.last4 for method in shown(world)]) == ("saved", ["3155"])


def test_a_method_is_saved_for_a_new_customer_when_the_old_one_was_deleted(world: World) -> None:
    first = saved(world, "4242")
    delete_at_provider(world, first.customer_id)
    second = saved(world, "4444")
    assert second.customer_id != first.customer_id
    assert [method.last4 for method in shown(world)] == ["4444"]


def test_a_method_taken_off_before_we_hear_of_it_is_no_default_and_no_fault(world: World) -> None:
    row = begin_setup(world)
    deliveries = save_at_provider(world, row)
    method_id = str(world.provider.fetch_setup(str(row.provider_session_id)).method_id)
    for _twice in range(2):
        world.provider.detach_method(method_id)
    assert "failed" not in world.deliver(*deliveries)
    assert (setup(world, row).state, shown(world)) == ("saved", [])


def test_a_delayed_payment_is_on_its_way_and_credited_when_it_has_arrived(
    stripe_world: tuple[World, StripeCustomer],
) -> None:
    world, _customer = stripe_world
    row = world.start()
    page_id = str(row.provider_session_id)
    world.deliver(*told(world, lambda objects: objects.pay_later(page_id)))
    waiting = world.session(row)
    assert (waiting.is_final, waiting.is_processing, world.held()) == (False, True, 0)
    world.deliver(*told(world, lambda objects: objects.settle(page_id, is_paid=True)))
    assert (world.session(row).state, world.session(row).is_processing, world.held()) == ("paid", False, 5000)
