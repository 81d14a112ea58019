"""What people do about customers and saved methods, on our side and on the provider's pages; the same with both providers."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from billing.payments.customers import acts, links, listing, methods, saving, setups
from billing.payments.customers.methods import MethodRow
from billing.payments.customers.setups import SetupRow
from billing.payments.providers.port import Provider
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.tables import SandboxObject
from billing.storage.tables import AuditRecord
from tests.peers.stripe import cards
from tests.service.payments.world import ASKER, Delivery, SandboxCustomer, StripeCustomer, World


def ensure(world: World, provider: Provider | None = None) -> str:
    """The account's customer."""
    return acts.ensure_customer(
        world.database, provider or world.provider, now=world.now, account_id=world.account_id, actor=ASKER
    )


def relink(
    world: World, customer_id: str, *, provider: Provider | None = None, reason: str = "Merged at the provider"
) -> str:
    """An operator links another one."""
    return acts.relink(
        world.database,
        provider or world.provider,
        now=world.now,
        account_id=world.account_id,
        customer_id=customer_id,
        reason=reason,
        actor=ASKER,
    )


def remember(world: World, customer_id: str) -> None:
    """An older system's customer id, as an import brings it."""
    with world.database.transaction("jobs") as session:
        links.set_legacy_id(
            session, now=world.now, account_id=world.account_id, customer_id=customer_id, actor="cli:ada"
        )


def history(world: World) -> list[tuple[str, str, str | None]]:
    """(act, state, customer) of everything that was done to the link, oldest first."""
    with world.database.reading() as session:
        rows = listing.list_acts(session, account_id=world.account_id, provider=world.provider.name)
    return [(row.act, row.state, row.customer_id) for row in reversed(rows)]


def audited(world: World, act: str) -> list[dict[str, Any]]:
    """The facts of every audit row of that act."""
    with world.database.reading("jobs") as session:
        return list(session.execute(select(AuditRecord.facts).where(AuditRecord.act == act)).scalars())


def foreign_customer(world: World) -> str:
    """A customer that somebody else made at the provider: it says nothing of ours."""
    if isinstance(world.customer, StripeCustomer):
        with world.customer.peer.playing() as objects:
            return str(objects.create_customer(description="older system")["id"])
    body = {"object": "customer", "livemode": False, "metadata": {}}
    with world.database.transaction() as session:
        return str(sandbox(world).add(session, "customer", "cus", None, body, None)["id"])


def delete_at_provider(world: World, customer_id: str) -> list[Delivery]:
    """Somebody deletes it on the provider's own pages; the deliveries that follow."""
    if isinstance(world.customer, SandboxCustomer):
        event = world.customer.provider.delete_customer(customer_id, now=world.now)
        return [(event.body, event.headers)]
    return told(world, lambda objects: objects.delete_customer(customer_id))


def customers_at_provider(world: World) -> int:
    """How many there are that live."""
    if isinstance(world.customer, StripeCustomer):
        with world.customer.peer.playing() as objects:
            return len([item for item in objects.all("customer") if not item.get("deleted")])
    with world.database.reading() as session:
        rows = session.execute(select(SandboxObject).where(SandboxObject.kind == "customer")).scalars()
        return len([row for row in rows if not row.body.get("deleted")])


def begin_setup(world: World, **more: Any) -> SetupRow:
    """Press "add a payment method": the intent and the provider's page."""
    return saving.start_setup(
        world.database,
        world.provider,
        now=world.now,
        account_id=world.account_id,
        form_key=more.pop("form_key", None) or f"setup-{next(world.keys)}",
        actor=ASKER,
        return_url_of=lambda setup_id: f"http://127.0.0.1:8000/payment-methods/setups/{setup_id}",
        **more,
    )


def save_at_provider(world: World, row: SetupRow, last4: str = "4242") -> list[Delivery]:
    """The person saves a card on the provider's page."""
    page_id = str(row.provider_session_id)
    if isinstance(world.customer, SandboxCustomer):
        events = world.customer.provider.save(page_id, now=world.now, last4=last4)
        return [(event.body, event.headers) for event in events]
    card = next(card for card in cards.CARDS if card.number.endswith(last4))
    return told(world, lambda objects: objects.pay(page_id, card=card))


def abandon_at_provider(world: World, row: SetupRow) -> list[Delivery]:
    """The person leaves the page for good."""
    page_id = str(row.provider_session_id)
    if isinstance(world.customer, SandboxCustomer):
        events = world.customer.provider.abandon_saving(page_id, now=world.now)
        return [(event.body, event.headers) for event in events]
    return told(world, lambda objects: objects.expire(page_id))


def saved(world: World, last4: str = "4242", **more: Any) -> MethodRow:
    """A method that has been saved."""
    row = begin_setup(world, **more)
    world.deliver(*save_at_provider(world, row, last4))
    return next(method for method in shown(world) if method.last4 == last4)


def shown(world: World) -> list[MethodRow]:
    """The methods as our page shows them."""
    with world.database.reading() as session:
        return methods.list_methods(session, account_id=world.account_id)


def setup(world: World, row: SetupRow) -> SetupRow:
    """A setup as it stands."""
    with world.database.reading() as session:
        return setups.get_setup(session, account_id=world.account_id, setup_id=row.id)


def default(world: World) -> MethodRow | None:
    """What is charged when nobody chooses."""
    with world.database.reading() as session:
        return methods.default_method(session, account_id=world.account_id, provider=world.provider.name)


def manage(world: World, portal_url: str, act: str, value: str) -> list[Delivery]:
    """One act in the customer portal: add a card by its last four digits, default or remove a method by the provider's id."""
    portal_id = portal_url.rpartition("/")[2]
    if isinstance(world.customer, SandboxCustomer):
        events = world.customer.provider.manage(portal_id, act, value, now=world.now)
        return [(event.body, event.headers) for event in events]
    if act == "add":
        value = next(card.number for card in cards.CARDS if card.number.endswith(value))
    return told(world, lambda objects: objects.manage(portal_id, act, value))


def told(world: World, act: Callable[[Any], object]) -> list[Delivery]:
    """The deliveries that an act at the peer causes."""
    assert isinstance(world.customer, StripeCustomer)
    return world.customer._told(act)


def sandbox(world: World) -> SandboxProvider:
    """The sandbox behind this world."""
    assert isinstance(world.provider, SandboxProvider)
    return world.provider
