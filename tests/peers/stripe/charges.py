"""Charges: one attempt to take money, made by a payment intent. https://docs.stripe.com/api/charges"""

from tests.peers.stripe import (
    answers,
    balance_transactions,
    disputes,
    early_fraud_warnings,
    events,
    payment_methods,
)
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.cards import Card
from tests.peers.stripe.params import Params, metadata, text
from tests.peers.stripe.route import Route


def add(account: Account, intent: Item, method: Item, *, status: str, is_captured: bool = True) -> Item:
    """An attempt of the intent with that method: succeeded, pending or failed; told by the event of that name."""
    card: Card | None = method["_card"]
    is_paid, is_failed = status == "succeeded", status == "failed"
    charge = account.add(
        "ch" if method["type"] == "card" else "py",
        "charge",
        {
            "amount": intent["amount"],
            "amount_captured": 0,
            "amount_refunded": 0,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": dict(method["billing_details"]),
            "calculated_statement_descriptor": "PLUMBLINE PEER" if is_paid else None,
            "captured": False,
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": card.code if card and is_failed else None,
            "failure_message": card.message if card and is_failed else None,
            "fraud_details": {},
            "metadata": dict(intent["metadata"]),
            "on_behalf_of": None,
            "outcome": _outcome(card, is_failed=is_failed),
            "paid": is_paid,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": payment_methods.charge_details(method),
            "receipt_email": intent["receipt_email"],
            "receipt_number": None,
            "receipt_url": None,
            "refunded": False,
            "review": None,
            "shipping": None,
            "source_transfer": None,
            "statement_descriptor": intent["statement_descriptor"],
            "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
            "status": status,
            "transfer_data": None,
            "transfer_group": None,
            "_refund": card.refund if card else "succeeded",
        },
    )
    intent["latest_charge"] = charge["id"]
    if is_paid and is_captured:
        _take(account, charge, charge["amount"])
    events.tell(account, f"charge.{status}", charge)
    if card is not None and card.then and is_paid:
        account.later(account.clock.now(), lambda: _follow_up(account, charge, card.then))
    return charge


def settle(account: Account, charge: Item, *, is_paid: bool) -> None:
    """A pending charge ends."""
    if is_paid:
        charge.update(status="succeeded", paid=True)
        _take(account, charge, charge["amount"])
    else:
        charge.update(
            status="failed",
            failure_code="insufficient_funds",
            failure_message="The customer's account has insufficient funds to cover this payment.",
            outcome=_outcome(None, is_failed=True),
        )
    events.tell(account, f"charge.{charge['status']}", charge)


def capture(account: Account, charge: Item, amount: int) -> None:
    """Take what was only held; the rest is let go, which has been no refund since 2025-03-31."""
    _take(account, charge, amount)
    events.tell(account, "charge.captured", charge)


def refundable(charge: Item) -> int:
    """What can still be given back."""
    return int(charge["amount_captured"] - charge["amount_refunded"])


def retrieve(account: Account, params: Params, charge_id: str) -> Item:
    """GET /v1/charges/{id}."""
    return account.get("charge", charge_id)


def update(account: Account, params: Params, charge_id: str) -> Item:
    """POST /v1/charges/{id}."""
    charge = account.get("charge", charge_id)
    changes: Item = {"metadata": metadata(params, charge["metadata"])}
    changes |= {name: text(params, name) for name in ("description", "receipt_email") if name in params}
    events.change(account, "charge.updated", charge, changes)
    return charge


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/charges, by customer and payment intent."""
    wanted = {name: text(params, name) for name in ("customer", "payment_intent")}
    return Page(
        [item for item in account.all("charge") if all(value in (None, item[name]) for name, value in wanted.items())]
    )


def _take(account: Account, charge: Item, amount: int) -> None:
    kind = "charge" if charge["payment_method_details"]["type"] == "card" else "payment"
    charge.update(captured=True, amount_captured=amount)
    charge["balance_transaction"] = balance_transactions.record(
        account, kind, charge, amount, fee=None, description=charge["description"]
    )


def _outcome(card: Card | None, *, is_failed: bool) -> Item:
    if is_failed:
        return {
            "advice_code": "try_again_later",
            "network_advice_code": None,
            "network_decline_code": "01",
            "network_status": "declined_by_network",
            "reason": (card.decline_code if card else None) or "generic_decline",
            "seller_message": "The bank declined the payment.",
            "type": "issuer_declined",
        }
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }


def _follow_up(account: Account, charge: Item, what: str) -> None:
    """What the bank of a test card does once it was charged."""
    if what == "warning":
        early_fraud_warnings.open_one(account, charge)
    else:
        is_inquiry = what == "inquiry"
        disputes.open_one(account, charge, reason="fraudulent" if is_inquiry else what, is_inquiry=is_inquiry)


def _refunds(account: Account, charge: Item) -> Item:
    found = [answers.public(item) for item in account.all("refund") if item["charge"] == charge["id"]]
    return answers.list_of(found[:10], f"/v1/charges/{charge['id']}/refunds", has_more=len(found) > 10)


answers.INCLUDABLE["charge", "refunds"] = _refunds
ROUTES = [
    Route("GET", "/v1/charges", list_all, "customer payment_intent created"),
    Route("GET", "/v1/charges/{charge_id}", retrieve),
    Route("POST", "/v1/charges/{charge_id}", update, "description receipt_email metadata.*"),
]
