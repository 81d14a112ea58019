"""Exchange rates of the demo: made up, near what they were in 2026, and called DEMO so that nobody takes them for the ECB's."""

from datetime import date, timedelta

from billing.reference import ecb

SOURCE = "DEMO"
_SATURDAY = 5
# currency -> (rate for one euro in units of its last digit, digits, how far it wanders)
_RATES = {
    "AUD": (15_904, 4, 90),
    "CHF": (9_194, 4, 40),
    "GBP": (83_380, 5, 400),
    "INR": (106_084, 3, 600),
    "JPY": (17_568, 2, 140),
    "SEK": (109_780, 4, 700),
    "USD": (11_172, 4, 110),
}


def table(first_on: date, last_on: date) -> ecb.Table:
    """One snapshot for each weekday of a range; the same day always has the same rates."""
    count = (last_on - first_on).days + 1
    days = [first_on + timedelta(days=place) for place in range(count)]
    return ecb.Table(
        days=tuple(
            ecb.Day(line=line, published_on=on, rates={code: _rate(code, on) for code in _RATES})
            for line, on in enumerate((on for on in days if on.weekday() < _SATURDAY), start=2)
        ),
        bad=(),
    )


def _rate(currency: str, on: date) -> str:
    """A slow wave for each currency, with a step of its own every day."""
    middle, digits, width = _RATES[currency]
    slow = (on.toordinal() * 3 + len(currency) * middle) % 180
    wave = (slow if slow < 90 else 180 - slow) * 2 * width // 90 - width
    step = (on.toordinal() * 7919 + middle) % 17 - 8
    value = middle + wave + step * width // 60
    return f"{value // 10**digits}.{value % 10**digits:0{digits}d}"
