"""A calendar of dunning: which day comes when, and what is refused."""

from datetime import date

import pytest

from billing.controls.dunning import calendar as values
from billing.controls.dunning.calendar import DEFAULT, Step, made_of
from billing.kernel.errors import Invalid

ISSUED, DUE = date(2026, 11, 21), date(2026, 12, 5)


def reached(kind: str, today: date) -> str | None:
    step = values.reached(DEFAULT, kind, issued_on=ISSUED, due_on=DUE, today=today)
    return None if step is None else step.code


@pytest.mark.parametrize(
    ("today", "step"),
    [
        (date(2026, 12, 4), None), (date(2026, 12, 5), "due+0"), (date(2026, 12, 6), "due+1"),
        (date(2026, 12, 7), "due+1"), (date(2026, 12, 8), "due+3"), (date(2026, 12, 19), "due+14"),
        (date(2027, 1, 18), "due+14"), (date(2027, 1, 19), None),
    ],
)  # fmt: skip
def test_latest_charge_that_has_come_is_the_one_to_make(today: date, step: str | None) -> None:
    assert reached("charge", today) == step


def test_following_day_is_the_next_of_the_calendar() -> None:
    days = [
        values.following(DEFAULT, "charge", issued_on=ISSUED, due_on=DUE, after=after)
        for after in (date(2026, 12, 5), date(2026, 12, 9), date(2026, 12, 19))
    ]
    assert days == [date(2026, 12, 6), date(2026, 12, 12), None]


def test_nobody_is_reminded_ahead_of_a_short_term() -> None:
    short = values.days_of(DEFAULT, "reminder", issued_on=date(2026, 12, 1), due_on=DUE)
    assert [step.day for _on, step in short] == [1, 7, 14, 30]
    assert values.days_of(DEFAULT, "reminder", issued_on=ISSUED, due_on=DUE)[0][1].day == -3


def test_calendar_comes_back_from_its_row_as_it_was() -> None:
    assert values.read(values.stored(DEFAULT.steps)) == DEFAULT.steps
    assert (DEFAULT.charges_at, DEFAULT.retry_days, DEFAULT.reminder_days) == ("due", (1, 3, 7, 14), (-3, 1, 7, 14, 30))


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([Step(kind="restrict", base="due", day=30)], "restrictions_come_later"),
        ([Step(kind="fax", base="due", day=1)], "unknown_step"),
        ([Step(kind="charge", base="delivery", day=1)], "unknown_step"),
        ([Step(kind="reminder", base="due", day=-31)], "day_out_of_range"),
        ([Step(kind="charge", base="due", day=121)], "day_out_of_range"),
        ([Step(kind="charge", base="due", day=1)] * 2, "day_named_twice"),
        ([Step(kind="reminder", base="due", day=day) for day in range(11)], "too_many_days"),
    ],
)
def test_step_that_nobody_can_take_is_refused(steps: list[Step], reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        values.check(steps)
    assert refused.value.fields["reason"] == reason


def test_days_are_read_as_people_write_them() -> None:
    assert values.parse_days(" -3, 1;7 ,14,", "x") == [-3, 1, 7, 14]
    for text in ("1.5", "x", "1e3", "٥", "1000", "--1"):
        with pytest.raises(Invalid):
            values.parse_days(text, "x")


def test_retries_need_a_first_charge() -> None:
    with pytest.raises(Invalid):
        made_of(charges_at="never", retry_days=(1,), reminder_days=())
    assert made_of(charges_at="never", retry_days=(), reminder_days=()) == ()
