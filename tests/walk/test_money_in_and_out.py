"""Every row of money.md's table that concerns money in and out, walked to its end on a prepaid and a postpaid account.

What is posted stands here by hand. A kind of entry that moves cash, what waits to leave, what is disputed, fees of the provider, bad
debt or results of exchange rates and has no walk fails the last test.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from billing.accounts import profiles
from billing.assurance import equality, reconciliation
from billing.catalog import activations, onboarding, plans
from billing.invoicing import write_offs
from billing.invoicing.tables import InvoiceHeader
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.kernel.money import Money
from billing.ledger import write_offs as wallet_write_offs
from billing.ledger.entries import KINDS
from billing.payments import apply, refund_transfers, refunds, webhooks
from billing.payments.bank import transfers
from billing.payments.crediting import Share
from billing.payments.refund_subjects import Payee
from billing.payments.refunds import RefundRow
from billing.payments.sessions import PaymentRow
from billing.reference import ecb, fx_rates
from billing.storage.database import Database
from tests import databases, staff
from tests.peers.stripe.account import Item
from tests.peers.stripe.play import Play
from tests.peers.stripe.server import StripeServer
from tests.service.invoicing import world as invoicing
from tests.service.invoicing.world import GERMANY, Use
from tests.service.payments.world import ASKER, DECIDER, Delivery, StripeCustomer, World
from tests.service.rating import world as rating

Moved = tuple[str, str, str, str, int, str]
NOW = invoicing.NOW
OURS, HOUSE = "calla", "house:house"
IBAN = "DE89370400440532013000"
# Whatever touches one of these is money in or out, or what became of it.
TOUCHED = {"cash", "refund_pending", "disputed", "processor_fees", "dispute_fees", "bad_debt", "fx_result"}
# Reclaimed by other steps: who resells is paid by the rooms of resellers.
ELSEWHERE = {"reseller_payout", "reseller_collect"}
CONCERNED = {
    kind for kind, pairs in KINDS.items() if TOUCHED & {name for pair in pairs for name in pair}
} - ELSEWHERE | {"refund_credit"}


@dataclass
class Walk:
    """One account at Stripe's peer, and the people and banks around it. Time moves on both sides together."""

    world: World
    peer: StripeServer

    @property
    def database(self) -> Database:
        return self.world.database

    def top_up(self, minor: int, currency: str = "USD") -> PaymentRow:
        row = self.world.start(minor, currency=currency)
        self.deliver(self.world.customer.pay(row))
        return self.world.payments()[0]

    def invoice(self, net_minor: int) -> InvoiceHeader:
        """Used in October, issued in November, 19 %."""
        invoicing.used(self.database, self.world.account_id, Use(net_minor))
        return invoicing.issued(self.database, self.world.account_id)

    def pay(self, invoice: InvoiceHeader, minor: int) -> PaymentRow:
        row = self.world.start(minor, purpose="invoice", invoice_id=invoice.id)
        self.deliver(self.world.customer.pay(row))
        return self.world.payments()[0]

    def transfer(self, minor: int, *, on: date = NOW.date(), to: InvoiceHeader | None = None) -> PaymentRow:
        """A line of the bank statement, for what is open or for that invoice."""
        line = transfers.Line(
            amount=Money(minor=minor, currency="USD"),
            bank_account=IBAN,
            bank_reference=f"line-{next(self.world.keys)}",
            value_on=on,
            payer="Calla Labs GmbH",
        )
        with self.database.transaction() as session:
            transfers.book(
                session,
                now=self.world.now,
                account_id=self.world.account_id,
                line=line,
                actor=DECIDER,
                shares=None if to is None else [Share(invoice_id=to.id, amount_minor=minor)],
            )
        return self.world.payments()[0]

    def refund(self, payment: PaymentRow, minor: int, **more: Any) -> RefundRow:
        """Asked for and allowed."""
        with self.database.transaction() as session:
            asked = refunds.request(
                session,
                now=self.world.now,
                account_id=self.world.account_id,
                mode=more.pop("mode", "card"),
                amount=Money(minor=minor, currency=payment.currency),
                reason="Paid twice",
                form_key=f"refund-{next(self.world.keys)}",
                actor=ASKER,
                **({"payment_id": payment.id} | more),
            )
        return self.world.approve(asked)

    def play(self, act: Callable[[Play], Any]) -> Any:
        """Something happens at the provider, and we are told."""
        with self.peer.playing() as objects:
            before = len(objects.events)
            done = act(objects)
            told = [self.peer.signed(event) for event in objects.events[before:]]
        self.deliver(told)
        return done

    def deliver(self, told: list[Delivery]) -> None:
        """Webhooks as they come, and the job that applies them."""
        for body, headers in told:
            with self.database.transaction() as session:
                webhooks.receive(
                    session, now=self.world.now, provider=self.world.provider, raw_body=body, headers=headers
                )
        apply.apply_pending(self.database, self.world.providers, now=self.world.now)

    def dispute(self, payment: PaymentRow, outcome: str) -> None:
        made: Item = self.play(lambda objects: objects.dispute(payment.provider_payment_id))
        self.play(lambda objects: objects.decide_dispute(made["id"], outcome))

    def later(self, **how_long: int) -> None:
        self.world.later(**how_long)
        self.peer.clock.advance(int(timedelta(**how_long).total_seconds()))

    def jobs(self) -> None:
        """What the timetable does."""
        context = JobContext(database=self.database, providers=self.world.providers, now=self.world.now)
        for step in (steps.payments, steps.provider_balance, steps.book_exchange_results):
            step(context)

    def moved(self) -> list[Moved]:
        """(account, kind, debit, credit, minor units, currency) of what concerns money in and out, sorted."""
        with self.database.reading("jobs") as session:
            rows = equality.read(session).movements
        return sorted((row[0], row[2], row[5], row[6], row[7], row[1]) for row in rows if row[2] in CONCERNED)


