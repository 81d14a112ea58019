"""Disputes: the cardholder's bank takes a payment back, or asks about it. https://docs.stripe.com/api/disputes"""

from tests.peers.stripe import balance_transactions, events
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import InvalidParameter, Refused
from tests.peers.stripe.params import Params, boolean, group, metadata, text
from tests.peers.stripe.route import Route

FEE = 1500
WINNING, LOSING = "winning_evidence", "losing_evidence"
TEXTS = (
    *("access_activity_log", "billing_address", "cancellation_policy_disclosure", "cancellation_rebuttal"),
    *("customer_email_address", "customer_name", "customer_purchase_ip", "duplicate_charge_explanation"),
    *("duplicate_charge_id", "product_description", "refund_policy_disclosure", "refund_refusal_explanation"),
    *("service_date", "shipping_address", "shipping_carrier", "shipping_date", "shipping_tracking_number"),
    "uncategorized_text",
)
FILES = (
    *("cancellation_policy", "customer_communication", "customer_signature", "duplicate_charge_documentation"),
    *("receipt", "refund_policy", "service_documentation", "shipping_documentation", "uncategorized_file"),
)
_MOST_OF_ONE, _MOST = 20_000, 150_000
_ANSWER_WITHIN_S = 9 * 86_400
_OPEN, _INQUIRY = ("needs_response", "under_review"), ("warning_needs_response", "warning_under_review")
_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}


def open_one(
    account: Account, charge: Item, *, reason: str = "fraudulent", amount: int | None = None, is_inquiry: bool = False
) -> Item:
    """A new dispute of a charge; an inquiry moves no money."""
    code = _CODES.get(reason, "13.7")
    dispute = account.add(
        "du",
        "dispute",
        {
            "amount": charge["amount"] if amount is None else amount,
            "balance_transactions": [],
            "charge": charge["id"],
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": dict.fromkeys((*TEXTS, *FILES)) | {"enhanced_evidence": {}},
            "evidence_details": {
                "due_by": account.clock.now() + _ANSWER_WITHIN_S,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
                "submission_method": "not_submitted",
            },
            "is_charge_refundable": is_inquiry,
            "metadata": {},
            "network_reason_code": code,
            "payment_intent": charge["payment_intent"],
            "payment_method_details": {
                "card": {
                    "brand": charge["payment_method_details"].get("card", {}).get("brand", "visa"),
                    "case_type": "inquiry" if is_inquiry else "chargeback",
                    "network": "visa",
                    "network_reason_code": code,
                },
                "type": "card",
            },
            "reason": reason,
            "status": "warning_needs_response" if is_inquiry else "needs_response",
        },
    )
    charge["disputed"] = not is_inquiry
    events.tell(account, "charge.dispute.created", dispute)
    if not is_inquiry:
        move(account, dispute, -dispute["amount"], fee=FEE)
    return dispute


def move(account: Account, dispute: Item, amount: int, *, fee: int = 0) -> Item:
    """Money goes (below zero) or comes back; the event says so."""
    description = "Chargeback withdrawal for" if amount < 0 else "Chargeback reversal for"
    found = balance_transactions.record(
        account, "adjustment", dispute, amount, fee=fee, description=f"{description} {dispute['charge']}"
    )
    movement = account.get("balance_transaction", found)
    movement["reporting_category"] = "dispute" if amount < 0 else "dispute_reversal"
    dispute["balance_transactions"].append(movement)
    events.tell(account, f"charge.dispute.funds_{'withdrawn' if amount < 0 else 'reinstated'}", dispute)
    return movement


def decide(account: Account, dispute: Item, outcome: str) -> Item:
    """The bank decides: won, lost, warning_closed, prevented; an inquiry may become needs_response."""
    if outcome == "needs_response":
        dispute.update(status=outcome, is_charge_refundable=False)
        events.tell(account, "charge.dispute.updated", dispute)
        move(account, dispute, -dispute["amount"], fee=FEE)
        return dispute
    dispute["status"] = outcome
    held = -sum(movement["amount"] for movement in dispute["balance_transactions"])
    if outcome in ("won", "prevented") and held > 0:
        move(account, dispute, held)
    events.tell(account, "charge.dispute.closed", dispute)
    return dispute


def retrieve(account: Account, params: Params, dispute_id: str) -> Item:
    """GET /v1/disputes/{id}."""
    return account.get("dispute", dispute_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/disputes, by charge, payment intent and time."""
    wanted = {name: text(params, name) for name in ("charge", "payment_intent")}
    found = account.all("dispute")
    return Page([item for item in found if all(value in (None, item[name]) for name, value in wanted.items())])


def update(account: Account, params: Params, dispute_id: str) -> Item:
    """POST /v1/disputes/{id}: evidence, which is submitted for good unless `submit` is false; metadata."""
    dispute = account.get("dispute", dispute_id)
    given = _evidence(account, params)
    dispute["metadata"] = metadata(params, dispute["metadata"])
    if not given:
        return dispute
    if dispute["status"] not in ("needs_response", "warning_needs_response"):
        raise Refused(400, "This dispute is already closed or its evidence was submitted.", param="evidence")
    if dispute["evidence_details"]["due_by"] <= account.clock.now():
        raise Refused(400, "The time to submit evidence for this dispute is over.", param="evidence")
    details = dispute["evidence_details"]
    dispute["evidence"] = dispute["evidence"] | given
    details["has_evidence"] = True
    if "submit" not in params or boolean(params, "submit"):
        details.update(submission_count=details["submission_count"] + 1, submission_method="manual")
        inquiry = dispute["status"] in _INQUIRY
        dispute["status"] = "warning_under_review" if inquiry else "under_review"
    events.tell(account, "charge.dispute.updated", dispute)
    if dispute["status"] == "under_review" and given.get("uncategorized_text") in (WINNING, LOSING):
        decide(account, dispute, "won" if given["uncategorized_text"] == WINNING else "lost")
    return dispute


def close(account: Account, params: Params, dispute_id: str) -> Item:
    """POST /v1/disputes/{id}/close: given up."""
    dispute = account.get("dispute", dispute_id)
    if dispute["status"] != "needs_response":
        raise Refused(400, "This dispute is already closed.")
    return decide(account, dispute, "lost")


def _evidence(account: Account, params: Params) -> Item:
    given = group(params, "evidence")
    found: Item = {}
    for name in TEXTS:
        words = text(given, name, most=_MOST_OF_ONE)
        if words is not None:
            found[name] = words
    if sum(len(words) for words in found.values()) > _MOST:
        raise InvalidParameter(f"The combined length of evidence may be at most {_MOST}.", param="evidence")
    for name in FILES:
        file_id = text(given, name)
        if file_id is not None:
            file = account.get("file", file_id, f"evidence[{name}]")
            if file["purpose"] != "dispute_evidence":
                raise InvalidParameter("The file's purpose must be dispute_evidence.", param=f"evidence[{name}]")
            found[name] = file_id
    return found


ROUTES = [
    Route("GET", "/v1/disputes", list_all, "charge payment_intent created"),
    Route("GET", "/v1/disputes/{dispute_id}", retrieve),
    Route(
        "POST",
        "/v1/disputes/{dispute_id}",
        update,
        "metadata.* submit " + " ".join(f"evidence.{name}" for name in (*TEXTS, *FILES)),
    ),
    Route("POST", "/v1/disputes/{dispute_id}/close", close),
]
