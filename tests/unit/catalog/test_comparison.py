"""Two price lists side by side."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from billing.catalog import comparison
from billing.catalog.items import Item
from billing.catalog.prices import Price


def price(sku: str, model: str = "per_unit", *, year: int = 2026, **parameters: Any) -> Price:
    return Price(
        id=f"prc_{sku}_{year}",
        sku_code=sku,
        family="a",
        item=Item("query"),
        currency="USD",
        model=model,
        parameters=parameters,
        valid_from=datetime(year, 1, 1, tzinfo=UTC),
        price_hash="",
        base_per_unit=1,
    )


def tiers(*rows: tuple[str | None, str]) -> list[dict[str, str]]:
    return [{"unit_price": cost} | ({"up_to": bound} if bound else {}) for bound, cost in rows]


def test_what_is_new_gone_changed_and_the_same_is_told_apart() -> None:
    old = [price("a/1", unit_price="2.00"), price("a/2", unit_price="1"), price("a/3", unit_price="0.50")]
    new = [price("a/1", unit_price="2.10"), price("a/3", unit_price="0.5"), price("a/4", unit_price="1")]
    found = comparison.compare(old, new)
    assert [(one.sku_code, one.state) for one in found] == [
        ("a/1", "changed"),
        ("a/2", "gone"),
        ("a/3", "same"),
        ("a/4", "new"),
    ]
    assert found[0].percents == (Fraction(5),)


def test_each_tier_has_its_change_and_other_bounds_have_none() -> None:
    old = price("a/1", "graduated", tiers=tiers(("100", "2"), (None, "1")))
    cheaper = price("a/1", "graduated", tiers=tiers(("100", "2"), (None, "0.90")))
    wider = price("a/1", "graduated", tiers=tiers(("200", "2"), (None, "1")))
    assert comparison.compare([old], [cheaper])[0].percents == (0, Fraction(-10))
    assert comparison.compare([old], [wider])[0].percents == ()
    assert comparison.compare([old], [wider])[0].state == "changed"
    assert comparison.compare([old], [price("a/1", "volume", tiers=tiers((None, "1")))])[0].percents == ()


def test_a_change_from_nothing_has_no_percentage_and_the_last_start_counts() -> None:
    free = price("a/1", "allowance", free="10", unit_price="0")
    paid = price("a/1", "allowance", free="10.0", unit_price="1")
    assert comparison.compare([free], [paid])[0].percents == ()
    later = price("a/1", unit_price="3", year=2027)
    [found] = comparison.compare([price("a/1", unit_price="2")], [later, price("a/1", unit_price="2")])
    assert found.percents == (Fraction(50),)