def card_and_payout(walk: Walk) -> None:
    walk.top_up(10_000)
    walk.later(days=3)
    walk.jobs()
    made = walk.play(lambda objects: objects.pay_out())
    walk.play(lambda objects: objects.set_payout(made["id"], "paid"))
    walk.later(hours=2)
    walk.jobs()


def invoice_by_card(walk: Walk) -> None:
    walk.pay(walk.invoice(10_000), 11_900)


def invoice_by_bank_with_surplus(walk: Walk) -> None:
    walk.invoice(10_000)
    walk.transfer(15_000)


def refund_to_card(walk: Walk) -> None:
    walk.world.send(walk.refund(walk.top_up(5_000), 2_000))


def refund_that_is_refused(walk: Walk) -> None:
    """The cardholder was faster: Stripe refuses to refund what is disputed, and we have not heard of the dispute yet."""
    payment = walk.top_up(5_000)
    with walk.peer.playing() as objects:
        objects.dispute(payment.provider_payment_id, is_inquiry=True)
        [charge] = objects.all("charge")
        charge["disputed"] = True
    asked = walk.refund(payment, 2_000)
    assert walk.world.send(asked).state == "failed"


def refund_that_comes_back(walk: Walk) -> None:
    walk.world.send(walk.refund(walk.top_up(5_000), 2_000))
    walk.play(lambda objects: objects.set_refund(objects.all("refund")[0]["id"], "failed", "lost_or_stolen_card"))


def refund_to_bank(walk: Walk) -> None:
    payment = walk.transfer(5_000)
    allowed = walk.refund(payment, 2_000, mode="bank", payee=Payee(name="Calla Labs GmbH", iban=IBAN))
    with walk.database.transaction() as session:
        refund_transfers.confirm(
            session,
            now=walk.world.now,
            refund_id=allowed.id,
            transfer_on=walk.world.now.date(),
            reference="OUT-1",
            actor=DECIDER,
        )


def refund_as_credit(walk: Walk) -> None:
    invoice = walk.invoice(10_000)
    payment = walk.pay(invoice, 11_900)
    walk.refund(payment, 5_950, mode="credit", payment_id=None, invoice_id=invoice.id)


def dispute_won(walk: Walk) -> None:
    walk.dispute(walk.top_up(5_000), "won")


def dispute_lost(walk: Walk) -> None:
    walk.dispute(walk.top_up(5_000), "lost")


def dispute_of_an_invoice_lost(walk: Walk) -> None:
    walk.dispute(walk.pay(walk.invoice(10_000), 11_900), "lost")


