"""What nobody does over the API: the customer at the hosted page, the bank, the dashboard. Held under the server's lock."""

from collections.abc import Sequence
from typing import Any

from tests.peers.stripe import (
    balance_transactions,
    billing_portal,
    cards,
    charging,
    checkout_sessions,
    customers,
    disputes,
    early_fraud_warnings,
    events,
    payment_methods,
    payouts,
    refunds,
    setup_intents,
    webhook_endpoints,
)
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.cards import Card
from tests.peers.stripe.errors import Refused

IBAN = "DE89370400440532013000"


class Play:
    """Acts return the live object: a test may change its fields to play a provider that errs.

    `hears`: the event types that the tested side has subscribed to.
    """

    def __init__(self, account: Account, hears: Sequence[str]) -> None:
        self._account = account
        self._hears = hears

    @property
    def by_id(self) -> dict[str, Item]:
        """Every object."""
        return self._account.by_id

    @property
    def events(self) -> list[Item]:
        """What the tested side is told, oldest first."""
        told = reversed(self._account.all("event"))
        return [event for event in told if any(events.is_of(event["type"], name) for name in self._hears)]

    @property
    def refunds_start_pending(self) -> bool:
        """Whether refunds wait for the bank, as with debits, whose refunds take days."""
        return self._account.refunds_start_pending

    @refunds_start_pending.setter
    def refunds_start_pending(self, value: bool) -> None:
        self._account.refunds_start_pending = value

    @property
    def refunds_ask_customer(self) -> bool:
        """Whether refunds wait for the customer's bank details, as with bank transfers."""
        return self._account.refunds_ask_customer

    @refunds_ask_customer.setter
    def refunds_ask_customer(self, value: bool) -> None:
        self._account.refunds_ask_customer = value

    def all(self, kind: str) -> list[Item]:
        """Objects of a kind, newest first."""
        return self._account.all(kind)

    def event(self, event_type: str, item: Item, **more: Any) -> Item:
        """An event about an object as it is now, kept by nobody and told to nobody."""
        return events.build(self._account, event_type, item, **more)

    def pay(self, session_id: str, *, card: Card = cards.VISA, email: str = "customer@example.com") -> Item:
        """The customer pays on the hosted page. Raises Refused(402) when the card's bank declines."""
        session = self._open(session_id)
        method = payment_methods.add_card(self._account, card, {"billing_details": {"email": email}})
        return submit(self._account, session, method)

    def decline(self, session_id: str, *, card: Card = cards.BROKE) -> Item:
        """The customer tries a card that is declined: the session stays open."""
        try:
            self.pay(session_id, card=card)
        except Refused as refused:
            if refused.status != 402:
                raise
        return self._account.get("checkout.session", session_id)

    def pay_later(self, session_id: str) -> Item:
        """A delayed method: the session completes, the money is on its way (`settle` ends it)."""
        session = self._open(session_id)
        intent = checkout_sessions.intent_of(self._account, session)
        if "sepa_debit" not in intent["payment_method_types"]:
            intent["payment_method_types"] = [*intent["payment_method_types"], "sepa_debit"]
        return submit(self._account, session, payment_methods.add_debit(self._account, IBAN, {}))

    def settle(self, session_id: str, *, is_paid: bool) -> Item:
        """The delayed method succeeds or fails."""
        session = self._account.get("checkout.session", session_id)
        intent = self._account.get("payment_intent", session["payment_intent"])
        charging.settle(self._account, intent, is_paid=is_paid)
        if is_paid:
            session["payment_status"] = "paid"
        outcome = "succeeded" if is_paid else "failed"
        events.tell(self._account, f"checkout.session.async_payment_{outcome}", session)
        return session

    def settle_intent(self, intent_id: str, *, is_paid: bool) -> Item:
        """The same for an intent that no session made."""
        return charging.settle(self._account, self._account.get("payment_intent", intent_id), is_paid=is_paid)

    def expire(self, session_id: str) -> Item:
        """The session ends unpaid."""
        return checkout_sessions.expire(self._account, {}, session_id)

    def authenticate(self, intent_id: str, *, is_confirmed: bool) -> Item:
        """The customer answers the bank's question about an intent, or a session's intent."""
        return answer_bank(self._account, intent_id, is_confirmed=is_confirmed)

    def create_customer(self, **params: str) -> Item:
        """A customer made on the dashboard, or by an older system."""
        return customers.create(self._account, params)

    def delete_customer(self, customer_id: str) -> Item:
        """A customer deleted on the dashboard."""
        return customers.delete(self._account, {}, customer_id)

    def manage(self, portal_id: str, act: str, value: str) -> None:
        """One act in the customer portal: add a card by its number, default or remove a method. Raises Refused."""
        session = self._account.get("billing_portal.session", portal_id)
        billing_portal.act(self._account, session, {"act": act, "value": value})

    def create_refund(self, params: dict[str, str]) -> Item:
        """A refund made on the dashboard."""
        return refunds.create(self._account, params)

    def set_refund(self, refund_id: str, status: str, failure_reason: str | None = None) -> Item:
        """The bank decides: pending, requires_action, succeeded or failed, also after success."""
        return refunds.decide(self._account, self._account.get("refund", refund_id), status, failure_reason)

    def dispute(
        self, intent_id: str, *, reason: str = "fraudulent", amount: int | None = None, is_inquiry: bool = False
    ) -> Item:
        """The cardholder disputes a payment, or asks about it."""
        charge = self._account.get("charge", self._account.get("payment_intent", intent_id)["latest_charge"])
        return disputes.open_one(self._account, charge, reason=reason, amount=amount, is_inquiry=is_inquiry)

    def decide_dispute(self, dispute_id: str, outcome: str) -> Item:
        """The bank decides: won, lost, warning_closed, prevented; an inquiry may become needs_response."""
        return disputes.decide(self._account, self._account.get("dispute", dispute_id), outcome)

    def move_dispute(self, dispute_id: str, amount: int, *, status: str | None = None, fee: int = 0) -> Item:
        """Money of a dispute goes or comes once more; `status` is what it says then."""
        dispute = self._account.get("dispute", dispute_id)
        dispute["status"] = status or dispute["status"]
        return disputes.move(self._account, dispute, amount, fee=fee)

    def warn_of_fraud(self, intent_id: str) -> Item:
        """The card's issuer warns."""
        charge = self._account.get("charge", self._account.get("payment_intent", intent_id)["latest_charge"])
        return early_fraud_warnings.open_one(self._account, charge)

    def pay_out(self, currency: str = "usd", *, fee: int = 0) -> Item:
        """The schedule pays out everything that is available."""
        wanted = payouts.available(self._account, currency)
        return payouts.add(self._account, currency, wanted - fee, automatic=True, fee=fee)

    def pay_out_by_hand(self, amount: int, currency: str = "usd") -> Item:
        """A payout that somebody asks for on the dashboard."""
        return payouts.create(self._account, {"amount": str(amount), "currency": currency})

    def set_payout(self, payout_id: str, status: str) -> Item:
        """The bank decides: in_transit, paid or failed, also after paid."""
        return payouts.decide(self._account, self._account.get("payout", payout_id), status)

    def move(self, kind: str, amount: int, currency: str = "usd", *, source: Item | None = None, fee: int = 0) -> Item:
        """A movement that no call causes: a fee of Stripe's, a reserve, a top-up."""
        of = source or {"id": "", "currency": currency}
        made = balance_transactions.record(self._account, kind, of, amount, fee=fee, available_after_s=0)
        return self._account.get("balance_transaction", made)

    def roll_secret(self, endpoint_id: str, *, old_signs_for_s: int) -> str:
        """A new signing secret; the old one signs beside it that long."""
        endpoint = self._account.get("webhook_endpoint", endpoint_id)
        return webhook_endpoints.roll(self._account, endpoint, old_signs_for_s=old_signs_for_s)

    def _open(self, session_id: str) -> Item:
        session = self._account.get("checkout.session", session_id)
        if session["status"] != "open":
            raise Refused(400, "This Checkout Session is not open.")
        return session


