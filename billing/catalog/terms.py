"""A plan's terms beside its prices, read and checked. Pure: the same shape in a plan's TOML and in `pricing_plan_versions.terms`.

fees = ["platform"]                       # items of the meter plan_fee, charged once as each period opens, at the book's price
locks_price = true                        # an allocation keeps the price of its start for life
minimum = { USD = "1000.00" }             # a period's charges come to at least this, major units per currency
grant = { USD = "20.00" }                 # promo given with each period
percentages = [{ code = "support", percent = "10", families = ["compute"] }]   # of a period's charges; [] for all families
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from billing.accounts import names
from billing.kernel import money
from billing.kernel.errors import Invalid
from billing.kernel.money import Money

_KEYS = frozenset({"fees", "locks_price", "minimum", "grant", "percentages"})
_PERCENT = re.compile(r"[0-9]{1,4}(\.[0-9]{1,9})?")
_LIST_MAX = 50


@dataclass(frozen=True, kw_only=True)
class Percentage:
    """A share of a period's other charges. `percent` is plain decimal text; no families means all of them."""

    code: str
    percent: str
    families: tuple[str, ...] = ()

    @property
    def share(self) -> Fraction:
        """Exact: 2.5 percent is 1/40."""
        return Fraction(self.percent) / 100


@dataclass(frozen=True, kw_only=True)
class PlanTerms:
    """What a plan asks for and gives beside its prices."""

    fees: tuple[str, ...] = ()
    locks_price: bool = False
    minimums: tuple[Money, ...] = ()
    grants: tuple[Money, ...] = ()
    percentages: tuple[Percentage, ...] = ()

    def minimum_in(self, currency: str) -> Money | None:
        """What a period in that currency comes to at least, None where nothing is asked."""
        return next((amount for amount in self.minimums if amount.currency == currency), None)

    def grant_in(self, currency: str) -> Money | None:
        """The promo that comes with a period in that currency, None where there is none."""
        return next((amount for amount in self.grants if amount.currency == currency), None)

    @property
    def content(self) -> dict[str, Any]:
        """As it is stored: JSON that `read` takes again; {} for a plan of prices alone."""
        rows = [{"code": one.code, "percent": one.percent, "families": list(one.families)} for one in self.percentages]
        whole: dict[str, Any] = {
            "fees": list(self.fees),
            "locks_price": self.locks_price,
            "minimum": {amount.currency: f"{amount.to_decimal():f}" for amount in self.minimums},
            "grant": {amount.currency: f"{amount.to_decimal():f}" for amount in self.grants},
            "percentages": rows,
        }
        return {name: value for name, value in whole.items() if value}


NONE = PlanTerms()


def read(given: Mapping[str, Any]) -> PlanTerms:
    """The terms as written in TOML or stored as JSON, in one order and spelling.

    Raises Invalid: unknown_key, not_a_list, not_true_or_false, not_a_table, not_text, missing, twice, not_a_percentage,
    unknown_currency, not_positive, and the reasons of `money.parse` and `names.require_code`.
    """
    for name in given:
        if name not in _KEYS:
            raise Invalid(field=names.shown(str(name)), reason="unknown_key")
    locks_price = given.get("locks_price", False)
    if not isinstance(locks_price, bool):
        raise Invalid(field="locks_price", value=ascii(locks_price)[:40], reason="not_true_or_false")
    return PlanTerms(
        fees=_codes(given.get("fees", []), "fees"),
        locks_price=locks_price,
        minimums=_amounts(given.get("minimum", {}), "minimum"),
        grants=_amounts(given.get("grant", {}), "grant"),
        percentages=_percentages(given.get("percentages", [])),
    )


def _percentages(rows: object) -> tuple[Percentage, ...]:
    found: dict[str, Percentage] = {}
    for row in _list(rows, "percentages"):
        if not isinstance(row, Mapping):
            raise Invalid(field="percentages", value=ascii(row)[:40], reason="not_a_table")
        for name in row:
            if name not in ("code", "percent", "families"):
                raise Invalid(field=names.shown(str(name)), reason="unknown_key")
        code = names.require_code(_text(row, "code"), "percentages")
        if code in found:
            raise Invalid(field="percentages", value=code, reason="twice")
        percent = _text(row, "percent")
        if not _PERCENT.fullmatch(percent) or not Fraction(percent):
            raise Invalid(field="percent", value=ascii(percent)[:40], reason="not_a_percentage")
        families = _codes(row.get("families", []), "families")
        found[code] = Percentage(code=code, percent=percent, families=families)
    return tuple(found[code] for code in sorted(found))


def _amounts(table: object, field: str) -> tuple[Money, ...]:
    if not isinstance(table, Mapping):
        raise Invalid(field=field, value=ascii(table)[:40], reason="not_a_table")
    amounts = []
    for currency in sorted(table):
        if currency not in money.currencies():
            raise Invalid(field=field, value=names.shown(str(currency)), reason="unknown_currency")
        amount = money.parse(_text(table, currency), currency)
        if amount.minor <= 0:
            raise Invalid(field=field, value=_text(table, currency), reason="not_positive")
        amounts.append(amount)
    return tuple(amounts)


def _codes(given: object, field: str) -> tuple[str, ...]:
    codes: list[str] = []
    for one in _list(given, field):
        if not isinstance(one, str):
            raise Invalid(field=field, value=ascii(one)[:40], reason="not_text")
        code = names.require_code(one, field)
        if code in codes:
            raise Invalid(field=field, value=names.shown(code), reason="twice")
        codes.append(code)
    return tuple(sorted(codes))


def _list(given: object, field: str) -> list[Any]:
    if not isinstance(given, list) or len(given) > _LIST_MAX:
        raise Invalid(field=field, limit=_LIST_MAX, reason="not_a_list")
    return given


def _text(table: Mapping[str, Any], name: str) -> str:
    """A code or a number as text: books may write numbers bare, TOML keeps their digits for us."""
    value = table.get(name)
    if value is None:
        raise Invalid(field=name, reason="missing")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Invalid(field=name, value=ascii(value)[:40], reason="not_text")
    return str(value)
