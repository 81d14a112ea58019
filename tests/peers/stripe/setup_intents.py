"""Setup intents: a method kept for later without taking money. https://docs.stripe.com/api/setup_intents"""

from tests.peers.stripe import charging, customers, events, payment_intents, payment_methods
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.cards import Card
from tests.peers.stripe.errors import Refused, declined, missing
from tests.peers.stripe.params import Params, boolean, choice, metadata, text, words
from tests.peers.stripe.route import Route

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def create(account: Account, params: Params) -> Item:
    """POST /v1/setup_intents."""
    customer, method_id, confirms = (
        customers.named(account, params),
        text(params, "payment_method"),
        boolean(params, "confirm"),
    )
    types = payment_intents.allowed_types(params, None)[1]
    if confirms and method_id is None:
        raise missing("payment_method")
    method = None if method_id is None else charging.fitting(account, method_id, customer=customer, types=types)
    intent = add(account, customer, params)
    if method is not None:
        intent.update(payment_method=method["id"], status="requires_confirmation")
    if confirms:
        return _confirm(account, intent, text(params, "return_url"))
    return intent


def add(account: Account, customer: str | None, params: Params) -> Item:
    """A new setup intent."""
    intent = account.add(
        "seti",
        "setup_intent",
        {
            "allowed_payment_method_types": words(params, "allowed_payment_method_types") or None,
            "application": None,
            "automatic_payment_methods": None,
            "cancellation_reason": None,
            "client_secret": None,
            "customer": customer,
            "customer_account": None,
            "description": text(params, "description"),
            "excluded_payment_method_types": None,
            "flow_directions": None,
            "last_setup_error": None,
            "latest_attempt": None,
            "mandate": None,
            "metadata": metadata(params),
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": None,
            "payment_method_configuration_details": None,
            "payment_method_options": {
                "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
            },
            "payment_method_types": payment_intents.allowed_types(params, None)[1],
            "single_use_mandate": None,
            "status": "requires_payment_method",
            "usage": choice(params, "usage", ("off_session", "on_session"), "off_session"),
        },
    )
    intent["client_secret"] = f"{intent['id']}_secret_{account.new_id('x')[2:]}"
    events.tell(account, "setup_intent.created", intent)
    return intent


def retrieve(account: Account, params: Params, intent_id: str) -> Item:
    """GET /v1/setup_intents/{id}."""
    return account.get("setup_intent", intent_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/setup_intents, by customer and method."""
    wanted = {name: text(params, name) for name in ("customer", "payment_method")}
    found = account.all("setup_intent")
    return Page([item for item in found if all(value in (None, item[name]) for name, value in wanted.items())])


def update(account: Account, params: Params, intent_id: str) -> Item:
    """POST /v1/setup_intents/{id}."""
    intent = account.get("setup_intent", intent_id)
    intent["metadata"] = metadata(params, intent["metadata"])
    if "description" in params:
        intent["description"] = text(params, "description")
    return intent


def confirm(account: Account, params: Params, intent_id: str) -> Item:
    """POST /v1/setup_intents/{id}/confirm."""
    intent = account.get("setup_intent", intent_id)
    _require(intent, "confirmed")
    method_id = text(params, "payment_method")
    if method_id is not None:
        intent["payment_method"] = payment_methods.usable(account, method_id)["id"]
    return _confirm(account, intent, text(params, "return_url"))


def cancel(account: Account, params: Params, intent_id: str) -> Item:
    """POST /v1/setup_intents/{id}/cancel."""
    reason = choice(params, "cancellation_reason", ("abandoned", "duplicate", "requested_by_customer"))
    intent = account.get("setup_intent", intent_id)
    _require(intent, "canceled")
    intent.update(status="canceled", cancellation_reason=reason, next_action=None)
    events.tell(account, "setup_intent.canceled", intent)
    return intent


def authenticate(account: Account, intent: Item, *, is_confirmed: bool) -> Item:
    """What the customer answers on the bank's page."""
    method = account.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if is_confirmed:
        return keep(account, intent, method)
    _fail(
        account, intent, Refused(400, "The method failed authentication.", code="setup_intent_authentication_failure")
    )
    return intent


def try_method(account: Account, intent: Item, method: Item, *, return_url: str | None = None) -> Item:
    """Ask the bank. Raises Refused(402)."""
    card: Card | None = method["_card"]
    if card is not None and charging.asks(card, method, off_session=False):
        url = f"{account.base_url}/authenticate/{intent['id']}"
        intent.update(
            status="requires_action",
            payment_method=method["id"],
            next_action={"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}},
        )
        events.tell(account, "setup_intent.requires_action", intent)
        return intent
    if card is not None and card.code is not None and not card.is_attachable:
        error = declined(
            card.code, card.message, decline_code=card.decline_code, payment_method=payment_methods.shown(method)
        )
        _fail(account, intent, error)
        error.error["setup_intent"] = dict(intent)
        raise error
    return keep(account, intent, method)


def keep(account: Account, intent: Item, method: Item) -> Item:
    """The method may be used later, and belongs to the customer if there is one."""
    method["_is_set_up"] = True
    if intent["customer"] is not None and method["customer"] is None:
        method["customer"] = intent["customer"]
        events.tell(account, "payment_method.attached", method)
    intent.update(status="succeeded", payment_method=method["id"], next_action=None, last_setup_error=None)
    events.tell(account, "setup_intent.succeeded", intent)
    return intent


def _confirm(account: Account, intent: Item, return_url: str | None) -> Item:
    if intent["payment_method"] is None:
        raise Refused(
            400,
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="setup_intent_unexpected_state",
        )
    method = account.get("payment_method", intent["payment_method"])
    return try_method(account, intent, method, return_url=return_url)


def _fail(account: Account, intent: Item, error: Refused) -> None:
    intent.update(status="requires_payment_method", payment_method=None, last_setup_error=dict(error.error))
    events.tell(account, "setup_intent.setup_failed", intent)


def _require(intent: Item, verb: str) -> None:
    if intent["status"] not in _OPEN:
        raise Refused(
            400,
            f"You cannot have this SetupIntent {verb} because it has a status of {intent['status']}.",
            code="setup_intent_unexpected_state",
        )


_READS = "metadata.* description"
ROUTES = [
    Route(
        "POST",
        "/v1/setup_intents",
        create,
        f"{_READS} customer payment_method allowed_payment_method_types usage confirm return_url",
    ),
    Route("GET", "/v1/setup_intents", list_all, "customer payment_method created"),
    Route("GET", "/v1/setup_intents/{intent_id}", retrieve),
    Route("POST", "/v1/setup_intents/{intent_id}", update, _READS),
    Route("POST", "/v1/setup_intents/{intent_id}/confirm", confirm, "payment_method return_url"),
    Route("POST", "/v1/setup_intents/{intent_id}/cancel", cancel, "cancellation_reason"),
]
