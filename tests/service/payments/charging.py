"""An account with a saved method, at either provider, and the acts of the tests that charge it without the customer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from billing.controls.dunning import due
from billing.invoicing import settlement
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments.charges import acts, agreements, history
from billing.payments.charges.agreements import TopUp
from billing.payments.charges.history import AttemptRow
from billing.payments.customers import acts as customers
from billing.payments.customers.tables import PaymentMethod
from billing.payments.providers.port import Provider
from billing.payments.sessions import SessionRow
from billing.payments.tables import PaymentSession, SandboxObject
from billing.storage.database import Database
from billing.storage.tables import OutboxMessage
from tests.peers.stripe import cards
from tests.peers.stripe.play import IBAN
from tests.service.invoicing import world as invoicing
from tests.service.payments.world import NOW, SandboxCustomer, StripeCustomer, World, customer_of, open_world

AGREED_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
# Stripe's names of cards by the last four digits that the sandbox knows them by.
LAST4 = {
    "visa": "4242",
    "chargeCustomerFail": "0341",
    "chargeDeclinedInsufficientFunds": "9995",
    "chargeDeclinedLostCard": "9987",
    "authenticationRequired": "3184",
}


@dataclass
class Charging:
    """An account whose people agreed to be charged. `world` holds the provider, and tests pay by hand through it."""

    world: World
    customer_id: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.world.database

    @property
    def providers(self) -> dict[str, Provider]:
        return self.world.providers

    @property
    def stripe(self) -> StripeCustomer:
        assert isinstance(self.world.customer, StripeCustomer)
        return self.world.customer

    def link(self) -> None:
        """Make the account known to the provider."""
        self.customer_id = customers.ensure_customer(
            self.database, self.world.provider, now=AGREED_AT, account_id=self.world.account_id
        )

    def save(self, card: str = "visa", *, kind: str = "card") -> str:
        """Save a method as the default; our id of it. The bank's mind may change once it is saved."""
        if not self.customer_id:
            self.link()
        named = (
            self._at_stripe(card, kind) if isinstance(self.world.customer, StripeCustomer) else self._here(card, kind)
        )
        method_id = new_id("met")
        with self.database.transaction() as session:
            for item in session.scalars(
                select(PaymentMethod).where(PaymentMethod.billing_account_id == self.world.account_id)
            ):
                item.is_default = False
            session.flush()
            session.add(
                PaymentMethod(
                    id=method_id,
                    billing_account_id=self.world.account_id,
                    provider=self.world.provider.name,
                    provider_method_id=named,
                    customer_id=self.customer_id,
                    kind=kind,
                    brand="visa" if kind == "card" else None,
                    last4=LAST4.get(card, "3000"),
                    exp_month=12 if kind == "card" else None,
                    exp_year=2034 if kind == "card" else None,
                    is_default=True,
                    saved_at=AGREED_AT,
                )
            )
        return method_id

    def agree(
        self, *, is_paying: bool = False, top_up: tuple[int, int, int] | None = None, currency: str = "USD"
    ) -> None:
        """Turn automatic payment on, or automatic top-up of (threshold, amount, cap) in minor units."""
        with self.database.transaction() as session:
            before = agreements.get(session, self.world.account_id)
            figures = None
            if top_up is not None:
                threshold, amount, cap = (Money(minor=minor, currency=currency) for minor in top_up)
                figures = TopUp(threshold=threshold, amount=amount, cap=cap)
            agreements.change(
                session,
                now=self.world.now,
                account_id=self.world.account_id,
                is_paying=is_paying or before.is_paying,
                is_topping_up=figures is not None or before.is_topping_up,
                top_up=figures,
                version=before.version,
                providers=self.providers,
                actor="usr_ada",
            )

    def run(self) -> int:
        """The job `charges`."""
        return due.run(self.database, self.providers, now=self.world.now)

    def charge(self, invoice: InvoiceHeader, step: str = "due+0") -> str:
        """One charge of the invoice, as the job makes it."""
        return acts.charge_invoice(
            self.database,
            self.providers,
            now=self.world.now,
            account_id=self.world.account_id,
            invoice_id=invoice.id,
            step=step,
            next_try_on=None,
        )

    def top_up(self) -> str:
        return acts.top_up(self.database, self.providers, now=self.world.now, account_id=self.world.account_id)

    def look_up(self, attempt: AttemptRow) -> bool:
        return acts.look_up(self.database, self.world.provider, now=self.world.now, session_id=attempt.session_id)

    def attempts(self) -> list[AttemptRow]:
        """All tries, newest first."""
        with self.database.reading() as session:
            return history.list_attempts(session, account_id=self.world.account_id)

    def sessions(self) -> list[PaymentSession]:
        with self.database.reading() as session:
            return list(session.scalars(select(PaymentSession).order_by(PaymentSession.id)))

    def open_minor(self, invoice: InvoiceHeader) -> int:
        with self.database.reading() as session:
            return settlement.open_minor(session, invoice.id)

    def told(self, topic: str) -> list[dict[str, Any]]:
        with self.database.reading("jobs") as session:
            query = select(OutboxMessage.payload).where(OutboxMessage.topic == topic).order_by(OutboxMessage.id)
            return list(session.scalars(query))

    def at(self, year: int, month: int, day: int, hour: int = 12) -> None:
        """Set our clock, and the peer's with it."""
        self.world.now = datetime(year, month, day, hour, tzinfo=UTC)
        if isinstance(self.world.customer, StripeCustomer):
            self.world.customer.peer.clock.set(int(self.world.now.timestamp()))

    def deliver(self, *events: Any) -> list[str]:
        """Events as they arrive, signed at the time of the run, whatever our own clock says."""
        self.stripe.peer.clock.set(int(NOW.timestamp()))
        return self.world.deliver(*(self.stripe.peer.signed(event) for event in events))

    def pay(self, row: SessionRow) -> None:
        """The customer pays by hand on the provider's page, and we hear of it."""
        if isinstance(self.world.customer, StripeCustomer):
            self.stripe.peer.clock.set(int(NOW.timestamp()))
        assert set(self.world.deliver(*self.world.customer.pay(row))) == {"processed"}

    def charged_minor(self) -> list[int]:
        """The amounts that the provider took, oldest first."""
        if isinstance(self.world.customer, StripeCustomer):
            with self.stripe.peer.playing() as objects:
                taken = [one["amount"] for one in objects.all("charge") if one["paid"]]
            return list(reversed(taken))
        with self.database.reading() as session:
            rows = session.scalars(
                select(SandboxObject).where(SandboxObject.kind == "payment_intent").order_by(SandboxObject.id)
            )
            return [row.body["amount_received"] for row in rows if row.body["status"] == "succeeded"]

    def change_mind(self, method_id: str, card: str) -> None:
        """The bank behind a saved card answers from now on as that test card's does."""
        with self.database.reading() as session:
            named = session.get_one(PaymentMethod, method_id).provider_method_id
        if isinstance(self.world.customer, StripeCustomer):
            with self.stripe.peer.playing() as objects:
                objects.by_id[named]["_card"] = cards.BY_NAME[f"pm_card_{card}"]
            return
        with self.database.transaction() as session:
            row = session.get_one(SandboxObject, named)
            row.body = row.body | {"card": row.body["card"] | {"last4": LAST4[card]}}

    def _at_stripe(self, card: str, kind: str) -> str:
        calls = self.stripe.provider
        if kind == "sepa_debit":
            created: str = calls.call(
                lambda client: (
                    client.v1.payment_methods.create(
                        {"type": "sepa_debit", "sepa_debit": {"iban": IBAN}}  # type: ignore[typeddict-item]
                    ).id
                )
            )
        else:
            created = "pm_card_visa"
        attached = calls.call(
            lambda client: client.v1.payment_methods.attach(created, {"customer": self.customer_id}).id
        )
        if card != "visa" and kind == "card":
            with self.stripe.peer.playing() as objects:
                objects.by_id[attached]["_card"] = cards.BY_NAME[f"pm_card_{card}"]
        return attached

    def _here(self, card: str, kind: str) -> str:
        shown = {"brand": "visa", "last4": LAST4[card]} if kind == "card" else {"last4": "3000"}
        named = new_id("pm")
        with self.database.transaction() as session:
            session.add(
                SandboxObject(
                    id=named,
                    kind="payment_method",
                    reference=None,
                    parent_id=None,
                    idempotency_key=None,
                    request_hash=None,
                    body={
                        "id": named,
                        "object": "payment_method",
                        "type": kind,
                        "customer": self.customer_id,
                        kind: shown,
                    },
                    created_at=AGREED_AT,
                )
            )
        return named


@contextmanager
def charging_at(name: str, database: Database, **more: Any) -> Iterator[Charging]:
    """An account at that provider, without a method yet."""
    with customer_of(name, database) as customer:
        made = Charging(world=open_world(database, customer, **more))
        made.at(2026, 11, 21)
        yield made


def billed(charging: Charging, net_minor: int = 10_000, code: str = "billed") -> InvoiceHeader:
    """An invoice of 100.00 net, 119.00 gross, issued on 21 November 2026; the account is its own from now on."""
    invoice = invoicing.invoice_of(charging.database, net_minor, code=code)
    charging.world.account_id = invoice.billing_account_id
    return invoice


def days_after(invoice: InvoiceHeader, days: int) -> tuple[int, int, int]:
    """(year, month, day) so many days after the invoice is due."""
    assert invoice.due_on is not None
    on = invoice.due_on + timedelta(days=days)
    return on.year, on.month, on.day


__all__ = ["Charging", "SandboxCustomer", "billed", "charging_at", "days_after"]
