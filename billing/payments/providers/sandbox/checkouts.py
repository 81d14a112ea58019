"""Hosted checkouts of the sandbox, and what a person does on their page."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel import clock
from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id
from billing.payments.providers import customer_facts, envelopes, facts
from billing.payments.providers.envelopes import METADATA_KEY
from billing.payments.providers.port import CheckoutFacts, CheckoutRequest, ListedPayment, PaymentPage
from billing.payments.providers.ports.customers import MethodFacts
from billing.payments.providers.sandbox.customers import living, methods_of, shown_of
from billing.payments.providers.sandbox.memory import SignedEvent, get
from billing.payments.providers.sandbox.movements import Movements, fee_of
from billing.payments.tables import SandboxObject
from billing.reference import provider_currencies

_CHECKOUT_LIFE = timedelta(hours=24)
CARD = "4242"
_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class SandboxCheckout:
    """What the checkout page shows."""

    id: str
    facts: CheckoutFacts
    title: str
    success_url: str
    cancel_url: str
    saved: tuple[MethodFacts, ...] = ()


class Checkouts(Movements):
    """The port's checkouts, answered by ourselves."""

    def create_checkout(self, request: CheckoutRequest) -> CheckoutFacts:
        """A checkout whose page is on this portal."""
        body = {
            "object": "checkout.session",
            "amount_total": provider_currencies.to_stripe(request.amount),
            "currency": request.amount.currency.lower(),
            "client_reference_id": request.reference,
            "customer": request.customer_id,
            "livemode": False,
            "metadata": envelopes.metadata(request.reference, request.correlation_id),
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "title": request.title,
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
        }
        with self.database.reading() as session:
            living(session, request.customer_id)
        key = request.reference + request.key_suffix
        item = self.create("checkout.session", "cs_test", key, body, reference=request.reference)
        return self.fetch_checkout(item["id"])

    def fetch_checkout(self, checkout_id: str) -> CheckoutFacts:
        """The checkout as it is now, its payment intent expanded."""
        with self.database.reading() as session:
            return self._checkout_facts(session, get(session, checkout_id, "checkout.session"))

    def find_checkout(self, *, reference: str, customer_id: str, since: datetime) -> CheckoutFacts | None:
        """The checkout made for that reference, or None."""
        query = select(SandboxObject).where(
            SandboxObject.kind == "checkout.session", SandboxObject.reference == reference
        )
        with self.database.reading() as session:
            row = session.execute(query).scalars().first()
            return None if row is None else self._checkout_facts(session, row)

    def list_payments(self, *, since: datetime, until: datetime, cursor: str | None = None) -> PaymentPage:
        """Payment intents by their time of creation, newest first."""
        query = (
            select(SandboxObject)
            .where(
                SandboxObject.kind == "payment_intent",
                SandboxObject.created_at >= since,
                SandboxObject.created_at < until,
            )
            .order_by(SandboxObject.id.desc())
            .limit(_PAGE + 1)
        )
        if cursor is not None:
            query = query.where(SandboxObject.id < cursor)
        with self.database.reading() as session:
            rows = list(session.execute(query).scalars())
        return PaymentPage(
            payments=facts.listed_payments([_dated(row) for row in rows[:_PAGE]]),
            next_cursor=rows[_PAGE - 1].id if len(rows) > _PAGE else None,
        )

    def fetch_payment(self, payment_id: str) -> ListedPayment:
        """One payment as it is now."""
        with self.database.reading() as session:
            return facts.listed_payment(_dated(get(session, payment_id, "payment_intent")))

    def show(self, checkout_id: str) -> SandboxCheckout:
        """What the checkout page shows. Raises ProviderRefused(resource_missing) for an unknown id."""
        with self.database.reading() as session:
            row = get(session, checkout_id, "checkout.session")
            found = self._checkout_facts(session, row)
            saved = tuple(customer_facts.method(item.body) for item in methods_of(session, str(row.body["customer"])))
        return SandboxCheckout(
            id=row.id,
            facts=found,
            title=row.body["title"],
            success_url=row.body["success_url"],
            cancel_url=row.body["cancel_url"],
            saved=saved,
        )

    def pay(self, checkout_id: str, *, now: datetime, last4: str = CARD) -> SignedEvent:
        """The customer pays: the checkout completes. Raises Conflict unless it is open."""
        with self.database.transaction() as session:
            row = self._open_checkout(session, checkout_id)
            amount, currency = row.body["amount_total"], row.body["currency"]
            charge = {
                "id": new_id("ch"),
                "object": "charge",
                "currency": currency,
                "created": clock.to_millis(now) // 1000,
                "payment_method_details": shown_of(last4),
            }
            intent = self._intent(row, status="succeeded", received=amount, charge=charge)
            charge["balance_transaction"] = self.move(
                session,
                type="charge",
                source=charge,
                amount=amount,
                fee=fee_of(amount, currency),
                now=now,
                payment_id=intent["id"],
            )
            self.add(session, "payment_intent", "pi", None, intent, None, reference=row.reference)
            row.body = row.body | {"status": "complete", "payment_status": "paid", "payment_intent": intent["id"]}
            session.flush()
            return self.event("checkout.session.completed", row.body, now)

    def decline(self, checkout_id: str, *, now: datetime) -> SignedEvent:
        """The card is declined: the checkout stays open for another try. Raises Conflict unless it is open."""
        with self.database.transaction() as session:
            row = self._open_checkout(session, checkout_id)
            intent = self._intent(row, status="requires_payment_method", received=0, charge=None)
            intent["last_payment_error"] = {"code": "card_declined", "decline_code": "insufficient_funds"}
            self.add(session, "payment_intent", "pi", None, intent, None, reference=row.reference)
            row.body = row.body | {"payment_intent": intent["id"]}
            session.flush()
            return self.event("payment_intent.payment_failed", intent, now)

    def abandon(self, checkout_id: str, *, now: datetime) -> SignedEvent:
        """The customer leaves for good: the checkout expires unpaid. Raises Conflict unless it is open."""
        with self.database.transaction() as session:
            row = self._open_checkout(session, checkout_id)
            row.body = row.body | {"status": "expired"}
            session.flush()
            return self.event("checkout.session.expired", row.body, now)

    def _open_checkout(self, session: Session, checkout_id: str) -> SandboxObject:
        row = get(session, checkout_id, "checkout.session", lock=True)
        if row.body["status"] != "open" or self._is_over(row):
            raise Conflict(checkout_id=checkout_id, reason="checkout_not_open")
        return row

    def _checkout_facts(self, session: Session, row: SandboxObject) -> CheckoutFacts:
        body = row.body | {"url": f"{self.base_url}/sandbox/checkout/{row.id}"}
        if self._is_over(row):
            body["status"] = "expired"
        if body["payment_intent"] is not None:
            body["payment_intent"] = get(session, body["payment_intent"], "payment_intent").body
        return facts.checkout_facts(body)

    def _is_over(self, row: SandboxObject) -> bool:
        return row.body["status"] == "open" and row.created_at + _CHECKOUT_LIFE < self.read_clock()

    @staticmethod
    def _intent(row: SandboxObject, *, status: str, received: int, charge: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "id": new_id("pi"),
            "object": "payment_intent",
            "amount": row.body["amount_total"],
            "amount_received": received,
            "currency": row.body["currency"],
            "customer": row.body["customer"],
            "latest_charge": charge,
            "livemode": False,
            "metadata": {METADATA_KEY: row.reference},
            "status": status,
        }


def _dated(row: SandboxObject) -> dict[str, Any]:
    return {"created": clock.to_millis(row.created_at) // 1000} | row.body
