"""Price books as people write them: TOML, one table per price and per new product. Pure; `books.load` stores what this reads.

code = "acme"                        # the plan names it
name = "Acme's prices"
currency = "USD"                     # of every price that names none of its own
valid_from = 2026-01-01T00:00:00Z    # likewise; with an offset

[[products]]                         # only what is not sold yet
sku = "gpu/h100-spot"
meter = "gpu_hour"
variant = "h100"                     # a GPU or token model; left out for any
mode = "spot"                        # on_demand where left out
name = "H100, spot"

[[prices]]
sku = "gpu/h100-spot"
model = "graduated"
tiers = [{ up_to = 100, unit_price = 2.95 }, { unit_price = 2.50 }]
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from billing.accounts import names
from billing.catalog import models
from billing.catalog.items import MODES, ON_DEMAND, Item
from billing.catalog.meters import FEE, get_meter
from billing.kernel import canonical, money
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.errors import Invalid

_TEXT_MAX = 1_000_000
_PRICES_MAX = 5_000
_HEADER = frozenset({"code", "name", "currency", "valid_from", "products", "prices"})
_PRODUCT = frozenset({"sku", "meter", "variant", "mode", "name"})
_OWN = ("sku", "model", "currency", "valid_from")


@dataclass(frozen=True, kw_only=True)
class ProductFacts:
    """One new thing that the book sells: an item of usage under a SKU."""

    sku_code: str
    item: Item
    name: str

    @property
    def content(self) -> str:
        """Canonical text of everything that makes the product what it is."""
        return canonical.dumps(["product", self.sku_code, *self.item, self.name])


@dataclass(frozen=True, kw_only=True)
class PriceFacts:
    """One price as written, checked: `parameters` hold decimal text only."""

    sku_code: str
    currency: str
    model: str
    parameters: dict[str, Any]
    valid_from: datetime

    @property
    def key(self) -> tuple[str, str, datetime]:
        """What may exist once in a book: SKU, currency, start."""
        return self.sku_code, self.currency, self.valid_from

    @property
    def content(self) -> str:
        """Canonical text of everything that makes the price what it is, spelling of numbers aside."""
        parameters = models.normal(self.parameters)
        return canonical.dumps([self.sku_code, self.currency, self.model, parameters, to_rfc3339(self.valid_from)])


@dataclass(frozen=True, kw_only=True)
class BookFacts:
    """A price book as written, checked."""

    code: str
    name: str
    prices: tuple[PriceFacts, ...]
    products: tuple[ProductFacts, ...] = ()

    @property
    def content_hash(self) -> str:
        """The same for the same prices and products in any order and spelling."""
        contents = sorted([price.content for price in self.prices] + [product.content for product in self.products])
        return canonical.digest("price-book/1", self.code, self.name, *contents)


def read(text: str, *, meter_of: Mapping[str, str]) -> BookFacts:
    """The book that the text holds. `meter_of` gives the meter of each SKU that is sold already.

    Raises Invalid, with `price` or `product` the number of the table where it is in one: not_toml (with detail), missing,
    unknown_key, unknown_sku, unknown_meter, unknown_mode, unknown_currency, naive_time, not_an_instant, overlapping, sold_twice,
    not_an_amount, fee_not_flat, and the reasons of `models.read`.
    """
    content = parse(text)
    for name in content:
        if name not in _HEADER:
            raise Invalid(field=names.shown(name), reason="unknown_key")
    code = names.require_code(text_of(content, "code"))
    name = names.require_name(text_of(content, "name"))
    products = _products(_rows(content, "products") if "products" in content else [])
    meters = {**meter_of, **{product.sku_code: product.item.meter_code for product in products}}
    prices: dict[tuple[str, str, datetime], PriceFacts] = {}
    for place, row in enumerate(_rows(content, "prices"), start=1):
        try:
            price = _price(row, content, meters)
            if price.key in prices:
                raise Invalid(
                    field="valid_from", value=to_rfc3339(price.valid_from), sku=price.sku_code, reason="overlapping"
                )
        except Invalid as invalid:
            raise Invalid(price=place, **invalid.fields) from None
        prices[price.key] = price
    return BookFacts(code=code, name=name, prices=tuple(prices.values()), products=products)


def _rows(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = content.get(name)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Invalid(field=name, reason="missing")
    if len(rows) > _PRICES_MAX:
        raise Invalid(field=name, limit=_PRICES_MAX, reason="too_large")
    return rows


def _products(rows: list[dict[str, Any]]) -> tuple[ProductFacts, ...]:
    products: dict[str, ProductFacts] = {}
    items: set[Item] = set()
    for place, row in enumerate(rows, start=1):
        try:
            product = _product(row)
            if product.sku_code in products or product.item in items:
                raise Invalid(field="sku", value=names.shown(product.sku_code), reason="sold_twice")
        except Invalid as invalid:
            raise Invalid(product=place, **invalid.fields) from None
        products[product.sku_code] = product
        items.add(product.item)
    return tuple(products.values())


def _product(row: Mapping[str, Any]) -> ProductFacts:
    for name in row:
        if name not in _PRODUCT:
            raise Invalid(field=names.shown(name), reason="unknown_key")
    sku_code = names.require_code(text_of(row, "sku"), "sku")
    family, _, usage_type = sku_code.partition("/")
    if not family or not usage_type:
        raise Invalid(field="sku", value=names.shown(sku_code), reason="not_a_sku")
    variant = names.require_code(text_of(row, "variant"), "variant") if "variant" in row else ""
    mode = text_of(row, "mode") if "mode" in row else ON_DEMAND
    if mode not in MODES:
        raise Invalid(field="mode", value=names.shown(mode), reason="unknown_mode")
    item = Item(get_meter(text_of(row, "meter")).code, variant, mode)
    return ProductFacts(sku_code=sku_code, item=item, name=names.require_name(text_of(row, "name")))


def parse(text: str, *, field: str = "book") -> dict[str, Any]:
    """TOML whose numbers keep their digits. Raises Invalid: too_large, not_toml (with detail where there is one)."""
    if len(text) > _TEXT_MAX:
        raise Invalid(field=field, limit=_TEXT_MAX, reason="too_large")
    try:
        # A float would not know 0.10 exactly.
        return tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(field=field, detail=names.shown(str(error)), reason="not_toml") from None
    except (RecursionError, ValueError):
        # Brackets nested by the thousand; an integer or a date beyond what can be held.
        raise Invalid(field=field, reason="not_toml") from None


def _price(row: Mapping[str, Any], header: Mapping[str, Any], meter_of: Mapping[str, str]) -> PriceFacts:
    sku_code = text_of(row, "sku")
    if sku_code not in meter_of:
        raise Invalid(field="sku", value=names.shown(sku_code), reason="unknown_sku")
    currency = text_of(row if "currency" in row else header, "currency")
    if currency not in money.currencies():
        raise Invalid(field="currency", value=names.shown(currency), reason="unknown_currency")
    model, meter = text_of(row, "model"), get_meter(meter_of[sku_code])
    if model == models.PERCENTAGE and not meter.is_amount:
        raise Invalid(field="model", value=model, meter=meter.code, reason="not_an_amount")
    if model != models.FLAT and meter.kind == FEE:
        raise Invalid(field="model", value=names.shown(model), meter=meter.code, reason="fee_not_flat")
    parameters = models.read(
        model,
        {name: value for name, value in row.items() if name not in _OWN},
        currency=currency,
        base_per_unit=meter.base_per_unit,
    )
    return PriceFacts(
        sku_code=sku_code,
        currency=currency,
        model=model,
        parameters=parameters,
        valid_from=instant_of(row if "valid_from" in row else header),
    )


def text_of(table: Mapping[str, Any], name: str) -> str:
    """A text of a table. Raises Invalid: missing, not_text."""
    value = table.get(name)
    if not isinstance(value, str):
        raise Invalid(field=name, reason="missing" if value is None else "not_text")
    return value


def instant_of(table: Mapping[str, Any]) -> datetime:
    """A table's `valid_from`, in UTC. Raises Invalid: missing, naive_time, not_an_instant, not_whole_seconds."""
    value = table.get("valid_from")
    if value is None:
        raise Invalid(field="valid_from", reason="missing")
    if isinstance(value, date) and not isinstance(value, datetime):
        raise Invalid(field="valid_from", value=value.isoformat(), reason="naive_time")
    if not isinstance(value, datetime):
        raise Invalid(field="valid_from", value=ascii(value)[:40], reason="not_an_instant")
    try:
        instant = require_utc(value, "valid_from")
    except OverflowError:
        raise Invalid(field="valid_from", value=value.isoformat(), reason="not_an_instant") from None
    if instant.microsecond:
        raise Invalid(field="valid_from", value=value.isoformat(), reason="not_whole_seconds")
    return instant
