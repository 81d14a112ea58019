"""How a payment intent takes its money: the method, the bank's answer, authentication, and delayed methods."""

from collections.abc import Collection
from dataclasses import dataclass

from tests.peers.stripe import charges, events, payment_methods
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.cards import Card
from tests.peers.stripe.errors import InvalidParameter, Refused, declined
from tests.peers.stripe.params import Params, boolean, choice, text

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_FAILED = (
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to "
    "attempt to fulfill this PaymentIntent again."
)
_AUTHENTICATE = "Your card was declined. This transaction requires authentication."


def require(intent: Item, states: Collection[str], verb: str) -> None:
    """Raises Stripe's refusal of an act that the state does not allow."""
    if intent["status"] in states:
        return
    raise Refused(
        400,
        f"This PaymentIntent could not be {verb} because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        param="intent",
        payment_intent=dict(intent),
    )


@dataclass(frozen=True)
class Confirmation:
    """How a payment is confirmed."""

    off_session: bool
    return_url: str | None


def fitting(account: Account, method_id: str, *, customer: str | None, types: list[str]) -> Item:
    """The method, which must be of those types and belong to that customer or to nobody. Raises Refused(400)."""
    method = payment_methods.usable(account, method_id)
    if method["customer"] is not None and method["customer"] != customer:
        raise Refused(
            400,
            "The provided PaymentMethod cannot be attached. The PaymentMethod belongs to a Customer: include that "
            "Customer in the `customer` parameter.",
            param="payment_method",
            code="payment_intent_invalid_parameter" if customer is None else "resource_missing",
        )
    if method["type"] not in types:
        raise Refused(
            400,
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. Please attach a "
            f"PaymentMethod of one of the following types: {', '.join(types)}.",
            param="payment_method",
            code="payment_intent_incompatible_payment_method",
        )
    return method


def give_method(account: Account, intent: Item, method_id: str) -> Item:
    """Choose the method (`fitting`)."""
    method = fitting(account, method_id, customer=intent["customer"], types=intent["payment_method_types"])
    intent["payment_method"] = method["id"]
    if intent["status"] == "requires_payment_method":
        intent["status"] = "requires_confirmation"
    return method


def read_confirmation(automatic: Item | None, params: Params) -> Confirmation:
    """How the call confirms. Raises InvalidParameter where a redirect could come and the way back is missing."""
    off_session = params.get("off_session") == "one_off" or boolean(params, "off_session")
    return_url = text(params, "return_url")
    choice(params, "setup_future_usage", ("on_session", "off_session"))
    if automatic and automatic["allow_redirects"] == "always" and not off_session and return_url is None:
        raise InvalidParameter(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these "
            "payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't "
            "want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
            "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.",
            param="return_url",
        )
    return Confirmation(off_session, return_url)


def confirm(account: Account, intent: Item, params: Params) -> Item:
    """Try to take the money. Raises Refused(402) when the bank declines; the intent then wants another method."""
    confirmation = read_confirmation(intent["automatic_payment_methods"], params)
    require(intent, CONFIRMABLE, "confirmed")
    if text(params, "payment_method") is not None and params["payment_method"] != intent["payment_method"]:
        give_method(account, intent, params["payment_method"])
    if intent["payment_method"] is None:
        raise Refused(
            400,
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
            payment_intent=dict(intent),
        )
    if text(params, "setup_future_usage") is not None:
        intent["setup_future_usage"] = params["setup_future_usage"]
    method = account.get("payment_method", intent["payment_method"])
    return attempt(account, intent, method, off_session=confirmation.off_session, return_url=confirmation.return_url)


def attempt(
    account: Account, intent: Item, method: Item, *, off_session: bool = False, return_url: str | None = None
) -> Item:
    """One conversation with the bank. Raises Refused(402)."""
    card: Card | None = method["_card"]
    if card is None:
        return start_debit(account, intent, method)
    if asks(card, method, off_session=off_session):
        if off_session:
            refuse(account, intent, method, code="authentication_required", decline_code="authentication_required")
        return ask(account, intent, return_url)
    if card.code is not None:
        refuse(account, intent, method, code=card.code, decline_code=card.decline_code)
    return take(account, intent, method)


