"""The ways in which money goes back, and when it should have arrived. Pure."""

from datetime import date, datetime, timedelta

MODES = ("card", "bank", "credit")
MONEY_MODES = ("card", "bank")
"""Those that leave our cash; a credit stays in the wallet."""

ARRIVES_WITHIN_DAYS = {"card": 10, "bank": 3, "credit": 0}
"""Calendar days from the day the money left. Card issuers take five to ten; a transfer is there after one or two bank days."""

# What lasts longer than this is looked at by a person.
LATE_AFTER_DAYS = 14


def expected_on(mode: str, left_on: date) -> date:
    """The day by which the money should have arrived."""
    return left_on + timedelta(days=ARRIVES_WITHIN_DAYS[mode])


def is_late(mode: str, *, state: str, sent_at: datetime | None, now: datetime) -> bool:
    """Whether money that left has been on its way for longer than anybody should wait without asking."""
    return mode == "card" and state in ("sent", "unknown") and sent_at is not None and now - sent_at > _LATE


_LATE = timedelta(days=LATE_AFTER_DAYS)
