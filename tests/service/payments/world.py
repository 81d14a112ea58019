"""One billing account, one provider and the customer who pays, for the tests of payments and refunds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import select

from billing.catalog import onboarding
from billing.controls import second_person
from billing.kernel.money import Money
from billing.ledger import balances
from billing.payments import acts, apply, refunds, sessions, webhooks
from billing.payments.providers.port import Provider
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.checkouts import CARD
from billing.payments.providers.stripe.adapter import StripeProvider
from billing.payments.refunds import RefundRow
from billing.payments.sessions import PaymentRow, SessionRow
from billing.payments.tables import ProviderEvent
from billing.storage.database import Database
from tests import staff
from tests.peers.stripe.server import StripeServer

# The peer's clock stands still at this time, however long the run takes.
NOW = datetime.now(UTC).replace(microsecond=0)
OPENED_AT = datetime(2026, 1, 1, tzinfo=UTC)
ASKER, DECIDER = "usr_asker", "usr_decider"
Delivery = tuple[bytes, dict[str, str]]


class Customer(Protocol):
    """Someone at the provider's page; each act gives the webhook deliveries that it causes."""

    provider: Provider

    def pay(self, row: SessionRow) -> list[Delivery]: ...

    def decline(self, row: SessionRow) -> list[Delivery]: ...

    def abandon(self, row: SessionRow) -> list[Delivery]: ...


class SandboxCustomer:
    """Pays on the sandbox's page."""

    def __init__(self, database: Database) -> None:
        self.provider = SandboxProvider(secret="sandbox secret", base_url="http://127.0.0.1:8000", database=database)
        self.last4 = CARD

    def pay(self, row: SessionRow) -> list[Delivery]:
        event = self.provider.pay(str(row.provider_session_id), now=NOW, last4=self.last4)
        return [(event.body, event.headers)]

    def decline(self, row: SessionRow) -> list[Delivery]:
        event = self.provider.decline(str(row.provider_session_id), now=NOW)
        return [(event.body, event.headers)]

    def abandon(self, row: SessionRow) -> list[Delivery]:
        event = self.provider.abandon(str(row.provider_session_id), now=NOW)
        return [(event.body, event.headers)]


class StripeCustomer:
    """Pays on the peer's page; our side speaks to the peer with the real SDK."""

    def __init__(self, peer: StripeServer) -> None:
        self.peer = peer
        self.provider = StripeProvider(secret_key="sk_test_peer", webhook_secret=peer.webhook_secret, api_base=peer.url)

    def pay(self, row: SessionRow) -> list[Delivery]:
        return self._told(lambda objects: objects.pay(str(row.provider_session_id)))

    def decline(self, row: SessionRow) -> list[Delivery]:
        return self._told(lambda objects: objects.decline(str(row.provider_session_id)))

    def abandon(self, row: SessionRow) -> list[Delivery]:
        return self._told(lambda objects: objects.expire(str(row.provider_session_id)))

    def _told(self, act: Any) -> list[Delivery]:
        with self.peer.playing() as objects:
            before = len(objects.events)
            act(objects)
            return [self.peer.signed(event) for event in objects.events[before:]]


