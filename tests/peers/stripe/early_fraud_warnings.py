"""Early fraud warnings: the card's issuer says that a charge may be fraud. https://docs.stripe.com/api/radar/early_fraud_warnings"""

from tests.peers.stripe import events
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.params import Params, text
from tests.peers.stripe.route import Route


def open_one(account: Account, charge: Item, *, fraud_type: str = "made_with_stolen_card") -> Item:
    """A warning about a charge."""
    warning = account.add(
        "issfr",
        "radar.early_fraud_warning",
        {
            "actionable": True,
            "charge": charge["id"],
            "fraud_type": fraud_type,
            "payment_intent": charge["payment_intent"],
        },
    )
    events.tell(account, "radar.early_fraud_warning.created", warning)
    return warning


def retrieve(account: Account, params: Params, warning_id: str) -> Item:
    """GET /v1/radar/early_fraud_warnings/{id}."""
    return account.get("radar.early_fraud_warning", warning_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/radar/early_fraud_warnings, by charge and payment intent."""
    wanted = {name: text(params, name) for name in ("charge", "payment_intent")}
    found = account.all("radar.early_fraud_warning")
    return Page([item for item in found if all(value in (None, item[name]) for name, value in wanted.items())])


ROUTES = [
    Route("GET", "/v1/radar/early_fraud_warnings", list_all, "charge payment_intent created"),
    Route("GET", "/v1/radar/early_fraud_warnings/{warning_id}", retrieve),
]
