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
    "refund.succeeded": ("made", "The money is on its way back to the card. Banks take up to ten days to show it."),
    "refund.failed": ("failed", "The bank could not take the money back to the card. It is in your balance again."),
}


def changed(what: str) -> str:
    """What happened to somebody's access: "Your password was changed"."""
    return _CHANGED.get(what, f"Your access was changed: {what.replace('_', ' ')}")


def refund(topic: str, mode: str, invoice_number: str | None) -> tuple[str, str]:
    """(what happened to the refund in a word or two, a sentence about it)."""
    word, sentence = _REFUNDS[topic]
    if topic == "refund.succeeded" and mode == "credit":
        sentence = f"Invoice {invoice_number or ''} was credited; what had been paid is in your balance.".replace(
            "  ", " "
        )
    return word, sentence
