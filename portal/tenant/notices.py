"""What a notice says, and where it leads."""

from typing import Any

from flask import url_for

from billing.notices.inbox import Notice
from portal import filters
from portal.tenant import words

_REFUNDS = {"sent": "Refund on its way", "action_required": "A refund waits for details from you"}


def shown(notice: Notice) -> dict[str, Any]:
    """A notice for the `timeline` macro."""
    facts = notice.payload
    title, detail, href, tone = _WORDS.get(notice.topic, _unknown)(facts)
    if notice.topic.startswith("refund."):
        title, detail, href, tone = _refund(notice.topic.removeprefix("refund."), facts)
    elif notice.topic not in _WORDS:
        title = words.plain(notice.topic.replace(".", " "))
    return {"at": notice.created_at, "title": title, "detail": detail, "href": href, "tone": tone}


Words = tuple[str, str | None, str | None, str | None]


def _money(facts: dict[str, Any], name: str) -> str | None:
    minor, currency = facts.get(name), facts.get("currency")
    return filters.money(minor, currency) if isinstance(minor, int) and isinstance(currency, str) else None


def _invoice(facts: dict[str, Any]) -> Words:
    detail = _money(facts, "total_minor")
    return f"Invoice {facts.get('number')} issued", detail, _document(facts.get("invoice_id")), "good"


def _paid(facts: dict[str, Any]) -> Words:
    return (
        f"Invoice {facts.get('number', '')} paid".replace("  ", " "),
        None,
        _document(facts.get("invoice_id")),
        "good",
    )


def _credit_note(facts: dict[str, Any]) -> Words:
    title = f"Invoice {facts.get('invoice_number')} was credited"
    return title, _money(facts, "amount_minor"), _document(facts.get("credit_note_id")), "good"


def _payment(facts: dict[str, Any]) -> Words:
    key = facts.get("payment_session_id")
    href = url_for("tenant.add_funds_session", session_id=key) if key else None
    return "Payment received", _money(facts, "amount_minor"), href, "good"


def _budget(facts: dict[str, Any]) -> Words:
    percent = facts.get("threshold_percent")
    key = facts.get("budget_id")
    href = url_for("tenant.budgets_detail", key=key) if key else None
    detail = f"{_money(facts, 'spent_minor')} of {_money(facts, 'amount_minor')} in {facts.get('period')}"
    tone = "bad" if isinstance(percent, int) and percent >= 100 else "warn"
    return f"Budget “{facts.get('name')}” reached {percent}%", detail, href, tone


def _failed(facts: dict[str, Any]) -> Words:
    number = facts.get("invoice_number")
    title = f"Invoice {number} could not be paid automatically" if number else "An automatic top-up failed"
    return title, _money(facts, "amount_minor"), _attempt(facts), "bad"


def _to_confirm(facts: dict[str, Any]) -> Words:
    return "A payment waits for you to confirm it", _money(facts, "amount_minor"), _attempt(facts), "warn"


def _topped_up(facts: dict[str, Any]) -> Words:
    return "Wallet topped up automatically", _money(facts, "amount_minor"), _attempt(facts), "good"


def _cap_reached(facts: dict[str, Any]) -> Words:
    detail = f"{_money(facts, 'spent_minor')} of {_money(facts, 'cap_minor')} in {facts.get('month')}"
    return "The cap of automatic top-ups is reached", detail, url_for("tenant.automatic_payments"), "warn"


def _attempt(facts: dict[str, Any]) -> str | None:
    key = facts.get("payment_session_id")
    return url_for("tenant.automatic_payments_attempt", key=key) if isinstance(key, str) and key else None


def _refund(state: str, facts: dict[str, Any]) -> Words:
    key = facts.get("refund_id")
    href = url_for("tenant.refunds_detail", key=key) if key else None
    tone = {"succeeded": "good", "failed": "bad", "rejected": "bad"}.get(state)
    return _REFUNDS.get(state, f"Refund {state}"), _money(facts, "amount_minor"), href, tone


def _disputed(facts: dict[str, Any]) -> Words:
    return "A payment is disputed", _money(facts, "amount_minor"), _dispute(facts), "bad"


def _dispute_ended(facts: dict[str, Any]) -> Words:
    is_won = facts.get("state") == "won"
    title = "The disputed payment stands" if is_won else "The bank has taken a payment back"
    return title, _money(facts, "amount_minor"), _dispute(facts), "good" if is_won else "bad"


def _dispute(facts: dict[str, Any]) -> str | None:
    key = facts.get("dispute_id")
    return url_for("tenant.disputes_detail", key=key) if isinstance(key, str) and key else None


def _unknown(_facts: dict[str, Any]) -> Words:
    return "", None, None, None


def _document(key: object) -> str | None:
    return url_for("tenant.invoices_detail", key=key) if isinstance(key, str) and key else None


_WORDS = {
    "invoice.issued": _invoice,
    "invoice.paid": _paid,
    "credit_note.issued": _credit_note,
    "payment.received": _payment,
    "payment.disputed": _disputed,
    "payment.dispute_ended": _dispute_ended,
    "budget.crossed": _budget,
    "payment.failed": _failed,
    "payment.action_required": _to_confirm,
    "top_up.automatic": _topped_up,
    "top_up.cap_reached": _cap_reached,
}