def submit(account: Account, session: Item, method: Item) -> Item:
    """The hosted page's button with that method. Raises Refused(402)."""
    _introduce(session, method)
    if session["mode"] == "setup":
        intent = account.get("setup_intent", session["setup_intent"])
        setup_intents.try_method(account, intent, method, return_url=session["success_url"])
        if intent["status"] == "succeeded":
            checkout_sessions.complete(account, session, "no_payment_required")
        return session
    intent = checkout_sessions.intent_of(account, session)
    charging.give_method(account, intent, method["id"])
    charging.attempt(account, intent, method, return_url=session["success_url"])
    _follow(account, session, intent)
    return session


def answer_bank(account: Account, intent_id: str, *, is_confirmed: bool) -> Item:
    """Authentication ends; a session that waits for it goes on."""
    intent = account.by_id.get(intent_id, {})
    if intent.get("object") == "setup_intent":
        setup_intents.authenticate(account, intent, is_confirmed=is_confirmed)
    else:
        intent = account.get("payment_intent", intent_id)
        charging.authenticate(account, intent, is_confirmed=is_confirmed)
    session = session_of(account, intent_id)
    if session is not None and is_confirmed:
        _follow(account, session, intent)
    return intent


def session_of(account: Account, intent_id: str) -> Item | None:
    """The session to which an intent belongs."""
    for session in account.all("checkout.session"):
        if intent_id in (session["payment_intent"], session["setup_intent"]):
            return session
    return None


def _follow(account: Account, session: Item, intent: Item) -> None:
    if intent["status"] in ("succeeded", "requires_capture"):
        is_payment = session["mode"] == "payment"
        paid = "paid" if intent["status"] == "succeeded" else "unpaid"
        checkout_sessions.complete(account, session, paid if is_payment else "no_payment_required")
    elif intent["status"] == "processing":
        checkout_sessions.complete(account, session, "unpaid")


def _introduce(session: Item, method: Item) -> None:
    """What the page learnt about the customer."""
    billing = method["billing_details"]
    session["customer_details"] = {
        "address": dict(billing["address"]),
        "business_name": None,
        "email": billing["email"],
        "individual_name": None,
        "name": billing["name"],
        "phone": billing["phone"],
        "tax_exempt": "none",
        "tax_ids": [],
    }
