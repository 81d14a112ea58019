"""Checkout sessions with a hosted page, to pay or to keep a method. https://docs.stripe.com/api/checkout/sessions"""

from typing import Any

from tests.peers.stripe import answers, currencies, customers, events, payment_intents, setup_intents
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import InvalidParameter, Refused, missing
from tests.peers.stripe.params import (
    Params,
    amount,
    choice,
    group,
    integer,
    listed,
    metadata,
    needed,
    needed_amount,
    text,
    words,
)
from tests.peers.stripe.route import Route

_LIFE_S, _SHORTEST_S = 24 * 3600, 30 * 60
_MODES = ("payment", "setup")


def create(account: Account, params: Params) -> Item:
    """POST /v1/checkout/sessions, mode payment with price_data lines, or mode setup."""
    mode = choice(params, "mode", _MODES)
    if mode is None:
        raise missing("mode")
    success_url, cancel_url = _address(needed(params, "success_url"), "success_url"), text(params, "cancel_url")
    if cancel_url is not None:
        _address(cancel_url, "cancel_url")
    lines = [_line(line, place) for place, line in enumerate(listed(params, "line_items"))]
    if mode == "payment" and not lines:
        raise missing("line_items")
    currency = lines[0]["currency"] if lines else text(params, "currency")
    if any(line["currency"] != currency for line in lines):
        raise InvalidParameter("All prices on a Checkout Session must have the same currency.", param="line_items")
    total = sum(line["amount_total"] for line in lines) if mode == "payment" else None
    if total is not None:
        currencies.check(str(currency), total, param="line_items")
    expires_at = _expiry(account, params)
    types = payment_intents.allowed_types(params, currency)[1]
    _check_groups(params, mode)
    session = account.add(
        "cs_live" if account.is_live else "cs_test",
        "checkout.session",
        _shape(account, params, mode=mode, currency=currency, total=total, types=types)
        | {
            "cancel_url": cancel_url,
            "customer": customers.named(account, params),
            "expires_at": expires_at,
            "metadata": metadata(params),
            "success_url": success_url,
            "_lines": [],
            "_intent": group(params, "payment_intent_data"),
            "_setup": group(params, "setup_intent_data"),
        },
    )
    session["url"] = f"{account.base_url}/c/pay/{session['id']}"
    session["_lines"] = [_item(account, line) for line in lines]
    if mode == "setup":
        intent = setup_intents.add(account, session["customer"], session["_setup"])
        session["setup_intent"] = intent["id"]
    account.later(expires_at, lambda: _expire_due(account, session))
    return session


def retrieve(account: Account, params: Params, session_id: str) -> Item:
    """GET /v1/checkout/sessions/{id}."""
    return account.get("checkout.session", session_id)


