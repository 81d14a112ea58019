"""Charges without the customer in the sandbox: the last four digits of the saved card decide, as on Stripe's test cards."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel import clock
from billing.kernel.ids import new_id
from billing.payments.errors import ProviderRefused
from billing.payments.providers import envelopes, facts
from billing.payments.providers.ports.charges import ChargeFacts, ChargeRequest
from billing.payments.providers.sandbox.memory import SignedEvent, get, known
from billing.payments.providers.sandbox.movements import Movements, fee_of
from billing.payments.tables import SandboxObject
from billing.reference import provider_currencies

# https://docs.stripe.com/testing: what the bank says to each test card.
DECLINES = {
    "0002": ("card_declined", "generic_decline"),
    "0341": ("card_declined", "generic_decline"),
    "9995": ("card_declined", "insufficient_funds"),
    "9987": ("card_declined", "lost_card"),
    "9979": ("card_declined", "stolen_card"),
    "0069": ("expired_card", "expired_card"),
    "3155": ("authentication_required", "authentication_required"),
    "3184": ("authentication_required", "authentication_required"),
    "3220": ("authentication_required", "authentication_required"),
}


class Charges(Movements):
    """ports.charges, answered by ourselves."""

    def charge(self, request: ChargeRequest) -> ChargeFacts:
        """Asked once under its key: the same request gives the same answer, also a decline."""
        asked = {
            "amount": provider_currencies.to_stripe(request.amount),
            "currency": request.amount.currency.lower(),
            "customer": request.customer_id,
            "payment_method": request.method_id,
            "description": request.title,
            "metadata": envelopes.metadata(request.reference, request.correlation_id),
        }
        with self.database.transaction() as session:
            before = known(session, request.reference, asked)
            if before is not None:
                return facts.charge_facts(get(session, before["id"], "payment_intent").body)
            method = get(session, request.method_id, "payment_method")
            if method.body.get("customer") != request.customer_id:
                raise ProviderRefused("resource_missing", request.method_id)
            body = self._answer(session, asked | {"id": new_id("pi")}, method.body)
            item = self.add(
                session, "payment_intent", "pi", request.reference, body, asked, reference=request.reference
            )
        return facts.charge_facts(item)

    def fetch_charge(self, intent_id: str) -> ChargeFacts:
        """The intent as it is now."""
        with self.database.reading() as session:
            return facts.charge_facts(get(session, intent_id, "payment_intent").body)

    def find_charge(self, *, reference: str, customer_id: str, since: datetime) -> ChargeFacts | None:
        """The intent made for that reference, or None."""
        query = select(SandboxObject).where(
            SandboxObject.kind == "payment_intent", SandboxObject.reference == reference
        )
        with self.database.reading() as session:
            row = session.execute(query).scalars().first()
            return None if row is None else facts.charge_facts(row.body)

    def end_charge(self, intent_id: str) -> ChargeFacts:
        """Nothing waits for the customer in the sandbox: the bank has declined already."""
        return self.fetch_charge(intent_id)

    def expire_checkout(self, checkout_id: str) -> None:
        """The page is closed. Raises ProviderRefused unless it is open."""
        with self.database.transaction() as session:
            row = get(session, checkout_id, "checkout.session", lock=True)
            if row.body["status"] != "open":
                raise ProviderRefused("checkout_not_open", checkout_id)
            row.body = row.body | {"status": "expired"}
            session.flush()

    def settle_charge(self, intent_id: str, *, now: datetime, is_paid: bool) -> SignedEvent:
        """The bank's answer to a debit, days later: the event that tells it."""
        with self.database.transaction() as session:
            row = get(session, intent_id, "payment_intent", lock=True)
            if row.body["status"] != "processing":
                raise ProviderRefused("payment_intent_unexpected_state", intent_id)
            details = row.body["latest_charge"]["payment_method_details"]
            row.body = row.body | (
                self._paid(session, row.body, details)
                if is_paid
                else _declined("insufficient_funds", "insufficient_funds")
            )
            session.flush()
            return self.event(f"payment_intent.{'succeeded' if is_paid else 'payment_failed'}", row.body, now)

    def _answer(self, session: Session, asked: dict[str, Any], method: dict[str, Any]) -> dict[str, Any]:
        kind = str(method.get("type", "card"))
        details = {"type": kind, kind: {name: method[kind].get(name) for name in ("brand", "last4") if kind in method}}
        body = asked | {
            "object": "payment_intent",
            "amount_received": 0,
            "livemode": False,
            "latest_charge": None,
            "last_payment_error": None,
        }
        if kind == "sepa_debit":
            charge = {"id": new_id("py"), "object": "charge", "payment_method_details": details}
            return body | {"status": "processing", "latest_charge": charge}
        decline = DECLINES.get(str(method[kind].get("last4", "")))
        return body | (_declined(*decline) if decline else self._paid(session, body, details))

    def _paid(self, session: Session, body: dict[str, Any], details: dict[str, Any]) -> dict[str, Any]:
        amount, currency, now = body["amount"], body["currency"], self.read_clock()
        charge = {
            "id": new_id("ch"),
            "object": "charge",
            "currency": currency,
            "created": clock.to_millis(now) // 1000,
            "payment_method_details": details,
        }
        charge["balance_transaction"] = self.move(
            session,
            type="charge",
            source=charge,
            amount=amount,
            fee=fee_of(amount, currency),
            now=now,
            payment_id=body["id"],
        )
        return {"status": "succeeded", "amount_received": body["amount"], "latest_charge": charge}


def _declined(code: str, decline_code: str) -> dict[str, Any]:
    return {
        "status": "requires_payment_method",
        "latest_charge": None,
        "last_payment_error": {"code": code, "decline_code": decline_code},
    }
