"""The balance at the provider: every movement kept once, explained to the cent, its fee, conversion and payout booked once."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.assurance import reconciliation
from billing.kernel.errors import Conflict
from billing.kernel.money import Money
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.payments import refunds
from billing.payments.cash import booking, holdings, sync
from billing.payments.cash.tables import BalanceCursor, BalanceTransaction, Payout, ProviderBalance
from billing.payments.providers.ports.cash import BalancePage
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.recovery import unknown
from billing.storage.database import Database
from tests import staff
from tests.peers import drive
from tests.peers.stripe.play import Play
from tests.service.payments import disputing
from tests.service.payments.world import NOW, StripeCustomer, World, customer_of, open_world

Booked = list[tuple[str, str, str, int, str]]


@dataclass
class Till:
    """One Stripe account and ours beside it; time stands still until it is moved on both sides."""

    world: World
    customer: StripeCustomer

    def play(self, act: Any) -> Any:
        with self.customer.peer.playing() as objects:
            return act(objects)

    def later(self, **how_long: int) -> None:
        self.world.later(**how_long)
        self.customer.peer.clock.advance(int(timedelta(**how_long).total_seconds()))

    def sync(self) -> int:
        return sync.sync(self.world.database, self.world.providers, now=self.world.now)

    def movements(self) -> list[BalanceTransaction]:
        with self.world.database.reading("jobs") as session:
            query = select(BalanceTransaction).order_by(BalanceTransaction.created_at, BalanceTransaction.id)
            return list(session.execute(query).scalars())

    def states(self) -> list[tuple[str, str, str | None]]:
        return [(row.type, row.state, row.reason) for row in self.movements()]

    def payouts(self) -> list[Payout]:
        with self.world.database.reading("jobs") as session:
            return list(session.execute(select(Payout).order_by(Payout.created_at, Payout.id)).scalars())

    def booked(self, *types: str) -> Booked:
        """(kind, debit, credit, minor, currency) of everything booked of these types, in order."""
        query = (
            select(LedgerEntry, LedgerTransaction.billing_account_id)
            .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
            .where(LedgerTransaction.type.in_(types))
            .order_by(LedgerTransaction.recorded_at, LedgerTransaction.chain_seq, LedgerEntry.seq)
        )
        with self.world.database.reading("jobs") as session:
            return [
                (
                    entry.kind,
                    entry.debit_account_id.split("/")[-2],
                    entry.credit_account_id.split("/")[-2],
                    entry.amount_minor,
                    entry.currency,
                )
                for entry, _ in session.execute(query)
            ]

    def found(self) -> list[tuple[str, str]]:
        """(subject, sentence) of what reconciliation finds about the provider, well after everything had its time."""
        with self.world.database.reading("jobs") as session:
            compared = reconciliation.compare(session, now=self.world.now + timedelta(hours=2))
        return [(each.subject_type, each.sentence) for each in compared.found if each.stage.startswith("provider")]


@pytest.fixture
def till(stripe_world: tuple[World, StripeCustomer]) -> Till:
    return Till(*stripe_world)


def test_fee_of_a_charge_is_booked_once_whoever_comes_first(till: Till) -> None:
    till.world.top_up(10_000)  # 2.9 % of 100.00 and 0.30 = 3.20
    assert till.sync() == 2
    assert till.states() == [("charge", "explained", None)]
    assert till.booked("processor_fee") == [("processor_fee", "processor_fees", "cash:stripe", 320, "USD")]
    assert till.sync() == 0
    assert len(till.booked("processor_fee")) == 1
    assert till.found() == []


def test_charge_waits_for_its_payment_and_is_a_finding_after_an_hour(till: Till) -> None:
    row = till.world.start(10_000)
    deliveries = till.customer.pay(row)  # the event has not arrived
    till.sync()
    assert till.states() == [("charge", "waiting", "no_payment")]
    till.later(minutes=61)
    till.sync()
    assert till.states() == [("charge", "finding", "no_payment")]
    assert [subject for subject, _ in till.found()] == ["balance_transaction"]
    till.world.deliver(*deliveries)
    till.later(minutes=31)
    till.sync()
    assert till.states() == [("charge", "explained", None)]
    assert till.found() == []


def test_charge_in_euro_settled_in_dollars_is_converted_at_the_providers_figures(
    database: Database, till: Till
) -> None:
    till.customer.peer.account.settles["eur"] = ("usd", "1.08")
    euro = open_world(database, till.customer, code="elba", currency="EUR")
    row = euro.start(10_000, currency="EUR")
    euro.deliver(*till.customer.pay(row))
    till.sync()
    # 100.00 EUR at 1.08 = 108.00 USD; fee 2.9 % of 108.00 and 0.30 = 3.43 USD
    assert till.booked("payment") == [("stripe_credit", "cash:stripe", "wallet", 10_000, "EUR")]
    assert till.booked("fx_provider") == [
        ("fx_provider", "fx_clearing", "cash:stripe", 10_000, "EUR"),
        ("fx_provider", "cash:stripe", "fx_clearing", 10_800, "USD"),
    ]
    assert till.booked("processor_fee") == [("processor_fee", "processor_fees", "cash:stripe", 343, "USD")]
    [movement] = till.movements()
    assert (movement.state, movement.net_minor, movement.currency) == ("booked", 10_457, "USD")
    assert (movement.presented_minor, movement.presented_currency, movement.exchange_rate) == (10_000, "EUR", "1.08")
    assert till.found() == []


def test_payout_of_several_charges_and_a_refund_explains_its_sum(till: Till) -> None:
    first = till.world.top_up(10_000)  # net 96.80
    till.world.top_up(5_000)  # fee 1.75, net 48.25
    refund = till.world.ask(first, 2_000)
    till.world.approve(refund)
    till.world.send(refund)  # -20.00
    till.later(days=3)
    made = till.play(lambda objects: objects.pay_out())
    till.sync()
    assert made["amount"] == 9_680 + 4_825 - 2_000
    assert till.booked("payout") == [("payout", "cash:bank", "cash:stripe", 12_505, "USD")]
    assert {state for _, state, _ in till.states()} == {"explained", "booked"}
    [payout] = till.payouts()
    assert (payout.amount_minor, payout.is_automatic) == (12_505, True)
    inside = [row for row in till.movements() if row.paid_out_by == made["id"]]
    assert sorted(row.net_minor for row in inside) == [-12_505, -2_000, 4_825, 9_680]
    assert sum(row.net_minor for row in inside) == 0
    assert till.found() == []


def test_failed_payout_is_mirrored_and_names_the_one_it_undoes(till: Till) -> None:
    till.world.top_up(10_000)
    till.later(days=3)
    made = till.play(lambda objects: objects.pay_out())
    till.sync()
    till.play(lambda objects: objects.set_payout(made["id"], "paid"))
    till.play(lambda objects: objects.set_payout(made["id"], "failed"))
    till.later(minutes=10)
    till.sync()
    assert till.booked("payout") == [
        ("payout", "cash:bank", "cash:stripe", 9_680, "USD"),
        ("payout", "cash:stripe", "cash:bank", 9_680, "USD"),
    ]
    [payout] = till.payouts()
    assert (payout.state, payout.failure_code) == ("failed", "account_closed")
    with till.world.database.reading("jobs") as session:
        rows = session.execute(
            select(LedgerTransaction).where(LedgerTransaction.type == "payout").order_by(LedgerTransaction.chain_seq)
        ).scalars()
        sent, back = rows
        assert back.linked_id == sent.id
    assert till.found() == []


def test_payouts_events_book_it_once_in_any_order_and_number(till: Till) -> None:
    till.world.top_up(10_000)
    till.later(days=3)

    def life(objects: Play) -> list[dict[str, Any]]:
        before = len(objects.events)
        made = objects.pay_out()
        for status in ("in_transit", "paid", "failed"):
            objects.set_payout(made["id"], status)
        return objects.events[before:]

    told = till.play(life)
    assert [event["type"] for event in told] == ["payout.created", "payout.updated", "payout.paid", "payout.failed"]
    for event in (*reversed(told), *told):
        body, headers = till.customer.peer.signed(event, at=int(NOW.timestamp()))
        assert till.world.deliver((body, headers)) == ["processed"]
    assert len(till.booked("payout")) == 2
    assert [row.state for row in till.payouts()] == ["failed"]
    till.sync()
    assert len(till.booked("payout")) == 2
    assert till.found() == []


def test_payout_by_hand_has_no_contents_and_is_booked(till: Till) -> None:
    till.world.top_up(10_000)
    till.later(days=3)
    made = till.play(lambda objects: objects.pay_out_by_hand(4_000))
    till.sync()
    assert till.booked("payout") == [("payout", "cash:bank", "cash:stripe", 4_000, "USD")]
    assert [row.paid_out_by for row in till.movements()] == [None, None]
    assert [(row.provider_id, row.is_automatic, row.contents_read_at) for row in till.payouts()] == [
        (made["id"], False, None)
    ]
    assert till.found() == []


def test_currency_without_decimals_moves_in_whole_units(database: Database, till: Till) -> None:
    yen = open_world(database, till.customer, code="jona", currency="JPY")
    yen.deliver(*till.customer.pay(yen.start(5_000, currency="JPY")))
    till.sync()
    # 2.9 % of 5,000 and 30 = 175
    assert till.booked("processor_fee") == [("processor_fee", "processor_fees", "cash:stripe", 175, "JPY")]
    with till.world.database.reading("jobs") as session:
        stated = session.get_one(ProviderBalance, ("stripe", "JPY"))
    assert (stated.available_minor, stated.pending_minor, stated.moved_minor) == (0, 4_825, 4_825)
    assert till.found() == []


def test_refund_that_fails_leaves_nothing_unexplained(till: Till) -> None:
    payment = till.world.top_up(10_000)
    till.customer.peer.account.refunds_start_pending = True
    refund = till.world.ask(payment, 2_000)
    till.world.approve(refund)
    till.world.send(refund)
    till.sync()
    sent = till.play(lambda objects: objects.all("refund")[0]["id"])
    till.play(lambda objects: objects.set_refund(sent, "failed"))
    till.later(minutes=11)
    unknown.look_up_unknown(till.world.database, till.world.providers, now=till.world.now)
    till.sync()
    assert [state for _, state, _ in till.states()] == ["explained"] * 3
    assert till.found() == []


def test_movement_that_nobody_knows_is_kept_and_found_never_guessed(till: Till) -> None:
    till.world.top_up(10_000)
    till.play(lambda objects: objects.move("stripe_fee", -500))
    till.play(lambda objects: objects.move("reserve_transaction", -700))
    till.sync()
    till.later(hours=2)
    till.sync()
    assert sorted(till.states())[1:] == [
        ("reserve_transaction", "finding", "unknown_kind"),
        ("stripe_fee", "finding", "unknown_kind"),
    ]
    assert till.booked("payout", "fx_provider") == []
    assert len(till.booked("processor_fee")) == 1
    assert sorted(subject for subject, _ in till.found()) == ["balance_transaction", "balance_transaction"]


def test_charge_on_the_dashboard_is_found_as_foreign(till: Till) -> None:
    drive.client_of(till.customer.peer).v1.payment_intents.create(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    till.later(hours=2)
    till.sync()
    assert till.states() == [("charge", "finding", "no_payment")]
    [(_, sentence)] = till.found()
    assert "no payment of ours" in sentence


def test_fee_that_differs_from_what_was_booked_is_found(till: Till) -> None:
    till.world.top_up(10_000)
    [movement] = till.play(lambda objects: objects.all("balance_transaction"))
    movement.update(fee=321, net=9_679)
    till.sync()
    assert till.states() == [("charge", "finding", "fee_differs")]
    [(subject, sentence)] = till.found()
    assert subject == "balance_transaction"
    assert "96.79 USD" in sentence
    assert "96.80 USD" in sentence


def test_credit_without_a_movement_is_found(till: Till) -> None:
    till.world.top_up(10_000)
    till.play(lambda objects: objects.by_id.pop(objects.all("balance_transaction")[0]["id"]))
    till.sync()
    subjects = [subject for subject, _ in till.found()]
    assert subjects == ["ledger_transaction", "ledger_transaction"]  # the payment and its fee


class Dying:
    """A provider whose process dies after so many pages."""

    def __init__(self, provider: Any, pages: int) -> None:
        self._provider = provider
        self._left = pages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def list_balance_transactions(self, **how: Any) -> BalancePage:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        how["limit"] = 2
        page: BalancePage = self._provider.list_balance_transactions(**how)
        return page


def test_reading_that_dies_between_pages_goes_on_there_and_reads_nothing_twice(till: Till) -> None:
    for _ in range(5):
        till.world.top_up(1_000)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            sync.sync(
                till.world.database,
                {"stripe": Dying(till.world.provider, 1)},  # type: ignore[dict-item]
                now=till.world.now,
            )
    kept = till.movements()
    assert len(kept) == 5
    with till.world.database.reading("jobs") as session:
        cursor = session.get_one(BalanceCursor, "stripe")
        assert (cursor.read_until, cursor.pass_until) == (till.world.now, None)
    till.sync()
    assert [row.id for row in till.movements()] == [row.id for row in kept]
    assert {state for _, state, _ in till.states()} == {"explained"}
    assert len(till.booked("processor_fee")) == 5
    assert till.found() == []


def test_movement_that_shows_up_late_is_read_by_the_overlap(till: Till) -> None:
    till.world.top_up(1_000)
    till.later(minutes=30)
    till.sync()
    with till.customer.peer.playing() as objects:
        late = objects.move("stripe_fee", -5)
        late["created"] = int((till.world.now - timedelta(minutes=20)).timestamp())
    till.sync()
    assert sorted(kind for kind, _, _ in till.states()) == ["charge", "stripe_fee"]


def test_movement_that_shows_up_later_than_the_overlap_is_found_and_read_anew(till: Till) -> None:
    till.world.top_up(1_000)
    till.later(hours=5)
    till.sync()
    with till.customer.peer.playing() as objects:
        late = objects.move("topup", 700)
        late["created"] = int((till.world.now - timedelta(hours=3)).timestamp())
    till.later(hours=2)
    till.sync()
    assert [subject for subject, _ in till.found()] == ["provider_balance"]
    with till.world.database.transaction("jobs") as session:
        sync.read_anew(session, provider="stripe")
    till.sync()
    assert book(till, "topup").state == "booked"
    assert till.booked("payout") == [("payout", "cash:stripe", "cash:bank", 700, "USD")]
    till.later(hours=2)
    till.sync()
    assert till.found() == []


def test_provider_that_does_not_answer_fails_the_run_and_keeps_what_was_read(till: Till) -> None:
    till.world.top_up(1_000)
    till.customer.peer.fail_next("error_500", "/v1/balance", times=9)
    with pytest.raises(sync.SyncFailed, match="stripe"):
        till.sync()
    assert till.movements() == []
    till.customer.peer.faults.cease()
    till.sync()
    assert [state for _, state, _ in till.states()] == ["explained"]


def book(till: Till, kind: str, seller: str = "house") -> BalanceTransaction:
    """Two persons book the movement of that kind."""
    movement = next(row for row in till.movements() if row.type == kind)
    with till.world.database.transaction() as session:
        staff.hire_two(session)
        asked = booking.request(
            session,
            now=till.world.now,
            movement_id=movement.id,
            seller_code=seller,
            maker=staff.MAKER,
            reason="As the provider's invoice says",
        )
        staff.approve(session, asked, now=till.world.now)
    return next(row for row in till.movements() if row.id == movement.id)


def test_fee_without_a_charge_is_booked_by_two_persons_and_then_explained(till: Till) -> None:
    till.world.top_up(10_000)
    till.play(lambda objects: objects.move("stripe_fee", -500))
    till.play(lambda objects: objects.move("stripe_fx_fee", 200))  # given back
    till.sync()
    assert (book(till, "stripe_fee").state, book(till, "stripe_fx_fee").state) == ("booked", "booked")
    assert till.booked("processor_fee")[1:] == [
        ("processor_fee", "processor_fees", "cash:stripe", 500, "USD"),
        ("processor_fee", "cash:stripe", "processor_fees", 200, "USD"),
    ]
    assert till.found() == []
    with pytest.raises(Conflict) as refused:
        book(till, "stripe_fee")
    assert refused.value.fields["reason"] == "movement_explained"


def test_kind_without_a_fixed_meaning_cannot_be_booked(till: Till) -> None:
    till.play(lambda objects: objects.move("adjustment", -500))
    till.sync()
    with pytest.raises(Conflict) as refused:
        book(till, "adjustment")
    assert refused.value.fields["reason"] == "no_fixed_meaning"
    assert till.booked("processor_fee", "payout", "adjustment") == []


def test_payout_of_two_sellers_money_waits_until_two_persons_say_whose_it_is(till: Till) -> None:
    till.world.top_up(10_000)
    with till.world.database.transaction() as session:
        other = directory.create_seller(session, now=NOW, facts=replace(_facts(session), code="second"))
        account = directory.create_tenant_account(session, now=NOW, code="twin", seller=other)
    second = World(database=till.world.database, customer=till.customer, account_id=account.id)
    second.top_up(5_000)
    till.later(days=3)
    till.play(lambda objects: objects.pay_out_by_hand(2_000))
    till.sync()
    till.later(hours=2)
    till.sync()
    assert till.states()[-1] == ("payout", "finding", "seller_unclear")
    assert book(till, "payout", "second").state == "booked"
    assert till.booked("payout") == [("payout", "cash:bank", "cash:stripe", 2_000, "USD")]
    with till.world.database.reading("jobs") as session:
        [row] = session.execute(select(LedgerTransaction).where(LedgerTransaction.type == "payout")).scalars()
        assert row.billing_account_id == directory.house_account(session, other.id).id
    assert till.found() == []


def _facts(session: Session) -> directory.SellerFacts:
    first = directory.first_seller(session)
    return directory.SellerFacts(
        **{name: getattr(first, name) for name in directory.SellerFacts.__dataclass_fields__ if hasattr(first, name)}
    )


def test_payout_fee_is_booked_beside_the_payout(till: Till) -> None:
    till.world.top_up(10_000)
    till.later(days=3)
    till.play(lambda objects: objects.pay_out(fee=150))
    till.sync()
    assert till.booked("payout") == [("payout", "cash:bank", "cash:stripe", 9_530, "USD")]
    assert till.booked("processor_fee")[-1] == ("processor_fee", "processor_fees", "cash:stripe", 150, "USD")
    assert till.found() == []


def test_refund_of_a_converted_payment_goes_back_through_the_clearing(database: Database, till: Till) -> None:
    till.customer.peer.account.settles["eur"] = ("usd", "1.10")
    euro = open_world(database, till.customer, code="elba", currency="EUR")
    row = euro.start(10_000, currency="EUR")
    euro.deliver(*till.customer.pay(row))
    till.customer.peer.account.settles["eur"] = ("usd", "1.08")
    [paid] = euro.payments()
    with database.transaction() as session:
        asked = refunds.request(
            session,
            now=NOW,
            account_id=euro.account_id,
            mode="card",
            amount=Money(minor=2_500, currency="EUR"),
            reason="Paid twice",
            form_key="refund-eur",
            actor="usr_asker",
            payment_id=paid.id,
        )
    euro.approve(asked)
    euro.send(asked)
    till.sync()
    # 25.00 EUR at 1.08 = 27.00 USD leave; the charge had brought 110.00 USD.
    assert sorted(till.booked("fx_provider")) == [
        ("fx_provider", "cash:stripe", "fx_clearing", 2_500, "EUR"),
        ("fx_provider", "cash:stripe", "fx_clearing", 11_000, "USD"),
        ("fx_provider", "fx_clearing", "cash:stripe", 2_700, "USD"),
        ("fx_provider", "fx_clearing", "cash:stripe", 10_000, "EUR"),
    ]
    assert till.found() == []


def test_delayed_payment_that_fails_explains_itself(till: Till) -> None:
    debit = {"id": "py_1", "object": "charge", "currency": "usd", "amount": 3_000, "payment_intent": "pi_1"}
    till.customer.peer.account.by_id["py_1"] = debit
    till.play(lambda objects: objects.move("payment", 3_000, source=debit))
    till.sync()
    assert till.states() == [("payment", "waiting", "no_payment")]
    till.play(lambda objects: objects.move("payment_failure_refund", -3_000, source=debit))
    till.sync()
    assert {state for _, state, _ in till.states()} == {"explained"}
    assert len({row.pair_id for row in till.movements()}) == 1
    assert till.found() == []


def test_amount_that_our_currency_has_no_unit_for_is_kept_as_unreadable(till: Till) -> None:
    till.play(lambda objects: objects.move("stripe_fee", -50, "isk"))  # half a krona
    till.sync()
    [movement] = till.movements()
    assert (movement.state, movement.reason, movement.net_minor) == ("finding", "unreadable:isk", 0)
    assert next(sentence for _, sentence in till.found()).endswith("could not be read")


def test_sandbox_takes_fees_pays_out_and_is_explained_to_the_cent(database: Database) -> None:
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        sandbox = customer.provider
        assert isinstance(sandbox, SandboxProvider)
        world.top_up(10_000)
        sandbox.pay_out("USD", now=NOW, available_by=NOW + timedelta(days=3))
        world.top_up(5_000)
        sync.sync(database, world.providers, now=NOW)
        [sent] = sandbox.list_payouts()
        event = sandbox.fail_payout(sent.id, now=NOW)
        assert world.deliver((event.body, event.headers)) == ["processed"]
        with database.reading("jobs") as session:
            [held] = holdings.list_holdings(session)
            # 100.00 - 3.20 and 50.00 - 1.75; the payout of 96.80 came back.
            assert (held.ours_minor, sent.amount.minor) == (14_505, 9_680)
            assert reconciliation.compare(session, now=NOW + timedelta(hours=2)).found == []


def test_a_reading_that_was_cut_short_is_caught_up_before_the_balance_is_held_against_it(till: Till) -> None:
    till.customer.peer.fail_next("drop_before", "/v1/balance_transactions")
    with pytest.raises(sync.SyncFailed):
        till.sync()
    row = till.world.start(10_000)
    till.later(hours=2)
    till.customer.pay(row)
    till.later(hours=2)
    till.sync()
    assert len(till.movements()) == 1
    assert [subject for subject, _ in till.found() if subject == "provider_balance"] == []


@pytest.mark.parametrize("name", ["sandbox", "stripe"])
def test_dispute_that_is_lost_and_one_that_is_won_are_explained_with_their_fees(name: str, database: Database) -> None:
    with customer_of(name, database) as customer:
        world = open_world(database, customer)
        bank = disputing.Bank(world)
        for outcome in ("won", "lost"):
            payment = world.top_up(10_000)
            world.deliver(*bank.dispute(payment))
            sync.sync(database, world.providers, now=world.now)
            world.deliver(*bank.decide(outcome))
        sync.sync(database, world.providers, now=world.now)
        with database.reading("jobs") as session:
            states = session.execute(select(BalanceTransaction.state).distinct()).scalars().all()
            [held] = holdings.list_holdings(session)
            found = reconciliation.compare(session, now=world.now + timedelta(hours=2)).found
        assert [each.sentence for each in found] == []
        assert set(states) == {"explained"}
        assert held.difference_minor == 0
