"""Two lists of prices beside each other: what is new, gone, other or the same, and by how much where one figure says it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from billing.catalog import models
from billing.catalog.prices import Price

NEW, GONE, CHANGED, SAME = "new", "gone", "changed", "same"
_FIGURES = {
    "per_unit": ("unit_price",),
    "flat": ("amount",),
    "package": ("package_price",),
    "allowance": ("unit_price",),
    "percentage": ("percent",),
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One SKU in one currency: its price on either side. `percents` are the changes of each figure, where the shape is the same."""

    sku_code: str
    currency: str
    old: Price | None
    new: Price | None
    percents: tuple[Fraction, ...]

    @property
    def state(self) -> str:
        """new, gone, changed or same."""
        if self.old is None or self.new is None:
            return GONE if self.new is None else NEW
        return SAME if _says(self.old) == _says(self.new) else CHANGED


def compare(old: Iterable[Price], new: Iterable[Price]) -> list[Change]:
    """Every SKU and currency of either list, in their order. Where a list has several starts, the last one counts."""
    before, after = _last(old), _last(new)
    return [
        Change(
            sku_code=key[0],
            currency=key[1],
            old=before.get(key),
            new=after.get(key),
            percents=_percents(before.get(key), after.get(key)),
        )
        for key in sorted({*before, *after})
    ]


def figures(price: Price) -> tuple[Fraction, ...]:
    """The figures that a price is made of, in their order: a unit price, or one for each tier."""
    if price.model in ("graduated", "volume"):
        return tuple(Fraction(tier["unit_price"]) for tier in price.parameters["tiers"])
    return tuple(Fraction(price.parameters[name]) for name in _FIGURES.get(price.model, ()))


def _percents(old: Price | None, new: Price | None) -> tuple[Fraction, ...]:
    if old is None or new is None or old.model != new.model or _shape(old) != _shape(new):
        return ()
    pairs = list(zip(figures(old), figures(new), strict=True))
    return tuple((after - before) * 100 / before for before, after in pairs) if all(one for one, _ in pairs) else ()


def _shape(price: Price) -> object:
    """The price without its figures: bounds, sizes and allowances."""
    if price.model in ("graduated", "volume"):
        return [models.normal(tier["up_to"]) for tier in price.parameters["tiers"] if "up_to" in tier]
    kept = {name: value for name, value in price.parameters.items() if name not in _FIGURES.get(price.model, ())}
    return models.normal(kept)


def _says(price: Price) -> object:
    return price.model, models.normal(price.parameters)


def _last(prices: Iterable[Price]) -> dict[tuple[str, str], Price]:
    found: dict[tuple[str, str], Price] = {}
    for price in prices:
        known = found.get((price.sku_code, price.currency))
        if known is None or known.valid_from <= price.valid_from:
            found[price.sku_code, price.currency] = price
    return found
