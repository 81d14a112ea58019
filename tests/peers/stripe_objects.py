"""What a Stripe-compatible server remembers: objects in Stripe's shapes, and how a customer's acts change them.

Shapes follow Stripe's public description (API 2026-10-28.endive), cut to the fields that callers of ours read. Everything is
guarded by one lock of the server, so the state itself is plain.
"""

import itertools
import time
from typing import Any

Item = dict[str, Any]

_MINIMUM_CHARGE = 50
_FEE_RATE_PER_MILLE, _FEE_FIXED = 29, 30


class Refused(Exception):
    """An answer other than 200, with Stripe's error object."""

    def __init__(self, status: int, *, code: str | None = None, message: str, param: str | None = None) -> None:
        self.status = status
        kind = "card_error" if status == 402 else "invalid_request_error"
        self.error = {"type": kind, "code": code, "message": message, "param": param}
        super().__init__(message)


class Objects:
    """All objects by id, the events they caused, and what a customer or the bank may do."""

    def __init__(self, *, base_url: str) -> None:
        self.base_url = base_url
        self.by_id: dict[str, Item] = {}
        self.events: list[Item] = []
        self.refunds_start_pending = False  # as with bank debits, whose refunds take days
        self._numbers = itertools.count(1)

    def get(self, object_id: str, kind: str) -> Item:
        """The object, or Stripe's 404."""
        item = self.by_id.get(object_id)
        if item is None or item["object"] != kind:
            raise Refused(404, code="resource_missing", message=f"No such {kind}: '{object_id}'", param="id")
        return item

    def all(self, kind: str) -> list[Item]:
        """Objects of a kind, newest first."""
        return [item for item in reversed(self.by_id.values()) if item["object"] == kind]

    def create_customer(self, params: Item) -> Item:
        """POST /v1/customers."""
        return self._add("cus", "customer", description=params.get("description"), metadata=params.get("metadata", {}))

    def create_checkout(self, params: Item) -> Item:
        """POST /v1/checkout/sessions, mode payment with price_data lines."""
        if params.get("mode") != "payment":
            raise Refused(400, message="You must provide a supported mode", param="mode")
        if params.get("customer"):
            self.get(params["customer"], "customer")
        lines = params.get("line_items") or []
        if not lines:
            raise Refused(
                400, code="parameter_missing", message="Missing required param: line_items.", param="line_items"
            )
        prices = [line["price_data"] for line in lines]
        amount = sum(
            int(price["unit_amount"]) * int(line.get("quantity", 1)) for line, price in zip(lines, prices, strict=True)
        )
        if amount < _MINIMUM_CHARGE:
            raise Refused(
                400, code="amount_too_small", message="The amount is below the minimum charge", param="line_items"
            )
        item = self._add(
            "cs_test",
            "checkout.session",
            amount_subtotal=amount,
            amount_total=amount,
            cancel_url=params.get("cancel_url"),
            client_reference_id=params.get("client_reference_id"),
            currency=prices[0]["currency"],
            customer=params.get("customer"),
            expires_at=int(time.time()) + 86_400,
            metadata=params.get("metadata", {}),
            mode="payment",
            payment_intent=None,
            payment_status="unpaid",
            status="open",
            success_url=params.get("success_url"),
        )
        item["url"] = f"{self.base_url}/c/pay/{item['id']}"
        item["_intent_metadata"] = (params.get("payment_intent_data") or {}).get("metadata", {})
        return item

    def expire(self, checkout_id: str) -> Item:
        """POST /v1/checkout/sessions/{id}/expire."""
        item = self._open(checkout_id)
        item["status"], item["url"] = "expired", None
        self._tell("checkout.session.expired", item)
        return item

    def pay(self, checkout_id: str, *, last4: str = "4242") -> Item:
        """The customer pays on the hosted page: intent and charge succeed, the checkout completes."""
        item = self._open(checkout_id)
        intent = self._intent(item)
        self._charge(intent, last4)
        self._complete(item, "paid")
        self._tell("payment_intent.succeeded", intent)
        self._tell("checkout.session.completed", item)
        return item

    def decline(self, checkout_id: str) -> Item:
        """The card is declined: the checkout stays open."""
        item = self._open(checkout_id)
        intent = self._intent(item)
        intent["status"] = "requires_payment_method"
        intent["last_payment_error"] = {
            "code": "card_declined",
            "decline_code": "insufficient_funds",
            "type": "card_error",
        }
        self._tell("payment_intent.payment_failed", intent)
        return item

    def pay_later(self, checkout_id: str) -> Item:
        """A delayed method: the checkout completes, the money is on its way (`settle` ends it)."""
        item = self._open(checkout_id)
        intent = self._intent(item)
        intent["status"] = "processing"
        self._complete(item, "unpaid")
        self._tell("checkout.session.completed", item)
        return item

    def settle(self, checkout_id: str, *, is_paid: bool) -> Item:
        """The delayed method succeeds or fails."""
        item = self.get(checkout_id, "checkout.session")
        intent = self.get(item["payment_intent"], "payment_intent")
        if is_paid:
            self._charge(intent, "3000", kind="sepa_debit")
            item["payment_status"] = "paid"
            self._tell("checkout.session.async_payment_succeeded", item)
        else:
            intent["status"] = "requires_payment_method"
            intent["last_payment_error"] = {
                "code": "payment_intent_payment_attempt_failed",
                "type": "invalid_request_error",
            }
            self._tell("checkout.session.async_payment_failed", item)
        return item

    def create_refund(self, params: Item) -> Item:
        """POST /v1/refunds for a payment intent; at most what is left of the charge."""
        intent = self.get(str(params.get("payment_intent")), "payment_intent")
        if intent["status"] != "succeeded":
            raise Refused(
                400, message="This PaymentIntent does not have a successful charge to refund.", param="payment_intent"
            )
        charge = self.get(intent["latest_charge"], "charge")
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(params.get("amount", left))
        if left == 0:
            raise Refused(
                400, code="charge_already_refunded", message=f"Charge {charge['id']} has already been refunded."
            )
        if not 0 < amount <= left:
            raise Refused(400, message="Refund amount is greater than unrefunded amount on charge", param="amount")
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        refund = self._add(
            "re",
            "refund",
            amount=amount,
            balance_transaction=self._balance("refund", -amount, charge["currency"], fee=0)["id"],
            charge=charge["id"],
            currency=charge["currency"],
            failure_reason=None,
            metadata=params.get("metadata", {}),
            payment_intent=intent["id"],
            status="pending" if self.refunds_start_pending else "succeeded",
        )
        self._tell("refund.created", refund)
        self._tell("charge.refunded", charge)
        return refund

    def set_refund(self, refund_id: str, status: str, failure_reason: str | None = None) -> Item:
        """The bank decides: pending, succeeded or failed, also after success."""
        refund = self.get(refund_id, "refund")
        if status == "failed" and refund["status"] != "failed":
            charge = self.get(refund["charge"], "charge")
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self._balance("refund_failure", refund["amount"], refund["currency"], fee=0)
        refund["status"], refund["failure_reason"] = status, failure_reason
        self._tell("refund.failed" if status == "failed" else "refund.updated", refund)
        return refund

    def event(self, event_type: str, item: Item, **more: Any) -> Item:
        """An event about an object as it is now, told to nobody yet."""
        shown = {name: value for name, value in item.items() if not name.startswith("_")}
        return {
            "id": self._id("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            "data": {"object": dict(shown)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": event_type,
        } | more

    def _tell(self, event_type: str, item: Item) -> None:
        self.events.append(self.event(event_type, item))

    def _open(self, checkout_id: str) -> Item:
        item = self.get(checkout_id, "checkout.session")
        if item["status"] != "open":
            raise Refused(400, message="This Checkout Session is not open.")
        return item

    def _intent(self, item: Item) -> Item:
        if item["payment_intent"]:
            return self.get(item["payment_intent"], "payment_intent")
        intent = self._add(
            "pi",
            "payment_intent",
            amount=item["amount_total"],
            amount_received=0,
            currency=item["currency"],
            customer=item["customer"],
            last_payment_error=None,
            latest_charge=None,
            metadata=item["_intent_metadata"],
            status="requires_payment_method",
        )
        item["payment_intent"] = intent["id"]
        return intent

    def _charge(self, intent: Item, last4: str, kind: str = "card") -> Item:
        amount = intent["amount"]
        fee = (amount * _FEE_RATE_PER_MILLE + 500) // 1000 + _FEE_FIXED
        details: Item = {"type": kind, kind: {"last4": last4} | ({"brand": "visa"} if kind == "card" else {})}
        charge = self._add(
            "ch",
            "charge",
            amount=amount,
            amount_captured=amount,
            amount_refunded=0,
            balance_transaction=self._balance("charge", amount, intent["currency"], fee=fee)["id"],
            currency=intent["currency"],
            customer=intent["customer"],
            metadata=intent["metadata"],
            paid=True,
            payment_intent=intent["id"],
            payment_method_details=details,
            refunded=False,
            status="succeeded",
        )
        intent.update(status="succeeded", amount_received=amount, latest_charge=charge["id"], last_payment_error=None)
        return charge

    def _complete(self, item: Item, payment_status: str) -> None:
        item.update(status="complete", payment_status=payment_status, url=None)

    def _balance(self, kind: str, amount: int, currency: str, *, fee: int) -> Item:
        return self._add(
            "txn", "balance_transaction", type=kind, amount=amount, currency=currency, fee=fee, net=amount - fee
        )

    def _add(self, prefix: str, kind: str, **fields: Any) -> Item:
        item = {"id": self._id(prefix), "object": kind, "created": int(time.time()), "livemode": False} | fields
        self.by_id[item["id"]] = item
        return item

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):024d}"
