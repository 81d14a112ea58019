"""Charges without the customer in words: what became of a try, why none is made, and a calendar's days."""

from billing.controls.dunning.calendar import Calendar, Step
from billing.notices import decline_words
from billing.payments.charges import declines
from billing.payments.charges.history import AttemptRow
from portal import filters

# outcome -> (a word or two, tone)
OUTCOMES = {
    "pending": ("Being asked", "info"),
    "processing": ("Under way", "info"),
    "paid": ("Paid", "good"),
    "declined": ("Declined", "bad"),
    "action_required": ("Waits for you", "warn"),
    "never_sent": ("Not sent", "neutral"),
}
_WHY_NOT = {
    "not_agreed": "Automatic payment is off for this account",
    "no_method": "No payment method is saved as default",
    "nothing_open": "Nothing is open any more",
    "disputed": "A dispute of it is open",
    "dispute_lost": "A dispute of it was lost: it is not charged to a card again unasked",
    "stopped": "The last try ended so that the same method is not asked again",
    "expired": "The default card has expired",
    "method_refused": "The bank said that this method must not be asked again",
    "not_payable": "The method cannot be charged this amount in this currency",
    "under_way": "A charge is under way",
    "at_the_page": "Somebody is paying it by hand",
    "tried": "This step was tried already",
    "enough": "The wallet is above its threshold",
    "waits": "A day is left between two tries",
    "cap_reached": "The month's cap allows no further top-up",
}
_VERDICTS = {
    "method": "This method is not charged again.",
    "request": "It is not tried again by itself.",
    "person": "The bank wants you to confirm the payment.",
}


def why_not(reason: str | None) -> str | None:
    """Why nothing is charged."""
    return None if reason is None else _WHY_NOT.get(reason, reason.replace("_", " "))


def outcome(row: AttemptRow, *, is_staff: bool = False) -> tuple[str, str]:
    """(a word or two, tone) of a try; staff do not confirm anything."""
    text, tone = OUTCOMES[row.outcome]
    if row.state == "unknown":
        return "No clear answer yet", "warn"
    return ("Waits for the customer" if is_staff and row.outcome == "action_required" else text), tone


def reason(row: AttemptRow, *, is_staff: bool = False) -> str | None:
    """Why a try was declined, and what follows; staff see the provider's own word too."""
    if row.state == "unknown":
        return "The payment provider did not answer clearly. It is asked again until it does; nothing is charged twice."
    if row.outcome == "never_sent":
        return "The payment provider was not reached. Nothing was charged, and it is tried again."
    if row.outcome == "processing":
        return "The bank has a few days to answer."
    if row.outcome not in ("declined", "action_required") or row.decline_code is None:
        return None
    code = row.decline_code if is_staff else declines.told_as(row.decline_code)
    first = decline_words.decline(code)
    said = f"{first[:1].upper()}{first[1:]}{f' ({row.decline_code})' if is_staff else ''}."
    then = _VERDICTS.get(row.verdict or "")
    if row.next_try_on is not None:
        then = f"Next try on {filters.day(row.next_try_on)}."
    elif row.verdict == "soft" and row.trigger == "auto_top_up":
        then = "It is tried again after a day while the balance is low."
    return f"{said} {then}" if then else said


def trigger(row: AttemptRow) -> str:
    """What it was for: "Invoice 2026-0012", "Automatic top-up"."""
    return f"Invoice {row.invoice_number}" if row.invoice_number else "Automatic top-up"


def step(one: Step) -> str:
    """A day of the calendar: "at issue", "on the due date", "3 days after it is due"."""
    base = "issued" if one.base == "issue" else "due"
    if one.day == 0:
        return "When it is issued" if one.base == "issue" else "On the due date"
    count = filters.plural(abs(one.day), "day", "days")
    return f"{count} {'before' if one.day < 0 else 'after'} it is {base}"


def charge_days(calendar: Calendar) -> str:
    """When an invoice is charged: "On the due date, and again 1, 3, 7 and 14 days after it while it is declined"."""
    first = {
        "issue": "When it is issued",
        "due": "On the due date",
        "later": "After the due date",
        "never": "Never",
    }[calendar.charges_at]
    if not calendar.retry_days:
        return first
    days = and_list([str(day) for day in calendar.retry_days])
    return f"{first}, and again {days} {'day' if calendar.retry_days == (1,) else 'days'} after it is due while it is declined"


def reminder_days(calendar: Calendar) -> str:
    """When people are reminded: "3 days before it is due and 1, 7, 14 and 30 days after it"."""
    before = [str(-day) for day in calendar.reminder_days if day < 0]
    on_it = 0 in calendar.reminder_days
    after = [str(day) for day in calendar.reminder_days if day > 0]
    parts = [f"{and_list(before)} {'day' if before == ['1'] else 'days'} before it is due"] if before else []
    parts += ["on the due date"] if on_it else []
    parts += [f"{and_list(after)} {'day' if after == ['1'] else 'days'} after it"] if after else []
    return and_list(parts) if parts else "None"


def days(values: tuple[int, ...]) -> str:
    """Days as a form takes them: "1, 3, 7"."""
    return ", ".join(str(day) for day in values)


def and_list(parts: list[str]) -> str:
    """Words in a row: "1, 3 and 7"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
