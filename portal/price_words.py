"""Prices and terms as people read them: each tier a line, tokens by the million, terms as sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from billing.catalog.items import RESERVED, SPOT, UNUSED, Item
from billing.catalog.meters import METERS
from billing.catalog.prices import Price
from billing.catalog.terms import PlanTerms
from billing.rendering import formats
from portal.filters import reader_locale
from portal.unit_words import units

_FAMILIES = {
    "gpu": "GPUs",
    "compute": "Compute",
    "inference": "Inference",
    "storage": "Storage",
    "network": "Network",
    "analytics": "Analytics",
    "marketplace": "Marketplace",
    "plan": "Plan",
    "closing": "Closing charges",
}
_MODES = {SPOT: "spot", RESERVED: "reserved", UNUSED: "reserved and unused"}
_MODELS = {
    "per_unit": "Per unit",
    "flat": "Flat",
    "package": "Package",
    "graduated": "Graduated",
    "volume": "Volume",
    "allowance": "Allowance",
    "percentage": "Percentage",
}
# Things too small to be priced one by one are shown by the million.
_MILLION = frozenset({"token"})


@dataclass(frozen=True, kw_only=True)
class PriceLine:
    """One line of a price: for what ("first 500 GPU-hours"), how much ("USD 2.95"), and per what where it is a rate."""

    scope: str
    price: str
    per: str


def family_order(code: str) -> tuple[int, str]:
    """Where a family stands in a price list: GPUs first, then as the table of words has it."""
    return (list(_FAMILIES).index(code) if code in _FAMILIES else len(_FAMILIES), code)


def family(code: str) -> str:
    """A family of things sold, in words."""
    return _FAMILIES.get(code, code.replace("_", " ").capitalize())


def mode(item: Item) -> str:
    """How the thing is held, "" on demand."""
    return _MODES.get(item.mode, "")


def model(code: str) -> str:
    """A price model's name."""
    return _MODELS.get(code, code)


def lines(price: Price) -> tuple[PriceLine, ...]:
    """The price, a line for each part of it, exact."""
    given, unit = price.parameters, _unit(price)
    match price.model:
        case "per_unit":
            return (_rate("", given["unit_price"], price),)
        case "flat":
            amount = formats.unit_price(Fraction(given["amount"]), price.currency, locale=reader_locale())
            return (PriceLine(scope="", price=amount, per="period"),)
        case "package":
            amount = formats.unit_price(Fraction(given["package_price"]), price.currency, locale=reader_locale())
            return (PriceLine(scope="", price=amount, per=f"{_count(given['package_size'], unit)} or part of them"),)
        case "allowance":
            free = _count(given["free"], unit)
            return (
                PriceLine(scope=f"first {free}", price="free", per=""),
                _rate("above", given["unit_price"], price),
            )
        case "graduated" | "volume":
            return tuple(_tiers(price))
        case "percentage":
            return (PriceLine(scope="", price=f"{given['percent']}%", per="amount"),)
        case _:
            return (PriceLine(scope="", price=str(given), per=""),)


def short(price: Price) -> str:
    """The price in one line: "USD 2.95 per GPU-hour; above 500 USD 2.75"."""
    return "; ".join(
        " ".join(part for part in (line.scope, line.price, f"per {line.per}" if line.per else "") if part)
        for line in lines(price)
    )


def written(model_code: object, parameters: object) -> str:
    """A price as it was asked for, where there is no price yet: "Per unit: unit price 0.30"."""
    if not isinstance(model_code, str) or not isinstance(parameters, Mapping):
        return "The plan's price again"
    parts = []
    for name, value in parameters.items():
        if isinstance(value, list):
            tiers = [f"{tier['unit_price']}{' up to ' + tier['up_to'] if 'up_to' in tier else ''}" for tier in value]
            parts.append(f"tiers {', '.join(tiers)}")
        else:
            parts.append(f"{name.replace('_', ' ')} {value}")
    return f"{model(model_code)}: {', '.join(parts)}"


def terms(found: PlanTerms, *, currency: str, fees: Mapping[str, Price]) -> list[str]:
    """What a plan asks for and gives beside its prices, a sentence each; only what concerns the currency."""
    said = []
    for code in found.fees:
        amount = short(fees[code]) if code in fees else "no price in this currency"
        said.append(f"{_named(code)} fee: {amount}, charged as each period opens.")
    minimum = found.minimum_in(currency)
    if minimum is not None:
        amount = formats.money(minimum.minor, currency, locale=reader_locale())
        said.append(f"A period comes to at least {amount}: what is lacking is charged when it ends.")
    for one in found.percentages:
        of_what = " and ".join(family(code) for code in one.families) if one.families else "all charges"
        said.append(f"{_named(one.code)}: {one.percent}% of {of_what}, charged when the period ends.")
    if found.locks_price:
        said.append("A machine keeps the price of its start for as long as it runs.")
    grant = found.grant_in(currency)
    if grant is not None:
        said.append(
            f"Each period begins with a gift of {formats.money(grant.minor, currency, locale=reader_locale())}."
        )
    return said


def _tiers(price: Price) -> list[PriceLine]:
    found, unit = [], _unit(price)
    tiers = price.parameters["tiers"]
    is_volume = price.model == "volume"
    for place, tier in enumerate(tiers):
        if "up_to" not in tier:
            scope = "" if len(tiers) == 1 else "above that" if not is_volume else "all, when there are more"
        elif is_volume:
            scope = f"all, up to {_count(tier['up_to'], unit)}"
        else:
            scope = f"first {_count(tier['up_to'], unit)}" if place == 0 else f"up to {_count(tier['up_to'], unit)}"
        found.append(_rate(scope, tier["unit_price"], price))
    return found


def _rate(scope: str, unit_price: str, price: Price) -> PriceLine:
    unit, many = _unit(price), _unit(price) in _MILLION
    figure = Fraction(unit_price) * (1_000_000 if many else 1)
    shown = "free" if not figure else formats.unit_price(figure, price.currency, locale=reader_locale())
    return PriceLine(scope=scope, price=shown, per="" if not figure else f"million {unit}s" if many else unit)


def _unit(price: Price) -> str:
    meter = METERS.get(price.meter_code)
    return meter.unit if meter is not None else "unit"


def _count(text: str, unit: str) -> str:
    count = Fraction(text)
    return f"{formats.quantity(count, locale=reader_locale())} {unit if unit == 'GiB' else units(unit, count)}"


def _named(code: str) -> str:
    return code.replace("-", " ").replace("_", " ").capitalize()
