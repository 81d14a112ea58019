"""Payment methods: cards by Stripe's test names and numbers, SEPA debit by IBAN. https://docs.stripe.com/api/payment_methods"""

import hashlib

from tests.peers.stripe import answers, cards, events
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.cards import Card
from tests.peers.stripe.errors import InvalidParameter, Refused, declined, missing
from tests.peers.stripe.params import Params, choice, group, integer, metadata, needed, text
from tests.peers.stripe.route import Route

_TYPES = ("card", "sepa_debit")
_BILLING = (
    "billing_details.name billing_details.email billing_details.phone billing_details.address.line1 "
    "billing_details.address.line2 billing_details.address.city billing_details.address.postal_code "
    "billing_details.address.state billing_details.address.country"
)
_NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
_NO_CHECKS = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}


def create(account: Account, params: Params) -> Item:
    """POST /v1/payment_methods."""
    kind = choice(params, "type", _TYPES)
    if kind is None:
        raise missing("type")
    details = group(params, kind)
    if kind == "sepa_debit":
        return add_debit(account, needed(details, "iban"), params)
    token, number = text(details, "token"), (text(details, "number") or "").replace(" ", "")
    if token is not None:
        number = _named(token.replace("tok_", "pm_card_", 1), "card[token]").number
    if number not in cards.BY_NUMBER:
        raise declined("incorrect_number", "Your card number is incorrect.", param="card[number]")
    month, year = integer(details, "exp_month", 12) or 12, integer(details, "exp_year", 2034) or 2034
    return add_card(account, cards.BY_NUMBER[number], params, expires=(month, year))


