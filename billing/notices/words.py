"""Codes of notices in words. They are plain texts, escaped where they are written: a macro shared by text and HTML would not be."""

_CHANGED = {
    "password": "Your password was changed",
    "totp_on": "Your second factor was turned on",
    "totp_off": "Your second factor was turned off",
    "recovery_codes": "New recovery codes were made",
    "sessions_ended": "Your other sessions were ended",
    "role": "Your role was changed",
    "removed_from_team": "You were removed from a team",
    "disabled": "Your access was ended",
}
_REFUNDS = {
    "refund.requested": (
        "asked for",
        "Your request has arrived. A person looks at it, and you are told what they decide.",
    ),
    "refund.rejected": ("declined", "Your request was looked at and declined. The money stays where it is."),
    "refund.sent": (
        "is on its way",
        "The money has left us. The bank has not confirmed it yet; you are told when it has.",
    ),
    "refund.action_required": (
        "waits for your details",
        "The payment provider has written to you and asks where the money should go: please answer that message.",
    ),
    "refund.succeeded": ("made", "The money is on its way back to the card. Banks take up to ten days to show it."),
    "refund.failed": ("failed", "The bank could not take the money. It is in your balance again."),
}
_DISPUTE_REASONS = {
    "fraudulent": "The cardholder says that they did not make the payment",
    "product_not_received": "The cardholder says that nothing was provided",
    "product_unacceptable": "The cardholder says that it was not as described",
    "duplicate": "The cardholder says that they paid twice",
    "subscription_canceled": "The cardholder says that it was cancelled",
    "credit_not_processed": "The cardholder says that a refund did not come",
    "unrecognized": "The cardholder does not recognise the payment",
    "general": "The bank gives no reason",
}
_BY_BANK = "The transfer has left our bank. It should be there within three days."


def changed(what: str) -> str:
    """What happened to somebody's access: "Your password was changed"."""
    return _CHANGED.get(what, f"Your access was changed: {what.replace('_', ' ')}")


def refund(topic: str, mode: str, invoice_number: str | None) -> tuple[str, str]:
    """(what happened to the refund in a word or two, a sentence about it)."""
    word, sentence = _REFUNDS[topic]
    if topic == "refund.succeeded" and mode == "bank":
        sentence = _BY_BANK
    if topic == "refund.succeeded" and mode == "credit":
        sentence = f"Invoice {invoice_number or ''} was credited; what had been paid is in your balance.".replace(
            "  ", " "
        )
    return word, sentence


def dispute_reason(reason: str) -> str:
    """Why a payment is disputed, in a sentence without its full stop."""
    return _DISPUTE_REASONS.get(reason, f"The bank's reason is: {reason.replace('_', ' ')}")


def disputed(state: str, invoice_number: str | None) -> tuple[str, str]:
    """(what happened to the tenant's disputed payment in a word or two, a sentence about it)."""
    if state == "won":
        return "stands", "The bank has decided that the payment stands. Nothing changes for you."
    if state == "lost":
        owed = f"Invoice {invoice_number} is open again." if invoice_number else "The amount has left your balance."
        return "was taken back", f"The bank has given the money back to the cardholder. {owed}"
    return (
        "is disputed",
        "The bank has taken the money back until it is decided. If this is a mistake, ask it to withdraw the dispute.",
    )
