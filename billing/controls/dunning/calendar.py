"""A calendar of dunning as a value: which steps there are, on which days, and what has been reached. No session, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from billing.kernel.errors import Invalid

KINDS = ("reminder", "charge")
# What steps may be counted from: the day on the document, or the day it is due.
BASES = ("issue", "due")
MOST_STEPS, EARLIEST, LATEST = 10, -30, 120
# Nothing is said ahead of an invoice that was issued less than a week before it is due.
_LEAST_TERM = timedelta(days=7)
# So long after the last day of its calendar an invoice is still looked at; then it is a person's matter.
_GRACE = timedelta(days=30)


@dataclass(frozen=True, kw_only=True, order=True)
class Step:
    """One day on which something happens: `day` days after `base`, below zero before it."""

    base: str
    day: int
    kind: str

    @property
    def code(self) -> str:
        """How a charge of this step is named: `issue+0`, `due+3`."""
        return f"{self.base}{self.day:+d}"

    def on(self, *, issued_on: date, due_on: date) -> date:
        """The day itself."""
        return (issued_on if self.base == "issue" else due_on) + timedelta(days=self.day)


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Steps in force. `version` is 0 for the calendar that comes with the system; `is_own` when an account differs from its seller."""

    steps: tuple[Step, ...]
    version: int = 0
    is_own: bool = False

    def of_kind(self, kind: str) -> tuple[Step, ...]:
        """The steps of that kind, earliest first as far as one base goes."""
        return tuple(step for step in self.steps if step.kind == kind)

    @property
    def reminder_days(self) -> tuple[int, ...]:
        """Days of reminders, counted from the due date."""
        return tuple(step.day for step in self.of_kind("reminder"))

    @property
    def retry_days(self) -> tuple[int, ...]:
        """Days after the due date on which a charge is tried again."""
        return tuple(step.day for step in self.of_kind("charge") if step.base == "due" and step.day > 0)

    @property
    def charges_at(self) -> str:
        """When the first try is: `issue` or `due`; `later` where a calendar only begins after the due date, `never` without a charge."""
        steps = self.of_kind("charge")
        if not steps:
            return "never"
        if any(step.base == "issue" for step in steps):
            return "issue"
        return "due" if any(step.day <= 0 for step in steps) else "later"


def made_of(*, charges_at: str, retry_days: Iterable[int], reminder_days: Iterable[int]) -> tuple[Step, ...]:
    """The steps of a calendar in the words of the form. Raises Invalid as `check`."""
    steps = [Step(kind="reminder", base="due", day=day) for day in reminder_days]
    if charges_at not in (*BASES, "never"):
        raise Invalid(field="charges_at", value=str(charges_at)[:40], reason="unknown_charge_day")
    retries = [Step(kind="charge", base="due", day=day) for day in retry_days]
    if any(step.day <= 0 for step in retries):
        raise Invalid(field="retry_days", reason="retry_before_due")
    if charges_at == "never" and retries:
        raise Invalid(field="retry_days", reason="retries_without_charge")
    if charges_at != "never":
        steps.append(Step(kind="charge", base=charges_at, day=0))
    return check(steps + retries)


def check(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps in their order. Raises Invalid for an unknown kind or base, a day out of range, one named twice, or too many."""
    for step in steps:
        if step.kind == "restrict":
            raise Invalid(field="steps", value=step.kind, reason="restrictions_come_later")
        if step.kind not in KINDS or step.base not in BASES:
            raise Invalid(field="steps", value=f"{step.kind} {step.base}"[:40], reason="unknown_step")
        if not EARLIEST <= step.day <= LATEST:
            raise Invalid(field=f"{_field(step)}_days", value=step.day, reason="day_out_of_range")
    if len(set(steps)) < len(steps):
        raise Invalid(field="steps", reason="day_named_twice")
    for kind in KINDS:
        if sum(step.kind == kind for step in steps) > MOST_STEPS:
            raise Invalid(
                field=f"{'retry' if kind == 'charge' else kind}_days", most=MOST_STEPS, reason="too_many_days"
            )
    return tuple(sorted(steps))


def stored(steps: Iterable[Step]) -> list[list[Any]]:
    """The steps as a row keeps them."""
    return [[step.kind, step.base, step.day] for step in steps]


def read(rows: Iterable[Sequence[Any]]) -> tuple[Step, ...]:
    """Steps from a row."""
    return tuple(Step(kind=str(kind), base=str(base), day=int(day)) for kind, base, day in rows)


def reached(calendar: Calendar, kind: str, *, issued_on: date, due_on: date, today: date) -> Step | None:
    """The latest step of that kind whose day has come; None before the first, and a month after the last.

    Days that were missed are not made up for: one charge, one reminder. Ahead of the due date nobody is reminded of a short term.
    """
    dated = days_of(calendar, kind, issued_on=issued_on, due_on=due_on)
    past = [(on, step) for on, step in dated if on <= today]
    if not past or today > max(dated)[0] + _GRACE:
        return None
    return past[-1][1]


def following(calendar: Calendar, kind: str, *, issued_on: date, due_on: date, after: date) -> date | None:
    """The day of the next step of that kind after a day, or None when there is no further one."""
    dated = days_of(calendar, kind, issued_on=issued_on, due_on=due_on)
    return next((on for on, _step in dated if on > after), None)


def days_of(calendar: Calendar, kind: str, *, issued_on: date, due_on: date) -> list[tuple[date, Step]]:
    """The steps of that kind with their days, earliest first."""
    steps = [
        step
        for step in calendar.of_kind(kind)
        if not (step.kind == "reminder" and step.day < 0 and due_on - issued_on < _LEAST_TERM)
    ]
    return sorted((step.on(issued_on=issued_on, due_on=due_on), step) for step in steps)


def parse_days(text: str, field: str) -> list[int]:
    """Days as people write them: "1, 3, 7". Raises Invalid(not_days)."""
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    days: list[int] = []
    for part in parts:
        sign, digits = (-1, part[1:]) if part[0] in "-−" else (1, part)
        if not digits.isascii() or not digits.isdigit() or len(digits) > 3:
            raise Invalid(field=field, value=part[:20], reason="not_days")
        days.append(sign * int(digits))
    return days


def _field(step: Step) -> str:
    return "retry" if step.kind == "charge" else step.kind


DEFAULT = Calendar(
    steps=made_of(charges_at="due", retry_days=(1, 3, 7, 14), reminder_days=(-3, 1, 7, 14, 30)), version=0
)