def add_card(account: Account, card: Card, params: Params, *, expires: tuple[int, int] = (12, 2034)) -> Item:
    """A new card that belongs to nobody yet."""
    shown = {
        "brand": card.brand,
        "checks": dict(_NO_CHECKS),
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": expires[0],
        "exp_year": expires[1],
        "fingerprint": hashlib.sha256(card.number.encode()).hexdigest()[:16],
        "funding": card.funding,
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    return _add(account, "card", shown, params, _card=card, _is_set_up=False)


def add_debit(account: Account, iban: str, params: Params) -> Item:
    """A new bank account that belongs to nobody yet. An IBAN that ends in 3202 fails later, as Stripe's test IBANs do."""
    clean = iban.replace(" ", "").upper()
    if not 15 <= len(clean) <= 34 or not clean.isalnum():
        raise InvalidParameter(
            "The IBAN you provided is invalid.", param="sepa_debit[iban]", code="invalid_bank_account_iban"
        )
    shown = {
        "bank_code": clean[4:12],
        "branch_code": "",
        "country": clean[:2],
        "fingerprint": hashlib.sha256(clean.encode()).hexdigest()[:16],
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": clean[-4:],
    }
    return _add(account, "sepa_debit", shown, params, _card=None, _is_set_up=True)


def retrieve(account: Account, params: Params, method_id: str) -> Item:
    """GET /v1/payment_methods/{id}; a test name makes a new one, as at Stripe."""
    return usable(account, method_id, "id")


def update(account: Account, params: Params, method_id: str) -> Item:
    """POST /v1/payment_methods/{id}; only one that belongs to a customer."""
    item = account.get("payment_method", method_id)
    if item["customer"] is None:
        raise InvalidParameter(
            "You must save this PaymentMethod to a customer before you can update it.", param="payment_method"
        )
    changes = {"metadata": metadata(params, item["metadata"])}
    if "billing_details" in params:
        changes["billing_details"] = _billing(params, item["billing_details"])
    events.change(account, "payment_method.updated", item, changes)
    return item


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/payment_methods of a customer."""
    customer_id, kind = text(params, "customer"), choice(params, "type", _TYPES)
    if customer_id is not None:
        account.get("customer", customer_id, "customer")
    return Page(
        [
            item
            for item in account.all("payment_method")
            if customer_id is not None and item["customer"] == customer_id and kind in (None, item["type"])
        ]
    )


def attach(account: Account, params: Params, method_id: str) -> Item:
    """POST /v1/payment_methods/{id}/attach."""
    return attach_to(account, method_id, needed(params, "customer"))


def attach_to(account: Account, method_id: str, customer_id: str) -> Item:
    """Give the method to the customer. Raises Refused(402) when the bank declines already here."""
    account.get("customer", customer_id, "customer")
    item = usable(account, method_id)
    if item["customer"] == customer_id:
        return item
    if item["customer"] is not None:
        raise Refused(
            400, "The payment method you provided has already been attached to a customer.", param="payment_method"
        )
    card: Card | None = item["_card"]
    if card is not None and card.code is not None and not card.is_attachable:
        raise declined(card.code, card.message, decline_code=card.decline_code)
    item["customer"] = customer_id
    events.tell(account, "payment_method.attached", item)
    return item


def detach(account: Account, params: Params, method_id: str) -> Item:
    """POST /v1/payment_methods/{id}/detach."""
    item = account.get("payment_method", method_id)
    if item["customer"] is None:
        raise Refused(400, "The payment method you provided is not attached to a customer so detachment is impossible.")
    owner = account.by_id[item["customer"]]
    if owner["invoice_settings"]["default_payment_method"] == item["id"]:
        owner["invoice_settings"]["default_payment_method"] = None
    events.change(account, "payment_method.detached", item, {"customer": None})
    return item


def usable(account: Account, method_id: str, param: str = "payment_method") -> Item:
    """The method; a test name such as `pm_card_visa` is a new one each time."""
    if method_id in cards.BY_NAME:
        return add_card(account, cards.BY_NAME[method_id], {})
    return account.get("payment_method", method_id, param)


def charge_details(item: Item) -> Item:
    """What a charge says about the method with which it was paid."""
    if item["type"] == "sepa_debit":
        shown = {name: value for name, value in item["sepa_debit"].items() if name != "generated_from"}
        return {"sepa_debit": shown | {"expected_debit_date": None, "mandate": None}, "type": "sepa_debit"}
    kept = (
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "regulated_status",
    )
    more = {
        "amount_authorized": None,
        "authorization_code": None,
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": item["card"]["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }
    return {"card": {name: item["card"][name] for name in kept} | more, "type": "card"}


def shown(item: Item) -> Item:
    """The method inside an error."""
    return answers.public(item)


def _add(account: Account, kind: str, details: Item, params: Params, **hidden: object) -> Item:
    fields: Item = {
        "allow_redisplay": choice(params, "allow_redisplay", ("always", "limited", "unspecified"), "unspecified"),
        "billing_details": _billing(params),
        "customer": None,
        "customer_account": None,
        "metadata": metadata(params),
        "type": kind,
        kind: details,
    }
    return account.add("pm", "payment_method", fields | hidden)


def _billing(params: Params, kept: Item | None = None) -> Item:
    given = group(params, "billing_details")
    address = group(given, "address")
    result = kept or {"address": dict(_NO_ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None}
    lines = {name: text(address, name, result["address"][name]) for name in _NO_ADDRESS}
    return result | {name: text(given, name, result[name]) for name in ("email", "name", "phone")} | {"address": lines}


def _named(name: str, param: str) -> Card:
    if name not in cards.BY_NAME:
        raise InvalidParameter(f"No such token: '{name}'", param=param, code="resource_missing")
    return cards.BY_NAME[name]


_CARD = "card.number card.exp_month card.exp_year card.cvc card.token"
ROUTES = [
    Route("POST", "/v1/payment_methods", create, f"type allow_redisplay {_CARD} sepa_debit.iban metadata.* {_BILLING}"),
    Route("GET", "/v1/payment_methods", list_all, "customer type"),
    Route("GET", "/v1/payment_methods/{method_id}", retrieve),
    Route("POST", "/v1/payment_methods/{method_id}", update, f"metadata.* {_BILLING}"),
    Route("POST", "/v1/payment_methods/{method_id}/attach", attach, "customer"),
    Route("POST", "/v1/payment_methods/{method_id}/detach", detach),
]
