"""Refusals of facts from outside."""

from billing.kernel.errors import Refusal


class MissingRate(Refusal):
    """No source we hold has published a rate of the currency up to that day. Fields: currency, to_currency, on."""

    code = "missing_rate"


class StaleRate(Refusal):
    """The last rate published before the day is too old to be used. Fields: currency, on, published_on, limit_days."""

    code = "stale_rate"
