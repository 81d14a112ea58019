"""The package curve."""

import pytest

from billing.kernel.errors import Invalid
from billing.rating.curves import package
from billing.rating.curves.terms import Terms

TOKENS = Terms(currency="USD", base_per_unit=1)


def test_a_started_package_counts_whole() -> None:
    curve = package.read({"package_size": "1000", "package_price": "2.00"}, TOKENS)
    assert [curve.cost(quantity) for quantity in (0, 1, 1000, 1001, 5000)] == [0, 200, 200, 400, 1000]


@pytest.mark.parametrize("size", ["0", "0.5"])
def test_a_package_without_whole_units_is_refused(size: str) -> None:
    with pytest.raises(Invalid):
        package.read({"package_size": size, "package_price": "2.00"}, TOKENS)


def test_a_quantity_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        package.read({"package_size": "10", "package_price": "1"}, TOKENS).cost(-1)
