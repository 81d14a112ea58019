"""Payouts to the bank, by hand or by the schedule, and the balance that they are paid from. https://docs.stripe.com/api/payouts"""

from tests.peers.stripe import balance_transactions, events
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import InvalidParameter, Refused
from tests.peers.stripe.params import Params, amount, metadata, text
from tests.peers.stripe.route import Route

_ARRIVES_AFTER_S = 2 * 86_400
_BANK = "ba_1PeerBankAccount00000000"
_BANK_ACCOUNT = {
    "id": _BANK,
    "object": "bank_account",
    "account_holder_name": None,
    "account_holder_type": None,
    "account_type": None,
    "bank_name": "PEER TEST BANK",
    "country": "US",
    "currency": "usd",
    "fingerprint": "PeerBankFingerpr",
    "last4": "6789",
    "routing_number": "110000000",
    "status": "new",
}
_NEXT = {"pending": ("in_transit", "paid", "failed", "canceled"), "in_transit": ("paid", "failed"), "paid": ("failed",)}


def balance(account: Account, params: Params) -> Item:
    """GET /v1/balance: what is available and what is pending, in every currency that something moved in."""
    held: dict[str, dict[str, int]] = {}
    for item in account.all("balance_transaction"):
        own = held.setdefault(item["currency"], {"available": 0, "pending": 0})
        own[item["status"]] += item["net"]
    parts = {
        name: [
            {"amount": own[name], "currency": currency, "source_types": {"card": own[name]}}
            for currency, own in sorted(held.items())
        ]
        for name in ("available", "pending")
    }
    return {"object": "balance", "livemode": account.is_live, **parts}


def retrieve(account: Account, params: Params, payout_id: str) -> Item:
    """GET /v1/payouts/{id}."""
    return account.get("payout", payout_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/payouts, by status."""
    status = text(params, "status")
    return Page([item for item in account.all("payout") if status in (None, item["status"])])


def create(account: Account, params: Params) -> Item:
    """POST /v1/payouts: by hand, at most what is available."""
    wanted, currency = amount(params), text(params, "currency")
    if wanted is None or currency is None:
        missing = "amount" if wanted is None else "currency"
        raise InvalidParameter(f"Missing required param: {missing}.", param=missing, code="parameter_missing")
    if wanted > available(account, currency):
        raise Refused(
            400,
            "You have insufficient funds in your Stripe account for this transfer.",
            code="balance_insufficient",
        )
    return add(account, currency, wanted, automatic=False, metadata=metadata(params))


def cancel(account: Account, params: Params, payout_id: str) -> Item:
    """POST /v1/payouts/{id}/cancel: while it is pending."""
    payout = account.get("payout", payout_id)
    if payout["status"] != "pending":
        raise Refused(400, "Payouts can only be canceled while they are pending.")
    return decide(account, payout, "canceled")


def available(account: Account, currency: str) -> int:
    """What may be paid out now."""
    found = account.all("balance_transaction")
    return sum(item["net"] for item in found if item["currency"] == currency and item["status"] == "available")


def add(
    account: Account, currency: str, wanted: int, *, automatic: bool, metadata: Item | None = None, fee: int = 0
) -> Item:
    """Money leaves for the bank: pending, and the balance is less at once. An automatic one takes every available movement along."""
    taken = [
        item
        for item in account.all("balance_transaction")
        if item["currency"] == currency and item["status"] == "available" and item["id"] not in account.paid_out
    ]
    payout = account.add(
        "po",
        "payout",
        {
            "amount": wanted,
            "application_fee": None,
            "application_fee_amount": None,
            "arrival_date": (account.clock.now() + _ARRIVES_AFTER_S) // 86_400 * 86_400,
            "automatic": automatic,
            "balance_transaction": None,
            "currency": currency,
            "description": "STRIPE PAYOUT" if automatic else None,
            "destination": _BANK,
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "metadata": metadata or {},
            "method": "standard",
            "original_payout": None,
            "payout_method": None,
            "reconciliation_status": "completed" if automatic else "not_applicable",
            "reversed_by": None,
            "source_type": "card",
            "statement_descriptor": None,
            "status": "pending",
            "trace_id": None,
            "type": "bank_account",
        },
    )
    account.by_id.setdefault(_BANK, dict(_BANK_ACCOUNT))
    payout["balance_transaction"] = balance_transactions.record(
        account, "payout", payout, -wanted, fee=fee, description=payout["description"], available_after_s=0
    )
    if automatic:
        own = payout["balance_transaction"]
        account.paid_out |= dict.fromkeys([*(item["id"] for item in taken), own], payout["id"])
    events.tell(account, "payout.created", payout)
    return payout


def decide(account: Account, payout: Item, status: str, failure_code: str | None = None) -> Item:
    """What the bank does: in_transit, paid, failed also after paid; or canceled. What did not arrive is back in the balance."""
    if status not in _NEXT.get(payout["status"], ()):
        raise Refused(400, f"A payout that is {payout['status']} cannot become {status}.")
    if status in ("failed", "canceled"):
        kind = "payout_failure" if status == "failed" else "payout_cancel"
        payout["failure_balance_transaction"] = balance_transactions.record(
            account, kind, payout, payout["amount"], description="STRIPE PAYOUT", available_after_s=0
        )
    if status == "failed":
        payout["failure_code"] = failure_code or "account_closed"
        payout["failure_message"] = "The bank account has been closed."
    payout["status"] = status
    events.tell(account, "payout.updated" if status == "in_transit" else f"payout.{status}", payout)
    return payout


ROUTES = [
    Route("GET", "/v1/balance", balance),
    Route("GET", "/v1/payouts", list_all, "status created"),
    Route("POST", "/v1/payouts", create, "amount currency metadata.*"),
    Route("GET", "/v1/payouts/{payout_id}", retrieve),
    Route("POST", "/v1/payouts/{payout_id}/cancel", cancel),
]
