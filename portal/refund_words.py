"""What the steps, ways and rules of refunds are called, for tenants and operators alike."""

from collections.abc import Sequence
from typing import Any

from billing.payments.refunds import RefundRow, RefundStep
from portal import filters

MODES = {"card": "To the card", "bank": "To the bank account", "credit": "As credit on the invoice"}
OUTCOMES = {
    "refunded": "Refunded",
    "credited": "Credited",
    "released": "Did not leave; back in the wallet",
    "returned": "Came back; in the wallet again",
    "rejected": "Rejected",
    "withdrawn": "Withdrawn",
    "expired": "Nobody decided in time",
}
_STEPS: dict[str, tuple[str, str | None]] = {
    "requested": ("Requested", None),
    "approved": ("Approved by a second person", None),
    "credited": ("Credit note issued", "good"),
    "sent": ("Sent to the payment provider", None),
    "unknown": ("The payment provider did not answer clearly", "warn"),
    "pending": ("The payment provider has taken it up", None),
    "action_required": ("The payment provider asks the customer for details", "warn"),
    "cancel_asked": ("Cancelled at the payment provider", "warn"),
    "booked": ("The money left our account at the payment provider", None),
    "transferred": ("The transfer left our bank", "good"),
    "succeeded": ("Refunded by the payment provider", "good"),
    "released": ("The refund failed: the money is in the wallet again", "bad"),
    "returned": ("The money came back: it is in the wallet again", "bad"),
    "rejected": ("Rejected", "bad"),
    "withdrawn": ("Withdrawn", None),
    "expired": ("Not decided in time", "bad"),
}
_OURS = ("booked", "cancel_asked")
_FAILURES = {
    "lost_or_stolen_card": "The card was lost or stolen.",
    "expired_or_canceled_card": "The card has expired or was cancelled.",
    "canceled": "It was cancelled.",
    "declined": "The bank declined it.",
    "charge_disputed": "The payment is disputed.",
    "charge_already_refunded": "The payment was refunded already.",
    "insufficient_funds": "Our account at the payment provider did not hold enough.",
    "never_reached_provider": "It never reached the payment provider.",
    "merchant_request": "We asked the payment provider to stop it.",
}


def mode(row: RefundRow) -> str:
    """How the money goes back: "To the card, after a credit note"."""
    after = ", after a credit note" if row.mode != "credit" and row.invoice_id else ""
    return MODES[row.mode] + after


def step(found: RefundStep, row: RefundRow) -> dict[str, Any]:
    """One step as the timeline shows it."""
    title, tone = _STEPS.get(found.type, (found.type.replace("_", " ").capitalize(), None))
    if found.type == "approved" and row.mode == "credit":
        tone = "good"
    return {"at": found.at, "title": title, "tone": tone, "detail": _detail(found, row)}


def steps_of_tenant(history: Sequence[RefundStep], row: RefundRow) -> list[dict[str, Any]]:
    """The steps that a tenant is told, newest first: not what only moves our own accounts."""
    return [step(found, row) for found in reversed(history) if found.type not in _OURS]


def failure(code: str | None) -> str | None:
    """A provider's word for why, in a sentence; an unknown one as it is."""
    return None if code is None else _FAILURES.get(code, code.replace("_", " "))


def policy(row: RefundRow) -> str | None:
    """The rule that the limit stood on, in a sentence."""
    facts = row.policy
    if not facts or "limit_minor" not in facts:
        return None
    most = filters.money(facts["limit_minor"], row.currency)
    if facts.get("policy") is None:
        return f"At most what is left to credit of the invoice: {most}."
    rest = filters.money(facts["rest_minor"], row.currency)
    if row.invoice_id is not None:
        return (
            f"The invoice is credited first. At most what is left of the payment ({rest}) and of the invoice: {most}."
        )
    funds = filters.money(facts["funds_minor"], row.currency)
    if facts["policy"] == "prepaid":
        return (
            f"At most what is left of the payment ({rest}) and what the wallet holds beyond pending usage with its tax "
            f"({funds}): {most}."
        )
    return f"At most what is left of the payment ({rest}) and what the wallet holds ({funds}): {most}."


def masked(iban: str) -> str:
    """An IBAN by its country and last four characters."""
    return f"{iban[:2]}•• •••• {iban[-4:]}"


def _detail(found: RefundStep, row: RefundRow) -> str | None:
    facts = found.facts
    if found.type == "requested":
        return row.reason
    if found.type in ("approved", "rejected"):
        return row.decision_note
    if found.type == "credited":
        return str(facts.get("credit_note") or "")
    if found.type == "transferred":
        return f"Reference {facts.get('reference')}"
    return failure(facts.get("failure"))