def write_off_and_paid_after_all(walk: Walk) -> None:
    invoice = walk.invoice(10_000)
    with walk.database.transaction("jobs") as session:
        asked = write_offs.request(
            session,
            now=walk.world.now,
            invoice_id=invoice.id,
            amount_minor=11_900,
            with_tax=True,
            maker=staff.MAKER,
            reason="Insolvent",
        )
        staff.approve(session, asked, now=walk.world.now)
    walk.transfer(5_950, to=invoice)


def wallet_below_zero_written_off_and_filled_after_all(walk: Walk) -> None:
    """What was topped up was used, and then taken back by the bank."""
    payment = walk.top_up(5_950)
    walk.invoice(5_000)
    walk.dispute(payment, "lost")
    with walk.database.transaction("jobs") as session:
        asked = wallet_write_offs.request(
            session,
            now=walk.world.now,
            account_id=walk.world.account_id,
            amount=Money(minor=5_950, currency="USD"),
            maker=staff.MAKER,
            reason="Fraud",
        )
        staff.approve(session, asked, now=walk.world.now)
    walk.transfer(6_000)


def euros_converted_by_the_provider(walk: Walk) -> None:
    walk.peer.account.settles["eur"] = ("usd", "1.08")
    walk.top_up(10_000, "EUR")
    walk.jobs()


def invoice_in_another_currency_than_the_books(walk: Walk) -> None:
    """130.00 USD gross at 1.08 USD per EUR, paid at 1.10: money.md's own figures."""
    rates(walk, "Date,USD,\n2026-11-20,1.08,\n2026-10-30,1.05,\n")
    invoicing.move_seller(walk.database, functional_currency="EUR")
    assert walk.invoice(10_924).payable_minor == 13_000
    walk.later(days=5)
    walk.transfer(13_000, on=date(2026, 11, 25))
    walk.later(days=2)
    rates(walk, "Date,USD,\n2026-11-25,1.10,\n")
    walk.jobs()


def rates(walk: Walk, table: str) -> None:
    with walk.database.transaction() as session:
        read = ecb.read(table.encode(), today=walk.world.now.date())
        fx_rates.import_table(session, read, now=walk.world.now, actor="usr_ann", source="ECB")


def card(minor: int, to: str = "wallet", currency: str = "USD") -> Moved:
    """Paid by card."""
    return (OURS, "stripe_credit", "cash:stripe", to, minor, currency)


def bank(minor: int, to: str) -> Moved:
    """Paid by bank transfer."""
    return (OURS, "bank_credit", "cash:bank", to, minor, "USD")


def fee(minor: int) -> Moved:
    """Stripe's: 2.9 % and 0.30."""
    return (HOUSE, "processor_fee", "processor_fees", "cash:stripe", minor, "USD")


def taken(minor: int) -> tuple[Moved, Moved]:
    """A dispute opens: the money and 15.00 are gone."""
    return (
        (OURS, "chargeback_debit", "disputed", "cash:stripe", minor, "USD"),
        (HOUSE, "dispute_fee", "dispute_fees", "cash:stripe", 1_500, "USD"),
    )


HELD: Moved = (OURS, "refund_hold", "wallet", "refund_pending", 2_000, "USD")
SENT: Moved = (OURS, "provider_refund", "refund_pending", "cash:stripe", 2_000, "USD")

