"""Refunds in the sandbox."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel import clock
from billing.kernel.ids import new_id
from billing.payments.errors import ProviderRefused
from billing.payments.providers import envelopes, facts
from billing.payments.providers.port import RefundFacts, RefundRequestFacts
from billing.payments.providers.sandbox.memory import SignedEvent, get, known
from billing.payments.providers.sandbox.movements import Movements
from billing.payments.tables import SandboxObject
from billing.reference import provider_currencies

CARD_WITHOUT_REFUND = "5126"  # as Stripe's test card: pays, but a refund to it fails later
CARD_WITH_SLOW_REFUND = "7726"  # as Stripe's test card: a refund to it is pending first and succeeds later
CARD_THAT_ASKS = "0006"  # a refund to it waits for details from the customer, as with bank transfers at Stripe
_BEGINS = {CARD_WITHOUT_REFUND: "pending", CARD_WITH_SLOW_REFUND: "pending", CARD_THAT_ASKS: "requires_action"}


class Refunds(Movements):
    """The port's refunds, answered by ourselves."""

    def refund(self, request: RefundRequestFacts) -> RefundFacts:
        """Money back to the card: at once, except to the cards whose refunds are pending first, fail, or wait for details."""
        amount = provider_currencies.to_stripe(request.amount)
        body = {
            "object": "refund",
            "amount": amount,
            "currency": request.amount.currency.lower(),
            "metadata": envelopes.metadata(request.reference, request.correlation_id),
            "payment_intent": request.payment_id,
        }
        with self.database.transaction() as session:
            payment = get(session, request.payment_id, "payment_intent", lock=True)
            asked = dict(body)
            before = known(session, request.reference, asked)
            if before is not None:
                return facts.refund_facts(before)
            if amount > payment.body["amount_received"] - self._refunded(session, payment.id):
                raise ProviderRefused("amount_too_large", "the refund is greater than what is left of the charge")
            item = self._begin(session, payment, body, asked, key=request.reference)
        return facts.refund_facts(item)

    def refund_by_hand(self, payment_id: str, minor: int, *, now: datetime) -> SignedEvent:
        """Somebody refunds a payment on the sandbox's own pages, in its units; the event that tells it. Raises ProviderRefused."""
        with self.database.transaction() as session:
            payment = get(session, payment_id, "payment_intent", lock=True)
            if not 0 < minor <= payment.body["amount_received"] - self._refunded(session, payment.id):
                raise ProviderRefused("amount_too_large", "the refund is greater than what is left of the charge")
            body = {
                "object": "refund",
                "amount": minor,
                "currency": payment.body["currency"],
                "metadata": {},
                "payment_intent": payment.id,
                "reason": "requested_by_customer",
            }
            item = self._begin(session, payment, body, None, key=None)
        return self.event("refund.created", item, now)

    def fetch_refund(self, refund_id: str) -> RefundFacts:
        """The refund as it is now: a pending one has ended by the time somebody asks, as its card does."""
        with self.database.transaction() as session:
            row = get(session, refund_id, "refund", lock=True)
            if row.body["status"] == "pending":
                payment = get(session, row.body["payment_intent"], "payment_intent")
                self._end(session, row, _last4(payment))
            return facts.refund_facts(row.body)

    def cancel_refund(self, refund_id: str) -> RefundFacts:
        """End one that waits for details. Raises ProviderRefused for any other, as Stripe does."""
        with self.database.transaction() as session:
            row = get(session, refund_id, "refund", lock=True)
            if row.body["status"] != "requires_action":
                raise ProviderRefused("invalid_request", f"a refund that is {row.body['status']} cannot be canceled")
            row.body = row.body | {"status": "canceled"}
            session.flush()
            return facts.refund_facts(row.body)

    def list_refunds(self, payment_id: str) -> list[RefundFacts]:
        """All refunds of a payment."""
        with self.database.reading() as session:
            return [facts.refund_facts(row.body) for row in _refund_rows(session, payment_id)]

    def _begin(
        self,
        session: Session,
        payment: SandboxObject,
        body: dict[str, Any],
        asked: dict[str, Any] | None,
        *,
        key: str | None,
    ) -> dict[str, Any]:
        """The refund as it begins; its money leaves the balance unless details are waited for."""
        now = self.read_clock()
        status = _BEGINS.get(_last4(payment), "succeeded")
        body = body | {"id": new_id("re"), "status": status, "created": clock.to_millis(now) // 1000}
        if status != "requires_action":
            moved = self.move(
                session, type="refund", source=body, amount=-body["amount"], now=now, payment_id=payment.id
            )
            body["balance_transaction"] = moved["id"]
        return self.add(session, "refund", "re", key, body, asked, parent_id=payment.id)

    def _end(self, session: Session, row: SandboxObject, last4: str) -> None:
        if last4 == CARD_WITH_SLOW_REFUND:
            row.body = row.body | {"status": "succeeded"}
        else:
            back = self.move(
                session,
                type="refund_failure",
                source=row.body,
                amount=row.body["amount"],
                now=self.read_clock(),
                payment_id=row.parent_id,
            )
            row.body = row.body | {
                "status": "failed",
                "failure_reason": "expired_or_canceled_card",
                "failure_balance_transaction": back["id"],
            }
        session.flush()

    @staticmethod
    def _refunded(session: Session, payment_id: str) -> int:
        gone = ("failed", "canceled")
        return sum(row.body["amount"] for row in _refund_rows(session, payment_id) if row.body["status"] not in gone)


def _last4(payment: SandboxObject) -> str:
    details = payment.body["latest_charge"]["payment_method_details"]
    return str(details.get(details["type"], {}).get("last4", ""))


def _refund_rows(session: Session, payment_id: str) -> list[SandboxObject]:
    query = select(SandboxObject).where(SandboxObject.parent_id == payment_id, SandboxObject.kind == "refund")
    return list(session.execute(query.order_by(SandboxObject.id)).scalars())
