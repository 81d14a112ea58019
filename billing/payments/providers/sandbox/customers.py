"""Customers in the sandbox, their saved methods, and what a person does on the pages for them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id
from billing.payments.errors import ProviderRefused
from billing.payments.providers import customer_facts, envelopes
from billing.payments.providers.envelopes import METADATA_KEY
from billing.payments.providers.ports.customers import CustomerFacts, MethodFacts, SetupFacts, SetupRequest
from billing.payments.providers.sandbox.memory import Memory, SignedEvent, get
from billing.payments.tables import SandboxObject

SETUP, METHOD, PORTAL = "setup.session", "payment_method", "billing_portal.session"
_SETUP_LIFE, _PORTAL_LIFE = timedelta(hours=24), timedelta(minutes=30)
# What can be saved on the sandbox's pages: the last four digits decide what happens when it is charged.
CARDS: dict[str, dict[str, Any]] = {
    "4242": {"brand": "visa", "country": "US"},
    "4444": {"brand": "mastercard", "country": "US"},
    "0341": {"brand": "visa", "country": "US"},
    "3155": {"brand": "visa", "country": "US"},
    "9995": {"brand": "visa", "country": "US"},
}
DEBIT = "3000"  # the end of Stripe's test IBAN DE89 3704 0044 0532 0130 00


@dataclass(frozen=True, kw_only=True)
class SandboxPage:
    """What the page for saving a method, or the portal, shows. `is_open` is False once it is over."""

    id: str
    is_open: bool
    success_url: str
    cancel_url: str
    methods: tuple[MethodFacts, ...] = ()
    default_id: str | None = None


class Customers(Memory):
    """ports.customers, answered by ourselves."""

    def create_customer(self, *, key: str, account_id: str, label: str) -> str:
        """A customer for the billing account, the same one each time."""
        body = {
            "object": "customer",
            "description": label,
            "invoice_settings": {"default_payment_method": None},
            "livemode": False,
            "metadata": {METADATA_KEY: account_id},
        }
        return str(self.create("customer", "cus", key, body, reference=account_id)["id"])

    def find_customer(self, *, account_id: str, since: datetime) -> CustomerFacts | None:
        """The newest living customer that carries the id."""
        query = select(SandboxObject).where(SandboxObject.kind == "customer", SandboxObject.reference == account_id)
        with self.database.reading() as session:
            rows = session.execute(query.order_by(SandboxObject.id.desc())).scalars()
            found = [customer_facts.customer(row.body) for row in rows]
        return next((facts for facts in found if not facts.is_deleted), None)

    def fetch_customer(self, customer_id: str) -> CustomerFacts:
        """The customer, also a deleted one."""
        with self.database.reading() as session:
            return customer_facts.customer(get(session, customer_id, "customer").body)

    def claim_customer(self, customer_id: str, *, account_id: str) -> None:
        """Our id beside whatever metadata there is."""
        with self.database.transaction() as session:
            row = living(session, customer_id)
            row.reference = account_id
            row.body = row.body | {"metadata": {**row.body.get("metadata", {}), METADATA_KEY: account_id}}
            session.flush()

    def list_methods(self, customer_id: str) -> list[MethodFacts]:
        """What hangs on the customer, newest first."""
        with self.database.reading() as session:
            living(session, customer_id)
            return [customer_facts.method(row.body) for row in methods_of(session, customer_id)]

    def set_default_method(self, customer_id: str, method_id: str) -> None:
        """Remembered on the customer. Raises ProviderRefused when it is not the customer's."""
        with self.database.transaction() as session:
            self._choose(session, customer_id, method_id)

    def detach_method(self, method_id: str) -> None:
        """Detached for ever."""
        with self.database.transaction() as session:
            self._detach(session, method_id)

    def create_setup(self, request: SetupRequest) -> SetupFacts:
        """A page of this portal on which a method is saved."""
        with self.database.reading() as session:
            living(session, request.customer_id)
        metadata = envelopes.metadata(request.reference, request.correlation_id)
        body = {
            "object": "checkout.session",
            "mode": "setup",
            "client_reference_id": request.reference,
            "currency": request.currency.lower(),
            "customer": request.customer_id,
            "livemode": False,
            "metadata": metadata,
            "payment_status": "no_payment_required",
            "setup_intent": {"id": None, "object": "setup_intent", "status": "requires_payment_method"},
            "status": "open",
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
        }
        key = request.reference + request.key_suffix
        item = self.create(SETUP, "cs_test", key, body, reference=request.reference)
        return self.fetch_setup(item["id"])

    def fetch_setup(self, setup_id: str) -> SetupFacts:
        """The page as it is now."""
        with self.database.reading() as session:
            return self._setup_facts(get(session, setup_id, SETUP))

    def find_setup(self, *, reference: str, customer_id: str) -> SetupFacts | None:
        """The page made for that reference, or None."""
        query = select(SandboxObject).where(SandboxObject.kind == SETUP, SandboxObject.reference == reference)
        with self.database.reading() as session:
            row = session.execute(query).scalars().first()
            return None if row is None else self._setup_facts(row)

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """A page of this portal, good for half an hour."""
        body = {"object": PORTAL, "customer": customer_id, "return_url": return_url, "livemode": False}
        with self.database.transaction() as session:
            living(session, customer_id)
            item = self.add(session, PORTAL, "bps", None, body, None, reference=customer_id)
        return f"{self.base_url}/sandbox/portal/{item['id']}"

    def show_setup(self, setup_id: str) -> SandboxPage:
        """What the page for saving shows. Raises ProviderRefused for an unknown id."""
        with self.database.reading() as session:
            row = get(session, setup_id, SETUP)
            facts = self._setup_facts(row)
        return SandboxPage(
            id=row.id,
            is_open=facts.state == "open",
            success_url=row.body["success_url"],
            cancel_url=row.body["cancel_url"],
        )

    def save(self, setup_id: str, *, now: datetime, last4: str) -> list[SignedEvent]:
        """The customer saves that card or account: the page completes. Raises Conflict unless it is open."""
        with self.database.transaction() as session:
            row = self._open_setup(session, setup_id)
            method = self._add_method(session, row.body["customer"], last4)
            intent = {
                "id": new_id("seti"),
                "object": "setup_intent",
                "customer": row.body["customer"],
                "livemode": False,
                "metadata": row.body["metadata"],
                "payment_method": method["id"],
                "status": "succeeded",
            }
            row.body = row.body | {"status": "complete", "setup_intent": intent}
            session.flush()
            return [
                self.event("payment_method.attached", method, now),
                self.event("setup_intent.succeeded", intent, now),
                self.event("checkout.session.completed", row.body, now),
            ]

    def refuse_saving(self, setup_id: str, *, now: datetime) -> list[SignedEvent]:
        """The bank declines: the page stays open for another try. Raises Conflict unless it is open."""
        with self.database.transaction() as session:
            row = self._open_setup(session, setup_id)
            intent = row.body["setup_intent"] | {
                "id": new_id("seti"),
                "livemode": False,
                "metadata": row.body["metadata"],
                "last_setup_error": {"code": "card_declined", "decline_code": "generic_decline"},
            }
            row.body = row.body | {"setup_intent": intent}
            session.flush()
            return [self.event("setup_intent.setup_failed", intent, now)]

    def abandon_saving(self, setup_id: str, *, now: datetime) -> list[SignedEvent]:
        """The customer leaves for good. Raises Conflict unless the page is open."""
        with self.database.transaction() as session:
            row = self._open_setup(session, setup_id)
            row.body = row.body | {"status": "expired"}
            session.flush()
            return [self.event("checkout.session.expired", row.body, now)]

    def show_portal(self, portal_id: str) -> SandboxPage:
        """What the portal shows. Raises ProviderRefused for an unknown id."""
        with self.database.reading() as session:
            row = get(session, portal_id, PORTAL)
            is_open = row.created_at + _PORTAL_LIFE >= self.read_clock()
            customer = living(session, row.body["customer"])
            return SandboxPage(
                id=row.id,
                is_open=is_open,
                success_url=row.body["return_url"],
                cancel_url=row.body["return_url"],
                methods=tuple(customer_facts.method(found.body) for found in methods_of(session, customer.id)),
                default_id=customer_facts.customer(customer.body).default_method_id,
            )

    def manage(self, portal_id: str, act: str, value: str, *, now: datetime) -> list[SignedEvent]:
        """One act in the portal: `add` a card by its last four digits, `default` or `remove` a method by its id.

        Raises Conflict when the page is over, ProviderRefused for a method of somebody else.
        """
        with self.database.transaction() as session:
            row = get(session, portal_id, PORTAL)
            if row.created_at + _PORTAL_LIFE < self.read_clock():
                raise Conflict(portal_id=portal_id, reason="portal_over")
            customer_id = row.body["customer"]
            if act == "add":
                return [self.event("payment_method.attached", self._add_method(session, customer_id, value), now)]
            if get(session, value, METHOD).body["customer"] != customer_id:
                raise ProviderRefused("resource_missing", value)
            if act == "remove":
                return [self.event("payment_method.detached", self._detach(session, value), now)]
            return [self.event("customer.updated", self._choose(session, customer_id, value), now)]

    def delete_customer(self, customer_id: str, *, now: datetime) -> SignedEvent:
        """Somebody deletes the customer at the provider's own pages; its methods hang on nobody any more."""
        with self.database.transaction() as session:
            row = living(session, customer_id)
            for method in methods_of(session, customer_id):
                method.body = method.body | {"customer": None}
            event = self.event("customer.deleted", row.body, now)
            row.body = {"id": row.id, "object": "customer", "deleted": True}
            session.flush()
            return event

    def _add_method(self, session: Session, customer_id: str, last4: str) -> dict[str, Any]:
        kind = "sepa_debit" if last4 == DEBIT else "card"
        details: dict[str, Any] = {"last4": last4, "bank_code": "37040044", "country": "DE"}
        if kind == "card":
            if last4 not in CARDS:
                raise ProviderRefused("incorrect_number", last4)
            details = CARDS[last4] | {"last4": last4, "exp_month": 12, "exp_year": self.read_clock().year + 8}
        living(session, customer_id)
        body = {"object": METHOD, "customer": customer_id, "livemode": False, "type": kind, kind: details}
        return self.add(session, METHOD, "pm", None, body, None, parent_id=customer_id)

    def _choose(self, session: Session, customer_id: str, method_id: str) -> dict[str, Any]:
        row = living(session, customer_id)
        if get(session, method_id, METHOD).body["customer"] != customer_id:
            raise ProviderRefused("resource_missing", method_id)
        row.body = row.body | {"invoice_settings": {"default_payment_method": method_id}}
        session.flush()
        return dict(row.body)

    def _detach(self, session: Session, method_id: str) -> dict[str, Any]:
        row = get(session, method_id, METHOD, lock=True)
        customer_id = row.body["customer"]
        row.body = row.body | {"customer": None}
        if customer_id is not None:
            customer = get(session, customer_id, "customer")
            if customer_facts.customer(customer.body).default_method_id == method_id:
                customer.body = customer.body | {"invoice_settings": {"default_payment_method": None}}
        session.flush()
        return dict(row.body)

    def _open_setup(self, session: Session, setup_id: str) -> SandboxObject:
        row = get(session, setup_id, SETUP, lock=True)
        if self._setup_facts(row).state != "open":
            raise Conflict(checkout_id=setup_id, reason="checkout_not_open")
        return row

    def _setup_facts(self, row: SandboxObject) -> SetupFacts:
        body = row.body | {"url": f"{self.base_url}/sandbox/setup/{row.id}"}
        if body["status"] == "open" and row.created_at + _SETUP_LIFE < self.read_clock():
            body["status"] = "expired"
        return customer_facts.setup(body)


def shown_of(last4: str) -> dict[str, Any]:
    """What a charge says about the method with which it was paid."""
    if last4 == DEBIT:
        return {"type": "sepa_debit", "sepa_debit": {"last4": last4}}
    return {"type": "card", "card": {"brand": CARDS.get(last4, CARDS["4242"])["brand"], "last4": last4}}


def living(session: Session, customer_id: str) -> SandboxObject:
    """The customer's row. Raises ProviderRefused for one that is unknown or deleted."""
    row = get(session, customer_id, "customer")
    if row.body.get("deleted"):
        raise ProviderRefused("resource_missing", customer_id)
    return row


def methods_of(session: Session, customer_id: str) -> list[SandboxObject]:
    """What hangs on the customer, newest first."""
    query = select(SandboxObject).where(SandboxObject.kind == METHOD, SandboxObject.parent_id == customer_id)
    rows = session.execute(query.order_by(SandboxObject.id.desc())).scalars()
    return [row for row in rows if row.body["customer"] == customer_id]