WALKS: dict[Callable[[Walk], None], tuple[Moved, ...]] = {
    card_and_payout: (card(10_000), fee(320), (HOUSE, "payout", "cash:bank", "cash:stripe", 9_680, "USD")),
    invoice_by_card: (card(11_900, "receivable"), fee(375)),
    invoice_by_bank_with_surplus: (bank(11_900, "receivable"), bank(3_100, "wallet")),
    refund_to_card: (card(5_000), fee(175), HELD, SENT),
    refund_that_is_refused: (
        card(5_000),
        fee(175),
        HELD,
        (OURS, "refund_release", "refund_pending", "wallet", 2_000, "USD"),
    ),
    refund_that_comes_back: (
        card(5_000),
        fee(175),
        HELD,
        SENT,
        (OURS, "refund_return", "cash:stripe", "wallet", 2_000, "USD"),
    ),
    refund_to_bank: (
        bank(5_000, "wallet"),
        HELD,
        (OURS, "bank_refund", "refund_pending", "cash:bank", 2_000, "USD"),
    ),
    refund_as_credit: (
        card(11_900, "receivable"),
        fee(375),
        (OURS, "refund_credit", "revenue:analytics", "wallet", 5_000, "USD"),
        (OURS, "refund_credit", "tax:DE", "wallet", 950, "USD"),
    ),
    dispute_won: (
        card(5_000),
        fee(175),
        *taken(5_000),
        (OURS, "chargeback_reversal", "cash:stripe", "disputed", 5_000, "USD"),
    ),
    dispute_lost: (
        card(5_000),
        fee(175),
        *taken(5_000),
        (OURS, "chargeback_final", "wallet", "disputed", 5_000, "USD"),
    ),
    dispute_of_an_invoice_lost: (
        card(11_900, "receivable"),
        fee(375),
        *taken(11_900),
        (OURS, "chargeback_final", "receivable", "disputed", 11_900, "USD"),
    ),
    write_off_and_paid_after_all: (
        (OURS, "write_off", "bad_debt", "receivable", 10_000, "USD"),
        (OURS, "write_off", "tax:DE", "receivable", 1_900, "USD"),
        (OURS, "write_off_reversal", "receivable", "bad_debt", 5_000, "USD"),
        (OURS, "write_off_reversal", "receivable", "tax:DE", 950, "USD"),
        bank(5_950, "receivable"),
    ),
    wallet_below_zero_written_off_and_filled_after_all: (
        card(5_950),
        fee(203),
        *taken(5_950),
        (OURS, "chargeback_final", "wallet", "disputed", 5_950, "USD"),
        (OURS, "write_off", "bad_debt", "wallet", 5_950, "USD"),
        (OURS, "write_off_reversal", "wallet", "bad_debt", 5_950, "USD"),
        bank(6_000, "wallet"),
    ),
    euros_converted_by_the_provider: (
        card(10_000, currency="EUR"),
        fee(343),
        (HOUSE, "fx_provider", "fx_clearing", "cash:stripe", 10_000, "EUR"),
        (HOUSE, "fx_provider", "cash:stripe", "fx_clearing", 10_800, "USD"),
    ),
    invoice_in_another_currency_than_the_books: (
        bank(13_000, "receivable"),
        (HOUSE, "fx_result", "fx_result", "fx_clearing", 219, "EUR"),
    ),
}
_IN_EUROS = {euros_converted_by_the_provider}


@pytest.fixture(params=databases.engines_of_pages())
def engine(request: pytest.FixtureRequest) -> str:
    """SQLite; at full depth both."""
    return str(request.param)


def open_account(database: Database, policy: str, currency: str) -> str:
    """An account in Germany for whom a query costs 0.01."""
    own = rating.book("per_unit", code="book-calla", unit_price="0.01")
    with database.transaction("jobs") as session:
        loaded = activations.install(session, own, now=rating.NOW, actor="test")
        plan = "calla-plan"
        plans.create_plan(session, now=rating.NOW, code=plan, name=plan, book_code=loaded.code, valid_from=plans.ALWAYS)
        account = onboarding.open_account(
            session, now=rating.NOW, code=OURS, policy=policy, plan_code=plan, currency=currency
        )
        profiles.update_profile(session, now=NOW, account_id=account.id, facts=GERMANY)
        staff.hire_two(session)
        staff.hire(session, ASKER, DECIDER)
        return account.id


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer() as found:
        found.clock.set(int(NOW.timestamp()))
        yield found


@pytest.mark.parametrize("policy", ["prepaid", "postpaid"])
@pytest.mark.parametrize("walked", WALKS, ids=lambda walked: walked.__name__)
def test_money_in_and_out(database: Database, peer: StripeServer, policy: str, walked: Callable[[Walk], None]) -> None:
    account_id = open_account(database, policy, "EUR" if walked in _IN_EUROS else "USD")
    walk = Walk(World(database=database, customer=StripeCustomer(peer), account_id=account_id, now=NOW), peer)
    walked(walk)
    assert walk.moved() == sorted(WALKS[walked])
    assert reconciles(walk)


def reconciles(walk: Walk) -> bool:
    """The provider's movements and ours explain each other, once they were read and had their time."""
    for _ in range(2):
        walk.later(hours=2)
        walk.jobs()
    with walk.database.reading("jobs") as session:
        assert reconciliation.compare(session, now=walk.world.now).found == []
    return True


def test_every_kind_of_money_in_and_out_has_a_walk() -> None:
    assert {move[1] for moves in WALKS.values() for move in moves} == CONCERNED
    assert len(CONCERNED) >= 17