@dataclass
class World:
    """The account and what tests do with it again and again. `now` may be moved forward."""

    database: Database
    customer: Customer
    account_id: str
    now: datetime = NOW
    keys: Iterator[int] = field(default_factory=lambda: iter(range(10**6)))

    @property
    def provider(self) -> Provider:
        return self.customer.provider

    @property
    def providers(self) -> dict[str, Provider]:
        return {self.provider.name: self.provider}

    def start(self, minor: int = 5000, *, form_key: str | None = None, **more: Any) -> SessionRow:
        """Press "pay": the intent and the provider's checkout."""
        return acts.start_checkout(
            self.database,
            self.provider,
            now=self.now,
            account_id=self.account_id,
            purpose=more.pop("purpose", "top_up"),
            amount=Money(minor=minor, currency=more.pop("currency", "USD")),
            form_key=form_key or f"form-{next(self.keys)}",
            actor=ASKER,
            return_url_of=lambda session_id: f"http://127.0.0.1:8000/add-funds/{session_id}",
            **more,
        )

    def deliver(self, *deliveries: Delivery) -> list[str]:
        """Webhooks as they arrive: stored, then applied; the state of each event afterwards."""
        states = []
        for body, headers in deliveries:
            with self.database.transaction() as session:
                received = webhooks.receive(session, now=NOW, provider=self.provider, raw_body=body, headers=headers)
            states.append(apply.apply_event(self.database, self.providers, received.id, now=self.now))
        return states

    def top_up(self, minor: int = 5000) -> PaymentRow:
        """A payment that has arrived."""
        row = self.start(minor)
        self.deliver(*self.customer.pay(row))
        return next(payment for payment in self.payments() if payment.session_id == row.id)

    def session(self, row: SessionRow) -> SessionRow:
        with self.database.reading() as session:
            return sessions.get_session(session, account_id=self.account_id, session_id=row.id)

    def payments(self) -> list[PaymentRow]:
        with self.database.reading() as session:
            return sessions.list_payments(session, account_id=self.account_id)

    def held(self, name: str = "wallet") -> int:
        """What a book account of the tenant holds, in cents."""
        with self.database.reading() as session:
            rows = balances.of_account(session, self.account_id, currency="USD")
        return int(getattr(rows[0], f"{name}_minor"))

    def events(self) -> list[ProviderEvent]:
        with self.database.reading("jobs") as session:
            return list(session.execute(select(ProviderEvent).order_by(ProviderEvent.id)).scalars())

    def ask(self, payment: PaymentRow, minor: int, *, form_key: str | None = None) -> RefundRow:
        """A tenant asks for money back to the card."""
        with self.database.transaction() as session:
            return refunds.request(
                session,
                now=self.now,
                account_id=self.account_id,
                mode="card",
                amount=Money(minor=minor, currency="USD"),
                reason="Paid twice",
                form_key=form_key or f"refund-{next(self.keys)}",
                actor=ASKER,
                payment_id=payment.id,
            )

    def approve(self, refund: RefundRow, *, actor: str = DECIDER) -> RefundRow:
        with self.database.transaction() as session:
            second_person.approve(
                session,
                now=self.now,
                approval_id=str(refund.approval_id),
                content_hash=str(refund.content_hash),
                checker=actor,
            )
            return refunds.get_request(session, refund_id=refund.id)

    def reject(self, refund: RefundRow, note: str, *, actor: str = DECIDER) -> RefundRow:
        with self.database.transaction() as session:
            second_person.reject(session, now=self.now, approval_id=str(refund.approval_id), checker=actor, note=note)
            return refunds.get_request(session, refund_id=refund.id)

    def send(self, refund: RefundRow) -> RefundRow:
        return acts.send_refund(self.database, self.providers, now=self.now, refund_id=refund.id)

    def refund(self, refund: RefundRow) -> RefundRow:
        with self.database.reading() as session:
            return refunds.get_request(session, refund_id=refund.id)

    def later(self, **how_long: int) -> None:
        """Let time pass on our side."""
        self.now += timedelta(**how_long)


def open_world(database: Database, customer: Customer, code: str = "calla", **more: Any) -> World:
    """An account of its own with that provider."""
    with database.transaction() as session:
        account_id = onboarding.open_account(session, now=OPENED_AT, code=code, **more).id
        staff.hire(session, ASKER, DECIDER)
    return World(database=database, customer=customer, account_id=account_id)


@contextmanager
def customer_of(name: str, database: Database) -> Iterator[Customer]:
    """The customer of that provider; the peer lives as long as the block."""
    if name == "sandbox":
        yield SandboxCustomer(database)
        return
    with StripeServer(hears=sorted(webhooks.HANDLED_TYPES)) as peer:
        peer.clock.set(int(NOW.timestamp()))
        yield StripeCustomer(peer)
