"""Customer portal sessions: a hosted page on which the customer manages saved methods. https://docs.stripe.com/api/customer_portal"""

from tests.peers.stripe import cards, customers, events, payment_methods
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.errors import Refused, missing
from tests.peers.stripe.params import Params, text
from tests.peers.stripe.route import Route

_LIFE_S = 30 * 60


def create(account: Account, params: Params) -> Item:
    """POST /v1/billing_portal/sessions."""
    customer_id = customers.named(account, params)
    if customer_id is None:
        raise missing("customer")
    session = account.add(
        "bps",
        "billing_portal.session",
        {
            "after_expiration": None,
            "configuration": "bpc_default",
            "customer": customer_id,
            "customer_account": None,
            "flow": None,
            "locale": text(params, "locale"),
            "on_behalf_of": None,
            "return_url": text(params, "return_url"),
        },
    )
    session["url"] = f"{account.base_url}/p/session/{session['id']}"
    return session


def is_over(account: Account, session: Item) -> bool:
    """Whether the page may be used no more."""
    return account.clock.now() > int(session["created"]) + _LIFE_S


def methods_of(account: Account, session: Item) -> list[Item]:
    """What hangs on the customer, newest first."""
    return [item for item in account.all("payment_method") if item["customer"] == session["customer"]]


def act(account: Account, session: Item, fields: Params) -> None:
    """What the page's buttons do: add a card by its number, remove a method, make one the default. Raises Refused."""
    verb, value = fields.get("act"), fields.get("value", "")
    customer = customers.living(account, session["customer"])
    if verb == "add":
        card = cards.BY_NUMBER.get("".join(str(value).split()))
        if card is None:
            raise Refused(402, "Your card number is invalid.")
        method = payment_methods.add_card(account, card, {})
        payment_methods.attach_to(account, method["id"], customer["id"])
        return
    method = account.get("payment_method", value)
    if method["customer"] != customer["id"]:
        raise Refused(404, "No such payment method.")
    if verb == "remove":
        payment_methods.detach(account, {}, method["id"])
    elif verb == "default":
        settings = customer["invoice_settings"] | {"default_payment_method": method["id"]}
        events.change(account, "customer.updated", customer, {"invoice_settings": settings})
    else:
        raise Refused(400, "Nothing to do.")


ROUTES = [Route("POST", "/v1/billing_portal/sessions", create, "customer return_url locale")]
