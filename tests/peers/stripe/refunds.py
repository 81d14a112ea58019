"""Refunds: money back to the card, at most what is left of the charge. https://docs.stripe.com/api/refunds"""

from tests.peers.stripe import balance_transactions, charges, currencies, events
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import InvalidParameter, Refused
from tests.peers.stripe.params import Params, amount, choice, metadata, text
from tests.peers.stripe.route import Route

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_BANK_TAKES_S = 3 * 86_400
_CUSTOMER_HAS_S = 45 * 86_400
_ENDED = ("failed", "canceled")


def create(account: Account, params: Params) -> Item:
    """POST /v1/refunds for a payment intent or a charge."""
    wanted, reason, words = amount(params), choice(params, "reason", _REASONS), metadata(params)
    intent_id, charge_id = text(params, "payment_intent"), text(params, "charge")
    if intent_id is None and charge_id is None:
        raise InvalidParameter(
            "One of the following params should be provided for this request: payment_intent or charge.",
            param="payment_intent",
            code="parameter_missing",
        )
    charge = _charge(account, intent_id, charge_id)
    if charge["disputed"]:
        raise Refused(
            400,
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
            param="charge",
        )
    left = charges.refundable(charge)
    if left == 0:
        raise Refused(
            400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded", param="charge"
        )
    wanted = left if wanted is None else wanted
    if wanted > left:
        raise Refused(
            400, f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({left})", param="amount"
        )
    currencies.check_step(charge["currency"], wanted)
    charge["amount_refunded"] += wanted
    charge["refunded"] = charges.refundable(charge) == 0
    refund = _add(account, charge, wanted, reason=reason, metadata=words)
    events.tell(account, "refund.created", refund)
    events.tell(account, "charge.refunded", charge)
    return refund


def decide(account: Account, refund: Item, status: str, failure_reason: str | None = None) -> Item:
    """The bank decides: pending, succeeded, failed or canceled, also after success. What failed is refundable again."""
    if status in _ENDED and refund["status"] not in _ENDED:
        charge = account.get("charge", refund["charge"])
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        refund.pop("next_action", None)
        if refund["balance_transaction"] is not None:
            refund["failure_balance_transaction"] = balance_transactions.record(
                account, "refund_failure", refund, refund["amount"], description="REFUND FAILURE"
            )
        if status == "failed":
            refund["failure_reason"] = failure_reason or "unknown"
    elif status in ("pending", "succeeded") and refund["balance_transaction"] is None:
        refund.pop("next_action", None)
        _leave(account, refund)
    refund["status"] = status
    events.tell(account, "refund.failed" if status == "failed" else "refund.updated", refund)
    events.tell(account, "charge.refund.updated", refund)
    return refund


def retrieve(account: Account, params: Params, refund_id: str) -> Item:
    """GET /v1/refunds/{id}."""
    return account.get("refund", refund_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/refunds, by payment intent and charge."""
    wanted = {name: text(params, name) for name in ("payment_intent", "charge")}
    found = account.all("refund")
    return Page([item for item in found if all(value in (None, item[name]) for name, value in wanted.items())])


def update(account: Account, params: Params, refund_id: str) -> Item:
    """POST /v1/refunds/{id}: its metadata."""
    refund = account.get("refund", refund_id)
    events.change(account, "refund.updated", refund, {"metadata": metadata(params, refund["metadata"])})
    return refund


def cancel(account: Account, params: Params, refund_id: str) -> Item:
    """POST /v1/refunds/{id}/cancel: only one that waits for the customer, which cards never do."""
    refund = account.get("refund", refund_id)
    if refund["status"] == "requires_action":
        return decide(account, refund, "canceled")
    raise Refused(400, f"You cannot cancel this refund because it has a status of {refund['status']}.")


def _charge(account: Account, intent_id: str | None, charge_id: str | None) -> Item:
    if charge_id is not None:
        charge = account.get("charge", charge_id, "charge")
        if intent_id not in (None, charge["payment_intent"]):
            raise Refused(400, "The charge does not belong to the payment intent.", param="payment_intent")
    else:
        intent = account.get("payment_intent", str(intent_id), "payment_intent")
        if intent["latest_charge"] is None:
            raise _not_charged(intent["id"])
        charge = account.get("charge", intent["latest_charge"])
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise _not_charged(charge["payment_intent"])
    return charge


def _not_charged(intent_id: str) -> Refused:
    return Refused(
        400,
        f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
        param="payment_intent",
    )


def _add(account: Account, charge: Item, wanted: int, *, reason: str | None, metadata: Item) -> Item:
    is_pending = account.refunds_start_pending or charge["_refund"] == "pending"
    refund = account.add(
        "re" if charge["id"].startswith("ch_") else "pyr",
        "refund",
        {
            "amount": wanted,
            "balance_transaction": None,
            "charge": charge["id"],
            "currency": charge["currency"],
            "customer": charge["customer"],
            "customer_account": None,
            "destination_details": {"card": {"type": "refund"}, "type": "card"},
            "metadata": metadata,
            "payment_intent": charge["payment_intent"],
            "payment_method": charge["payment_method"],
            "reason": reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "pending" if is_pending else "succeeded",
            "transfer_reversal": None,
        },
    )
    if account.refunds_ask_customer:
        refund.update(status="requires_action", next_action=_asks(account))
        return refund
    if charge["payment_method_details"]["type"] != "card":
        sent = {"reference": None, "reference_status": "pending"}
        refund["destination_details"] = {"eu_bank_transfer": sent, "type": "eu_bank_transfer"}
    _leave(account, refund)
    if charge["_refund"] in ("failed", "pending"):
        ends_as = "failed" if charge["_refund"] == "failed" else "succeeded"
        account.later(account.clock.now() + _BANK_TAKES_S, lambda: _end(account, refund, ends_as))
    return refund


def _leave(account: Account, refund: Item) -> None:
    """The money leaves the account's balance."""
    refund["balance_transaction"] = balance_transactions.record(
        account, "refund", refund, -refund["amount"], description="REFUND FOR CHARGE"
    )


def _asks(account: Account) -> Item:
    """The customer was written to, and has 45 days to name a bank account."""
    sent = {"email_sent_at": account.clock.now(), "email_sent_to": "customer@example.com"}
    details = {"email_sent": sent, "expires_at": account.clock.now() + _CUSTOMER_HAS_S}
    return {"type": "display_details", "display_details": details}


def _end(account: Account, refund: Item, status: str) -> None:
    if refund["status"] != status:
        decide(account, refund, status, "expired_or_canceled_card" if status == "failed" else None)


ROUTES = [
    Route("POST", "/v1/refunds", create, "payment_intent charge amount reason metadata.*"),
    Route("GET", "/v1/refunds", list_all, "payment_intent charge created"),
    Route("GET", "/v1/refunds/{refund_id}", retrieve),
    Route("POST", "/v1/refunds/{refund_id}", update, "metadata.*"),
    Route("POST", "/v1/refunds/{refund_id}/cancel", cancel),
]
