"""Price books as people write them: TOML, one table per price. Pure; `prices.load_book` stores what this reads.

code = "acme"                        # the plan names it
name = "Acme's prices"
currency = "USD"                     # of every price that names none of its own
valid_from = 2026-01-01T00:00:00Z    # likewise; with an offset

[[prices]]
sku = "compute/gpu_hour"
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
from billing.kernel import canonical, money
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.errors import Invalid

_TEXT_MAX = 1_000_000
_PRICES_MAX = 5_000
_HEADER = frozenset({"code", "name", "currency", "valid_from", "prices"})
_OWN = ("sku", "model", "currency", "valid_from")


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

    @property
    def content_hash(self) -> str:
        """The same for the same prices in any order and spelling."""
        return canonical.digest("price-book/1", self.code, self.name, *sorted(price.content for price in self.prices))


def read(text: str, *, base_per_unit_of: Mapping[str, int]) -> BookFacts:
    """The book that the text holds. `base_per_unit_of` gives the meter's divisor for each SKU that is sold.

    Raises Invalid, with `price` the number of the table where it is in one: not_toml (with detail), missing, unknown_key,
    unknown_sku, unknown_currency, naive_time, not_an_instant, overlapping, and the reasons of `models.read`.
    """
    content = _parse(text)
    for name in content:
        if name not in _HEADER:
            raise Invalid(field=names.shown(name), reason="unknown_key")
    rows = content.get("prices")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Invalid(field="prices", reason="missing")
    if len(rows) > _PRICES_MAX:
        raise Invalid(field="prices", limit=_PRICES_MAX, reason="too_large")
    code = names.require_code(_text(content, "code"))
    name = names.require_name(_text(content, "name"))
    prices: dict[tuple[str, str, datetime], PriceFacts] = {}
    for place, row in enumerate(rows, start=1):
        try:
            price = _price(row, content, base_per_unit_of)
            if price.key in prices:
                raise Invalid(
                    field="valid_from", value=to_rfc3339(price.valid_from), sku=price.sku_code, reason="overlapping"
                )
        except Invalid as invalid:
            raise Invalid(price=place, **invalid.fields) from None
        prices[price.key] = price
    return BookFacts(code=code, name=name, prices=tuple(prices.values()))


def _parse(text: str) -> dict[str, Any]:
    if len(text) > _TEXT_MAX:
        raise Invalid(field="book", limit=_TEXT_MAX, reason="too_large")
    try:
        # Numbers keep their digits: a float would not know 0.10 exactly.
        return tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(field="book", detail=names.shown(str(error)), reason="not_toml") from None
    except (RecursionError, ValueError):
        # Brackets nested by the thousand; an integer or a date beyond what can be held.
        raise Invalid(field="book", reason="not_toml") from None


def _price(row: Mapping[str, Any], header: Mapping[str, Any], base_per_unit_of: Mapping[str, int]) -> PriceFacts:
    sku_code = _text(row, "sku")
    if sku_code not in base_per_unit_of:
        raise Invalid(field="sku", value=names.shown(sku_code), reason="unknown_sku")
    currency = _text(row if "currency" in row else header, "currency")
    if currency not in money.currencies():
        raise Invalid(field="currency", value=names.shown(currency), reason="unknown_currency")
    model = _text(row, "model")
    parameters = models.read(
        model,
        {name: value for name, value in row.items() if name not in _OWN},
        currency=currency,
        base_per_unit=base_per_unit_of[sku_code],
    )
    return PriceFacts(
        sku_code=sku_code,
        currency=currency,
        model=model,
        parameters=parameters,
        valid_from=_instant(row if "valid_from" in row else header),
    )


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str):
        raise Invalid(field=name, reason="missing" if value is None else "not_text")
    return value


def _instant(table: Mapping[str, Any]) -> datetime:
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
