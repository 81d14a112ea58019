"""What payments, their differences and provider events are called on operators' pages."""

from typing import Any

from billing.payments.inbox import EventRow
from billing.payments.recovery.comparison import Comparison, Field
from billing.payments.recovery.session_list import ListedSession
from billing.payments.recovery.unmatched import UnmatchedRow

PROVIDERS = {"stripe": "Stripe", "sandbox": "Sandbox", "bank": "Bank"}
CHANNELS = {"checkout": "By a person, on the provider's page", "off_session": "Charged to a saved method"}
TRIGGERS = {"person": "a person", "auto_pay": "automatic payment of an invoice", "auto_top_up": "automatic top-up"}
STATES = {
    "created": "Created",
    "open": "Open",
    "unknown": "Outcome unknown",
    "paid": "Paid",
    "failed": "Failed",
    "expired": "Expired",
}
EVENT_STATES = {
    "received": "Waiting",
    "failed": "Failed",
    "processed": "Applied",
    "ignored": "Kept, no effect",
    "closed": "Closed",
}
EVENT_TONES = {"received": "info", "failed": "bad", "processed": "good", "ignored": "neutral", "closed": "neutral"}
KINDS = {
    "foreign": (
        "Not from here",
        "It carries no reference of ours: something else charged through this provider account.",
    ),
    "orphan": ("Our reference, no row", "It carries a reference of ours, but there is no such payment session here."),
    "uncredited": ("Not credited", "It belongs to a payment session, but what was paid contradicts it."),
}
UNMATCHED_STATES = {"open": "To decide", "credited": "Credited", "closed": "Closed"}
# verdict -> (title, tone, what it means and what follows)
_VERDICTS = {
    "same": ("Both sides agree", "good", "Nothing is to be done."),
    "not_there": (
        "The provider has nothing of this",
        "warn",
        "It never got the request, or forgot it. Fetching again ends the session as failed once that is certain.",
    ),
    "paid_there": (
        "Paid at the provider, not credited here",
        "bad",
        "Fetch again: the payment is credited once, however often it is done.",
    ),
    "paid_here": (
        "Credited here, not paid at the provider",
        "bad",
        "The provider no longer confirms this payment. Look at its refunds and disputes; a correction needs two people.",
    ),
    "other_payment": (
        "Another payment than the one credited",
        "bad",
        "The customer may have paid twice. The second payment is on the list of payments to be matched.",
    ),
    "amount": (
        "The amounts differ",
        "bad",
        "Nothing is credited by guess. What was received can be given to an account by two people.",
    ),
    "currency": ("The currencies differ", "bad", "Nothing is credited by guess."),
    "mode": ("Test money on one side, real money on the other", "bad", "Nothing is ever credited across modes."),
    "reference": ("It names another session", "bad", "The provider's object does not carry this session's id."),
    "state": ("The states differ", "warn", "Fetch again: the session takes over what the provider says."),
}
FIELDS = {
    "object": "Object at the provider",
    "reference": "Our reference on it",
    "mode": "Mode",
    "state": "State",
    "currency": "Currency",
    "amount": "Amount asked for",
    "received": "Amount received",
    "payment": "Payment",
    "received_at": "Received",
}
# The first word of an event's note -> what it means.
_NOTES = {
    "livemode_mismatch": "For the other mode: test events do nothing to real money, nor the other way round",
    "other_account": "For another account of the provider",
    "type_without_effect": "Nothing here depends on events of this type",
    "not_ours": "About an object that is none of ours",
    "provider_not_configured": "Its provider is not configured here",
    "provider_unreachable": "The provider did not answer; it is asked again",
    "provider_refused": "The provider refused the look-up",
    "given_up": "Tried for three days without an answer",
    "internal_error": "A fault of ours: see the log",
    "livemode": "Another mode than ours",
    "amount_mismatch": "The amount differs from what was asked",
    "currency_mismatch": "The currency differs from what was asked",
    "reference_mismatch": "It names another payment session",
    "other_checkout": "Another checkout than the one we opened",
    "other_payment": "Another payment than the one credited: perhaps paid twice",
    "payment_not_confirmed": "The provider says paid but shows no confirmed payment",
    "unreadable_object": "The provider's object cannot be read",
    "not_confirmed": "The provider's own objects contradict each other",
}
_FAILURES = {
    "never_reached_provider": "The provider never got the request",
    "mismatch": "What was paid contradicts the session",
    "credited_as": "Credited by two people as another payment",
    "card_declined": "The card was declined",
    "insufficient_funds": "The card was declined: insufficient funds",
}


def provider(name: str) -> str:
    """A provider's name."""
    return PROVIDERS.get(name, name.capitalize())


def note(text: str | None) -> str | None:
    """An event's note in words; a technical detail behind a colon stays for whoever needs it."""
    if not text:
        return None
    word, _, rest = text.partition(":")
    if word == "given_up":
        inner = note(rest.strip())
        return f"{_NOTES[word]}. {inner}" if inner else _NOTES[word]
    return _NOTES.get(word, word.replace("_", " ").capitalize())


def failure(text: str | None) -> str | None:
    """Why a session has no payment, in words."""
    if not text:
        return None
    word, _, rest = text.partition(":")
    if word == "mismatch":
        return f"{_FAILURES[word]}: {(note(rest) or rest).lower()}"
    return _FAILURES.get(word, word.replace("_", " ").capitalize())


def verdict(found: Comparison) -> tuple[str, str, str]:
    """(title, tone, what it means) of both sides together."""
    title, tone, text = _VERDICTS[found.verdict]
    if found.verdict == "not_there" and found.ours.state in ("failed", "expired"):
        return "The provider has nothing of this, and nothing was paid", "good", "Nothing is to be done."
    return title, tone, text


def shown(field: Field, side: str) -> dict[str, Any]:
    """One side of a field as the template shows it: {"kind", "value"}."""
    value = getattr(field, side)
    kind = field.kind
    if value is None:
        return {"kind": "none", "value": None}
    if kind == "mode":
        return {"kind": "word", "value": "Real money" if value else "Test"}
    if field.name == "state":
        return {"kind": "word", "value": STATES.get(str(value), str(value).capitalize())}
    return {"kind": kind, "value": value}


def title(row: ListedSession) -> str:
    """What a session is for: "Top-up", "Invoice payment"."""
    return "Invoice payment" if row.purpose == "invoice" else "Top-up"


def event_history(events: list[EventRow], url_of: Any) -> list[dict[str, Any]]:
    """A session's events as the timeline macro takes them."""
    return [
        {
            "at": row.received_at,
            "title": f"The provider told: {row.type}",
            "detail": ". ".join(filter(None, [EVENT_STATES[row.state], note(row.note)])),
            "href": url_of(row.id),
            "tone": "bad" if row.state == "failed" else None,
        }
        for row in events
    ]


def unmatched_reason(row: UnmatchedRow) -> str:
    """Why it is on the list, in one sentence."""
    said = note(row.reason)
    return f"{KINDS[row.kind][1]} {said}." if said and row.kind == "uncredited" else KINDS[row.kind][1]


def by_time(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Newest first."""
    return sorted(events, key=lambda event: event["at"], reverse=True)
