"""Refunds in the sandbox."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.ids import new_id
from billing.payments.errors import ProviderRefused
from billing.payments.providers import envelopes, facts
from billing.payments.providers.port import RefundFacts, RefundRequestFacts
from billing.payments.providers.sandbox.memory import get, known
from billing.payments.providers.sandbox.movements import Movements
from billing.payments.tables import SandboxObject
from billing.reference import provider_currencies

CARD_WITHOUT_REFUND = "5126"  # as Stripe's test card: pays, but a refund to it fails later


class Refunds(Movements):
    """The port's refunds, answered by ourselves."""

    def refund(self, request: RefundRequestFacts) -> RefundFacts:
        """Money back to the card: at once, except to the card whose refunds fail, which stays pending first."""
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
            last4 = payment.body["latest_charge"]["payment_method_details"]["card"]["last4"]
            body["status"] = "pending" if last4 == CARD_WITHOUT_REFUND else "succeeded"
            body["id"] = new_id("re")
            moved = self.move(
                session, type="refund", source=body, amount=-amount, now=self.read_clock(), payment_id=payment.id
            )
            body["balance_transaction"] = moved["id"]
            item = self.add(session, "refund", "re", request.reference, body, asked, parent_id=payment.id)
        return facts.refund_facts(item)

    def fetch_refund(self, refund_id: str) -> RefundFacts:
        """The refund as it is now: a pending one has failed by the time somebody asks."""
        with self.database.transaction() as session:
            row = get(session, refund_id, "refund", lock=True)
            if row.body["status"] == "pending":
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
            return facts.refund_facts(row.body)

    def list_refunds(self, payment_id: str) -> list[RefundFacts]:
        """All refunds of a payment."""
        with self.database.reading() as session:
            return [facts.refund_facts(row.body) for row in _refund_rows(session, payment_id)]

    @staticmethod
    def _refunded(session: Session, payment_id: str) -> int:
        return sum(row.body["amount"] for row in _refund_rows(session, payment_id) if row.body["status"] != "failed")


def _refund_rows(session: Session, payment_id: str) -> list[SandboxObject]:
    query = select(SandboxObject).where(SandboxObject.parent_id == payment_id, SandboxObject.kind == "refund")
    return list(session.execute(query.order_by(SandboxObject.id)).scalars())