def asks(card: Card, method: Item, *, off_session: bool) -> bool:
    """Whether the bank wants the customer to authenticate."""
    return card.asks == "always" or (card.asks == "until_set_up" and not (off_session and method["_is_set_up"]))


def ask(account: Account, intent: Item, return_url: str | None) -> Item:
    """The customer has to authenticate on the bank's page (`authenticate` ends it)."""
    url = f"{account.base_url}/authenticate/{intent['id']}"
    intent.update(
        status="requires_action",
        next_action={"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}},
    )
    events.tell(account, "payment_intent.requires_action", intent)
    return intent


def authenticate(account: Account, intent: Item, *, is_confirmed: bool) -> Item:
    """What the customer answers on the bank's page."""
    require(intent, ("requires_action",), "authenticated")
    method = account.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if is_confirmed:
        return take(account, intent, method)
    fail(account, intent, method, code="payment_intent_authentication_failure", message=_FAILED)
    return intent


def take(account: Account, intent: Item, method: Item) -> Item:
    """The bank says yes."""
    is_held = intent["capture_method"] == "manual"
    intent.update(next_action=None, last_payment_error=None)
    if intent["setup_future_usage"] is not None and intent["customer"] is not None and method["customer"] is None:
        method.update(customer=intent["customer"], _is_set_up=True)
        events.tell(account, "payment_method.attached", method)
    charges.add(account, intent, method, status="succeeded", is_captured=not is_held)
    if is_held:
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        events.tell(account, "payment_intent.amount_capturable_updated", intent)
        return intent
    return succeed(account, intent, intent["amount"])


def succeed(account: Account, intent: Item, amount: int) -> Item:
    """The money is there."""
    intent.update(status="succeeded", amount_received=amount, amount_capturable=0, processing=None)
    events.tell(account, "payment_intent.succeeded", intent)
    return intent


def start_debit(account: Account, intent: Item, method: Item) -> Item:
    """A delayed method: the money is on its way (`settle` ends it)."""
    intent.update(status="processing", last_payment_error=None)
    charges.add(account, intent, method, status="pending")
    events.tell(account, "payment_intent.processing", intent)
    return intent


def settle(account: Account, intent: Item, *, is_paid: bool) -> Item:
    """The delayed method succeeds or fails."""
    require(intent, ("processing",), "settled")
    charges.settle(account, account.get("charge", intent["latest_charge"]), is_paid=is_paid)
    if is_paid:
        return succeed(account, intent, intent["amount"])
    method = account.get("payment_method", intent["payment_method"])
    message = "The customer's account has insufficient funds to cover this payment."
    fail(account, intent, method, code="payment_intent_payment_attempt_failed", message=message)
    return intent


def refuse(account: Account, intent: Item, method: Item, *, code: str, decline_code: str | None) -> None:
    """The bank says no: a failed charge, the event, and Refused(402)."""
    charge = charges.add(account, intent, method, status="failed")
    message = _AUTHENTICATE if code == "authentication_required" else method["_card"].message
    error = declined(
        code, message, charge=charge["id"], decline_code=decline_code, payment_method=payment_methods.shown(method)
    )
    _end(account, intent, dict(error.error))
    error.error["payment_intent"] = dict(intent)
    raise error


def fail(account: Account, intent: Item, method: Item, *, code: str, message: str) -> None:
    """The payment ends without money, and nobody waits for an answer."""
    error = Refused(400, message, code=code, payment_method=payment_methods.shown(method))
    _end(account, intent, error.error)


def _end(account: Account, intent: Item, error: Item) -> None:
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        last_payment_error=error,
    )
    events.tell(account, "payment_intent.payment_failed", intent)
