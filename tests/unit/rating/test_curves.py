"""Law 1: a price is a cumulative curve, whatever its model."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.errors import Invalid
from billing.kernel.rounding import half_up_fraction
from billing.rating import curves
from billing.rating.curves.terms import Curve, Scale, Terms

_prices = st.integers(0, 10**14).map(lambda pico: f"{pico // 10**12}.{pico % 10**12:012d}")
_bounds = st.lists(st.integers(1, 5000), min_size=0, max_size=4, unique=True).map(sorted)


@st.composite
def _tiers(draw: st.DrawFn) -> dict[str, object]:
    rows: list[dict[str, str]] = [{"up_to": str(bound), "unit_price": draw(_prices)} for bound in draw(_bounds)]
    return {"tiers": [*rows, {"unit_price": draw(_prices)}]}


@st.composite
def any_curve(draw: st.DrawFn) -> Curve:
    """A curve of any model with any price, meter and share of its period."""
    model = draw(st.sampled_from(sorted(curves.MODELS)))
    if model in ("graduated", "volume"):
        parameters = draw(_tiers())
    elif model == "package":
        parameters = {"package_size": str(draw(st.integers(1, 2000))), "package_price": draw(_prices)}
    elif model == "flat":
        parameters = {"amount": draw(_prices)}
    elif model == "percentage":
        parameters = {"percent": draw(_prices)}
    else:
        parameters = {"unit_price": draw(_prices), "free": str(draw(st.integers(0, 3000)))}
    seconds = tuple(draw(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=3)))
    scale = Scale(lengths_ms=seconds, index=draw(st.integers(0, len(seconds) - 1))) if len(seconds) > 1 else None
    currency = draw(st.sampled_from(["USD", "JPY", "KWD"]))
    terms = Terms(currency=currency, base_per_unit=draw(st.sampled_from([1, 1000, 3_600_000])), scale=scale)
    return curves.of(model)(parameters, terms)


@given(curve=any_curve())
def test_every_curve_costs_nothing_at_zero(curve: Curve) -> None:
    assert curve.cost(0) == 0


@given(curve=any_curve(), quantity=st.integers(0, 10**12))
def test_parts_that_are_counted_in_units_cover_the_quantity_once(curve: Curve, quantity: int) -> None:
    if hasattr(curve, "base_per_unit"):
        assert sum(part.count for part in curve.parts(quantity)) * curve.base_per_unit == quantity


@given(curve=any_curve(), quantity=st.integers(0, 10**12))
def test_the_parts_of_a_curve_sum_to_its_cost(curve: Curve, quantity: int) -> None:
    assert sum((part.count * part.price_minor for part in curve.parts(quantity)), Fraction(0)) == curve.cost(quantity)


@given(curve=any_curve(), quantities=st.lists(st.integers(0, 10**9), min_size=1, max_size=12), data=st.data())
def test_lines_telescope_to_the_total_in_any_order_and_split(
    curve: Curve, quantities: list[int], data: st.DataObject
) -> None:
    """Amounts of lines depend on arrival; their sum never does."""
    shuffled = data.draw(st.permutations(quantities))
    pieces = [piece for quantity in shuffled for piece in _split(quantity, data.draw(st.integers(1, 4)))]
    whole = half_up_fraction(curve.cost(sum(quantities)) * 10**6)
    for order in (quantities, shuffled, pieces):
        stands = [0, *itertools.accumulate(order)]
        micros = [half_up_fraction(curve.cost(stand) * 10**6) for stand in stands]
        assert sum(after - before for before, after in itertools.pairwise(micros)) == whole


@given(
    bound=st.integers(0, 10**15),
    seconds=st.lists(st.integers(1, 3_000_000), min_size=1, max_size=6).map(tuple),
)
def test_the_parts_of_a_bound_sum_to_the_whole_bound(bound: int, seconds: tuple[int, ...]) -> None:
    parts = [Scale(lengths_ms=seconds, index=index).bound(bound) for index in range(len(seconds))]
    assert sum(parts) == bound
    assert min(parts) >= 0


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        curves.of("surprise")
    assert refusal.value.fields == {"field": "model", "value": "surprise", "reason": "unknown_model"}


def test_only_plain_unit_prices_are_charged_per_project() -> None:
    assert [model for model in curves.MODELS if curves.is_per_project(model)] == ["per_unit"]


def _split(quantity: int, parts: int) -> list[int]:
    share = quantity // parts
    return [share] * (parts - 1) + [quantity - share * (parts - 1)]