def update(account: Account, params: Params, session_id: str) -> Item:
    """POST /v1/checkout/sessions/{id}: its metadata."""
    session = account.get("checkout.session", session_id)
    session["metadata"] = metadata(params, session["metadata"])
    return session


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/checkout/sessions, by customer, payment intent and status."""
    wanted = {name: text(params, name) for name in ("customer", "payment_intent", "status")}
    found = account.all("checkout.session")
    return Page([item for item in found if all(value in (None, item[name]) for name, value in wanted.items())])


def list_lines(account: Account, params: Params, session_id: str) -> Page:
    """GET /v1/checkout/sessions/{id}/line_items."""
    return Page(account.get("checkout.session", session_id)["_lines"])


def expire(account: Account, params: Params, session_id: str) -> Item:
    """POST /v1/checkout/sessions/{id}/expire."""
    session = account.get("checkout.session", session_id)
    if session["status"] != "open":
        raise Refused(
            400,
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"{session['status']}.",
        )
    session.update(status="expired", url=None)
    events.tell(account, "checkout.session.expired", session)
    return session


def intent_of(account: Account, session: Item) -> Item:
    """The payment intent, made when the customer first tries to pay."""
    if session["payment_intent"] is not None:
        return account.get("payment_intent", session["payment_intent"])
    intent = payment_intents.add(
        account,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"],
        types=session["payment_method_types"],
        params=session["_intent"],
        automatic=None,
    )
    session["payment_intent"] = intent["id"]
    return intent


def complete(account: Account, session: Item, payment_status: str) -> None:
    """The customer is through with the page."""
    session.update(status="complete", payment_status=payment_status, url=None)
    events.tell(account, "checkout.session.completed", session)


def _expire_due(account: Account, session: Item) -> None:
    if session["status"] == "open":
        expire(account, {}, session["id"])


def _address(url: str, name: str) -> str:
    if not url.startswith(("http://", "https://")) or len(url) > 5000 or not url.isprintable():
        raise InvalidParameter("Not a valid URL", param=name, code="url_invalid")
    return url


def _expiry(account: Account, params: Params) -> int:
    now = account.clock.now()
    at = integer(params, "expires_at", now + _LIFE_S) or 0
    if not now + _SHORTEST_S <= at <= now + _LIFE_S:
        raise InvalidParameter(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    return at


def _check_groups(params: Params, mode: str) -> None:
    """What is kept for later must be right now."""
    saved = group(params, "saved_payment_method_options")
    choice(saved, "payment_method_save", ("disabled", "enabled"))
    if saved and mode != "payment":
        raise InvalidParameter(
            f"You can not pass `saved_payment_method_options` in `{mode}` mode.", param="saved_payment_method_options"
        )
    other = "setup_intent_data" if mode == "payment" else "payment_intent_data"
    if other in params:
        raise InvalidParameter(f"You can not pass `{other}` in `{mode}` mode.", param=other)
    data = group(params, "payment_intent_data")
    metadata(data), metadata(group(params, "setup_intent_data"))
    choice(data, "capture_method", payment_intents.CAPTURES)
    choice(data, "setup_future_usage", ("on_session", "off_session"))


def _line(line: Any, place: int) -> Item:
    """One line as asked for. Raises InvalidParameter with the place in the name."""
    param = f"line_items[{place}]"
    if not isinstance(line, dict) or not isinstance(line.get("price_data"), dict):
        raise missing(f"{param}[price_data]")
    price = line["price_data"]
    product = group(price, "product_data")
    unit, count = needed_amount(price, "unit_amount"), amount(line, "quantity")
    if count is None:
        raise missing(f"{param}[quantity]")
    return {
        "currency": currencies.check(needed(price, "currency")),
        "unit_amount": unit,
        "quantity": count,
        "amount_total": unit * count,
        "description": needed(product, "name"),
    }


def _item(account: Account, line: Item) -> Item:
    """The line as `line_items` shows it, with the price that Stripe makes of price_data."""
    price = {
        "id": account.new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": account.clock.now(),
        "currency": line["currency"],
        "custom_unit_amount": None,
        "livemode": account.is_live,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": account.new_id("prod"),
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": line["unit_amount"],
        "unit_amount_decimal": str(line["unit_amount"]),
    }
    return {
        "id": account.new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": line["amount_total"],
        "amount_tax": 0,
        "amount_total": line["amount_total"],
        "currency": line["currency"],
        "description": line["description"],
        "metadata": {},
        "price": price,
        "quantity": line["quantity"],
    }


_NOT_USED = (
    "after_expiration allow_promotion_codes client_secret collected_information consent consent_collection "
    "currency_conversion customer_account customer_details discounts integration_identifier invoice locale origin_context "
    "payment_intent payment_link payment_method_configuration_details permissions recovered_from setup_intent "
    "shipping_address_collection shipping_cost subscription billing_address_collection wallet_options"
)


def _shape(
    account: Account, params: Params, *, mode: str, currency: str | None, total: int | None, types: list[str]
) -> Item:
    """All fields; those that the peer does nothing with are null."""
    is_payment = mode == "payment"
    return dict.fromkeys(_NOT_USED.split()) | {
        "allowed_payment_method_types": words(params, "allowed_payment_method_types") or None,
        "adaptive_pricing": {"enabled": False} if is_payment else None,
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "client_reference_id": text(params, "client_reference_id", most=200),
        "currency": currency,
        "custom_fields": [],
        "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        "customer_creation": choice(
            params, "customer_creation", ("always", "if_required"), None if "customer" in params else "if_required"
        ),
        "customer_email": text(params, "customer_email", most=800),
        "invoice_creation": {"enabled": False, "invoice_data": _no_invoice()} if is_payment else None,
        "locale": text(params, "locale"),
        "managed_payments": {"enabled": False},
        "mode": mode,
        "payment_method_collection": "if_required" if is_payment else "always",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": types,
        "payment_status": "unpaid" if is_payment else "no_payment_required",
        "phone_number_collection": {"enabled": False},
        "saved_payment_method_options": _saved(params),
        "shipping_options": [],
        "status": "open",
        "submit_type": choice(params, "submit_type", ("auto", "book", "donate", "pay")),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0} if is_payment else None,
        "ui_mode": "hosted_page",
    }


def _saved(params: Params) -> Item | None:
    """How saved methods are offered; only to a customer."""
    given = group(params, "saved_payment_method_options")
    if "customer" not in params or not given:
        return None
    return {
        "allow_redisplay_filters": words(given, "allow_redisplay_filters") or ["always"],
        "payment_method_remove": "disabled",
        "payment_method_save": text(given, "payment_method_save"),
    }


def _no_invoice() -> Item:
    names = ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
    return dict.fromkeys(names) | {"metadata": {}}


def _all_lines(account: Account, session: Item) -> Item:
    return answers.list_of(session["_lines"], f"/v1/checkout/sessions/{session['id']}/line_items")


answers.INCLUDABLE["checkout.session", "line_items"] = _all_lines
_LINE = (
    "line_items.quantity line_items.price_data.currency line_items.price_data.unit_amount "
    "line_items.price_data.product_data.name line_items.price_data.product_data.description"
)
_INTENT = (
    "payment_intent_data.metadata.* payment_intent_data.capture_method payment_intent_data.description "
    "payment_intent_data.receipt_email payment_intent_data.setup_future_usage payment_intent_data.statement_descriptor "
    "payment_intent_data.statement_descriptor_suffix"
)
ROUTES = [
    Route(
        "POST",
        "/v1/checkout/sessions",
        create,
        "mode customer customer_email customer_creation client_reference_id success_url cancel_url metadata.* expires_at "
        f"currency locale submit_type allowed_payment_method_types {_LINE} {_INTENT} "
        "setup_intent_data.metadata.* setup_intent_data.description "
        "saved_payment_method_options.allow_redisplay_filters saved_payment_method_options.payment_method_save",
    ),
    Route("GET", "/v1/checkout/sessions", list_all, "customer payment_intent status created"),
    Route("GET", "/v1/checkout/sessions/{session_id}", retrieve),
    Route("POST", "/v1/checkout/sessions/{session_id}", update, "metadata.*"),
    Route("POST", "/v1/checkout/sessions/{session_id}/expire", expire),
    Route("GET", "/v1/checkout/sessions/{session_id}/line_items", list_lines),
]
