"""The one vocabulary in which figures and times are written: what pages, documents and e-mails import.

`numbers` holds money, prices and quantities, `times` dates, instants and periods; see there for what each gives back.
"""

from billing.rendering.numbers import (
    amount,
    decimal,
    file_size,
    integer,
    locale_of,
    micro,
    money,
    of,
    percent,
    quantity,
    share,
    unit_price,
    unit_price_pico,
    with_code,
)
from billing.rendering.times import age, clock, day, days, duration, instant, iso, month, period

__all__ = [
    "age",
    "amount",
    "clock",
    "day",
    "days",
    "decimal",
    "duration",
    "file_size",
    "instant",
    "integer",
    "iso",
    "locale_of",
    "micro",
    "money",
    "month",
    "of",
    "percent",
    "period",
    "quantity",
    "share",
    "unit_price",
    "unit_price_pico",
    "with_code",
]
