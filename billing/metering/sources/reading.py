"""What sources of events have in common: quantities to base units, windows, models. Pure."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from billing.catalog.items import ON_DEMAND, SPOT
from billing.catalog.meters import METERS
from billing.kernel import clock
from billing.kernel.rounding import half_up, half_up_fraction
from billing.metering.sources.port import EventFacts, Refused, Told, Windowed

_MODEL = re.compile(r"[a-z0-9][a-z0-9 ._/:@+-]{0,63}")
_MAX_EXPONENT = 60
_TIMELESS = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def base(quantity: int | Decimal, meter_code: str) -> int:
    """A quantity of priced units in base units. What is finer than a base unit (a core-millisecond) is rounded half up.

    Raises Refused for part of a thing that is counted whole, and for what is no number that could be a quantity.
    """
    divisor = METERS[meter_code].base_per_unit
    if isinstance(quantity, int):
        return quantity * divisor
    if quantity.is_finite() and quantity.adjusted() < _MAX_EXPONENT and quantity == (whole_units := int(quantity)):
        return whole_units * divisor
    exact = fraction(quantity) * divisor
    if divisor == 1 and exact.denominator != 1:
        raise Refused("not_whole_units", f"The meter {meter_code} counts whole units.")
    return half_up_fraction(exact)


def fraction(quantity: int | Decimal) -> Fraction:
    """An exact number. Raises Refused for NaN, infinities and what is too long to be written out."""
    if isinstance(quantity, int):
        return Fraction(quantity)
    digits = quantity.as_tuple()
    exponent = digits.exponent
    if not isinstance(exponent, int) or abs(exponent) > _MAX_EXPONENT or len(digits.digits) > _MAX_EXPONENT:
        raise Refused("not_a_number", "The quantity is no plain decimal of at most 60 digits.")
    return Fraction(quantity)


def held(per_hour_base: int | Fraction, start_at: datetime, end_at: datetime) -> int:
    """Base units of a window that uses a steady amount: `per_hour_base` is what one hour of it is."""
    exact = Fraction(per_hour_base) * clock.millis_between(start_at, end_at)
    return half_up(exact.numerator, exact.denominator * 3_600_000)


def window(told: Told, data: Windowed) -> tuple[datetime, datetime]:
    """The window of the data, else the event's instant twice. Raises Refused where there is neither or one end is missing."""
    if data.start is not None and data.end is not None:
        return aware(told, data.start), aware(told, data.end)
    if data.start is not None or data.end is not None:
        raise Refused("half_a_window", "A window needs both start and end.")
    at = instant(told)
    return at, at


def aware(told: Told, at: datetime) -> datetime:
    """The time with its zone: its own, else the one that was declared; without either it stays naive and is refused at the door."""
    return at.replace(tzinfo=told.zone) if at.tzinfo is None and told.zone is not None else at


def both_ends(told: Told, data: Windowed) -> tuple[datetime, datetime]:
    """The window of data that must have one, fit for sums. Raises Refused as the door would."""
    if data.start is None or data.end is None:
        raise Refused("missing_window", "This usage is held over time: it needs start and end.")
    start_at, end_at = aware(told, data.start), aware(told, data.end)
    if start_at.tzinfo is None or end_at.tzinfo is None:
        raise Refused("naive_time", "A time needs a zone: add Z or an offset.")
    if end_at < start_at:
        raise Refused("end_before_start", "The end lies before the start.")
    return start_at, end_at


def instant(told: Told) -> datetime:
    """The event's own time. Raises Refused without one."""
    if told.at is None:
        raise Refused("missing_time", "An event needs its time, or start and end in its data.")
    return aware(told, told.at)


def window_of_correction(told: Told) -> tuple[datetime, datetime]:
    """A correction lands on the window of what it corrects: its own time, if it has one, says only when it was made."""
    at = aware(told, told.at) if told.at is not None else _TIMELESS
    return at, at


def model(text: str) -> str:
    """The model of a GPU or of tokens as prices name it: lower case. Raises Refused for what can be no code."""
    lower = text.lower()
    if not _MODEL.fullmatch(lower):
        raise Refused("bad_model", "A model is 1 to 64 letters, digits and . _ / : @ + -.")
    return lower


def mode(text: str) -> str:
    """on_demand or spot. Raises Refused for others: reserved hours are matched here, no sender tells them."""
    if text not in (ON_DEMAND, SPOT):
        raise Refused("bad_mode", "The mode is on_demand or spot.")
    return text


def utc_day(at: datetime) -> tuple[datetime, datetime]:
    """The UTC day that holds an instant. Raises Refused for a naive one."""
    if at.tzinfo is None:
        raise Refused("naive_time", "A time needs a zone: add Z or an offset.")
    day = at.astimezone(_TIMELESS.tzinfo).replace(hour=0, minute=0, second=0, microsecond=0)
    return day, day + timedelta(days=1)


def whole(name: str, amount: int) -> int:
    """A count of whole things. Raises Refused for a negative one outside corrections."""
    if amount < 0:
        raise Refused("negative_quantity", f"{name} is negative.")
    return amount


def without_zeros(amounts: list[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The amounts that are not zero, and the first where all are: what was told leaves a record."""
    return tuple(amount for amount in amounts if amount[1]) or tuple(amounts[:1])


def of_many(facts: EventFacts, amounts: list[tuple[str, int]]) -> EventFacts:
    """The facts with these meters' amounts instead of their own."""
    (meter_code, quantity_base), *also = without_zeros(amounts)
    return facts._replace(meter_code=meter_code, quantity_base=quantity_base, also=tuple(also))
