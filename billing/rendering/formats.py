"""The one vocabulary in which figures and times are written: what pages, documents and e-mails import.

`numbers` holds money, prices and quantities, `times` dates, instants and periods; see there for what each gives back.
"""

from billing.rendering.numbers import (
    amount,
    axis_money,
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
from billing.rendering.times import age, ago, clock, day, day_of_year, days, duration, instant, iso, month, period

__all__ = [
    "age",
    "ago",
    "amount",
    "axis_money",
    "clock",
    "day",
    "day_of_year",
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
