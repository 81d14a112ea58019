"""The shapes of price parameters, one per price model, checked when a book is loaded; `rating.curves` reads them later.

Prices are plain decimals in major units of the currency, with at most 12 places; bounds and sizes are in the meter's priced unit
and must be whole in its base unit.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.kernel import money
from billing.kernel.errors import Invalid

_PLAIN_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,12})?")
_PLACES = 12
_ONLY_LONGER = re.compile(r"[0-9]{1,18}\.[0-9]{13,60}")
_PERCENT_MAX = 10_000
_TIERS_MAX = 100
PERCENTAGE = "percentage"
FLAT = "flat"

Parameters = dict[str, Any]


def read(model: str, given: Mapping[str, Any], *, currency: str, base_per_unit: int) -> Parameters:
    """The parameters as they are stored: all numbers as decimal text.

    Raises Invalid: unknown_model, missing, unknown_key, below_zero, too_many_places (more than 12), not_a_price (no plain decimal), too_large,
    not_whole_base_units, not_a_list_of_tiers, only_the_last_tier_is_open, bounds_must_rise.
    """
    try:
        reader = _MODELS[model]
    except KeyError:
        raise Invalid(field="model", value=ascii(model[:40]), reason="unknown_model") from None
    return reader(given, currency, base_per_unit)


def normal(value: Any) -> Any:
    """The same parameters with every number in its shortest spelling: 0.50 and 0.5 are one price."""
    if isinstance(value, dict):
        return {name: normal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return f"{Decimal(value).normalize():f}"


def _per_unit(given: Mapping[str, Any], currency: str, _base_per_unit: int) -> Parameters:
    _only(given, "unit_price")
    return {"unit_price": _price(given, "unit_price", currency)}


def _flat(given: Mapping[str, Any], currency: str, _base_per_unit: int) -> Parameters:
    _only(given, "amount")
    return {"amount": _price(given, "amount", currency)}


def _package(given: Mapping[str, Any], currency: str, base_per_unit: int) -> Parameters:
    _only(given, "package_size", "package_price")
    size = _bound(given, "package_size", base_per_unit)
    if Fraction(size) <= 0:
        raise Invalid(field="package_size", value=size, reason="not_positive")
    return {"package_size": size, "package_price": _price(given, "package_price", currency)}


def _allowance(given: Mapping[str, Any], currency: str, base_per_unit: int) -> Parameters:
    _only(given, "free", "unit_price")
    return {"free": _bound(given, "free", base_per_unit), "unit_price": _price(given, "unit_price", currency)}


def _percentage(given: Mapping[str, Any], _currency: str, _base_per_unit: int) -> Parameters:
    """`{"percent": "2.5"}` of an amount meter."""
    _only(given, "percent")
    percent = _decimal(given, "percent")
    if Fraction(percent) > _PERCENT_MAX:
        raise Invalid(field="percent", value=percent, limit=_PERCENT_MAX, reason="too_large")
    return {"percent": percent}


def _tiered(given: Mapping[str, Any], currency: str, base_per_unit: int) -> Parameters:
    _only(given, "tiers")
    rows = given["tiers"]
    if not isinstance(rows, list) or not 0 < len(rows) <= _TIERS_MAX or not all(isinstance(row, dict) for row in rows):
        raise Invalid(field="tiers", value=ascii(rows)[:40], limit=_TIERS_MAX, reason="not_a_list_of_tiers")
    tiers: list[dict[str, str]] = []
    for place, row in enumerate(rows, start=1):
        is_last = place == len(rows)
        if is_last != ("up_to" not in row):
            raise Invalid(field="up_to", tier=place, reason="only_the_last_tier_is_open")
        _only(row, *(("unit_price",) if is_last else ("up_to", "unit_price")))
        tier = {"unit_price": _price(row, "unit_price", currency)}
        if not is_last:
            tier["up_to"] = _bound(row, "up_to", base_per_unit)
            if Fraction(tier["up_to"]) <= (Fraction(tiers[-1]["up_to"]) if tiers else 0):
                raise Invalid(field="up_to", value=tier["up_to"], tier=place, reason="bounds_must_rise")
        tiers.append(tier)
    return {"tiers": tiers}


_MODELS: dict[str, Callable[[Mapping[str, Any], str, int], Parameters]] = {
    "per_unit": _per_unit,
    FLAT: _flat,
    "package": _package,
    "graduated": _tiered,
    "volume": _tiered,
    "allowance": _allowance,
    PERCENTAGE: _percentage,
}

MODELS = tuple(_MODELS)


def _only(given: Mapping[str, Any], *wanted: str) -> None:
    for name in wanted:
        if name not in given:
            raise Invalid(field=name, reason="missing")
    for name in given:
        if name not in wanted:
            raise Invalid(field=ascii(name[:40]).strip("'"), reason="unknown_key")


def _price(given: Mapping[str, Any], name: str, currency: str) -> str:
    text = _decimal(given, name)
    if Fraction(text) * 10 ** money.exponent(currency) > money.MAX_MINOR:
        raise Invalid(field=name, value=text, currency=currency, limit_minor=money.MAX_MINOR, reason="too_large")
    return text


def _bound(given: Mapping[str, Any], name: str, base_per_unit: int) -> str:
    text = _decimal(given, name)
    if (Fraction(text) * base_per_unit).denominator != 1:
        raise Invalid(field=name, value=text, base_per_unit=base_per_unit, reason="not_whole_base_units")
    return text


def _decimal(given: Mapping[str, Any], name: str) -> str:
    """The number's text: books may write it bare (TOML keeps its digits for us) or between quotes."""
    value = given[name]
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _PLAIN_DECIMAL.fullmatch(text):
        raise Invalid(field=name, value=ascii(value)[:40].strip("'"), limit=_PLACES, reason=_why_not(text))
    return text


def _why_not(text: object) -> str:
    if not isinstance(text, str):
        return "not_a_price"
    if text.startswith("-") and _PLAIN_DECIMAL.fullmatch(text[1:]):
        return "below_zero"
    return "too_many_places" if _ONLY_LONGER.fullmatch(text) else "not_a_price"
