"""Derivations: ordered steps that can be worked again by hand, and the hash of a line."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing.kernel import canonical
from billing.rating import derivations
from billing.rating.curves.terms import Scale


@dataclass(frozen=True, kw_only=True)
class Price:
    model: str = "per_unit"
    parameters: dict[str, Any] = field(default_factory=dict)
    currency: str = "USD"
    base_per_unit: int = 1


GPU = Price(parameters={"unit_price": "2.95"}, base_per_unit=21_000 * 3_600_000)
SEVEN_THIRDS_GPU_HOURS = 21_000 * 3_600_000 * 7 // 3


def test_seven_thirds_gpu_hours_at_2_95_are_688_point_333333_cents() -> None:
    derivation = derivations.derive(GPU, 0, SEVEN_THIRDS_GPU_HOURS)
    assert derivation.amount_micro == 688_333_333
    assert [(step.operation, step.exact, step.rounding, step.result) for step in derivation.steps] == [
        ("quantity", "7/3", "none", "7/3"),
        ("stood_at", "0", "none", "0"),
        ("per_unit", "2065/3", "none", "2065/3"),
        ("cost_after", "2065000000/3", "half_up", "688333333"),
        ("per_unit", "0", "none", "0"),
        ("cost_before", "0", "half_up", "0"),
        ("difference", "2065000000/3", "of_rounded", "688333333"),
    ]
    assert derivation.steps[2].inputs == {"at": "after", "count": "7/3", "price_minor": "295"}


def test_a_line_over_a_bound_names_both_tiers_and_where_it_stood() -> None:
    parameters = {"tiers": [{"up_to": "100", "unit_price": "0.015"}, {"unit_price": "0.010"}]}
    derivation = derivations.derive(Price(model="graduated", parameters=parameters), 90, 20)
    # 10 x 1.5 + 10 x 1 cents
    assert derivation.amount_micro == 25_000_000
    after = [step for step in derivation.steps if step.inputs.get("at") == "after"]
    assert [(step.inputs, step.exact) for step in after] == [
        ({"at": "after", "count": "100", "price_minor": "3/2", "from_base": "0", "up_to_base": "100"}, "150"),
        ({"at": "after", "count": "10", "price_minor": "1", "from_base": "100"}, "10"),
    ]
    assert derivation.steps[1].inputs["quantity_base"] == "90"


def test_a_late_window_that_reaches_a_cheaper_volume_tier_has_a_negative_amount() -> None:
    parameters = {"tiers": [{"up_to": "1000", "unit_price": "1.00"}, {"unit_price": "0.80"}]}
    assert derivations.derive(Price(model="volume", parameters=parameters), 900, 200).amount_micro == -2_000_000_000


def test_the_share_of_the_period_is_part_of_the_derivation() -> None:
    price = Price(model="allowance", parameters={"free": "100", "unit_price": "0.10"})
    half = derivations.derive(price, 0, 100, Scale(lengths_ms=(1, 1), index=0))
    assert (half.amount_micro, derivations.derive(price, 0, 100).amount_micro) == (500_000_000, 0)


@given(quantities=st.lists(st.integers(1, 10**15), min_size=1, max_size=10), pico=st.integers(0, 10**13))
def test_derived_amounts_sum_to_the_counters_cost_rounded_once(quantities: list[int], pico: int) -> None:
    price = Price(parameters={"unit_price": f"{pico // 10**12}.{pico % 10**12:012d}"}, base_per_unit=3_600_000)
    before, total = 0, 0
    for quantity in quantities:
        total += derivations.derive(price, before, quantity).amount_micro
        before += quantity
    exact = Fraction(pico, 10**12) * 100 * 10**6 * before / 3_600_000
    assert abs(total - exact) <= Fraction(1, 2)


@given(before=st.integers(0, 10**12), quantity=st.integers(0, 10**12))
def test_the_same_inputs_have_the_same_derivation_hash_and_others_do_not(before: int, quantity: int) -> None:
    first = derivations.derive(GPU, before, quantity)
    assert first.hash == derivations.derive(GPU, before, quantity).hash
    assert first.hash != derivations.derive(GPU, before, quantity + 1).hash


FACTS = ("rtl_1", "bac_1", 7, "usg_1", "ctr_1", 3, "chg_1", "prc_1", 10**30, 0, -5_000_000, "USD")


def test_the_line_hash_is_the_canonical_digest_of_its_fields() -> None:
    fields = [*FACTS[:8], *(str(number) for number in FACTS[8:11]), "USD"]
    expected = canonical.digest("rated-line/1", *fields, 1_480_000_000_000_000, "a" * 64, "b" * 64)
    assert derivations.line_hash(FACTS, 1_480_000_000_000_000, "a" * 64, "b" * 64) == expected


def test_the_line_hash_covers_every_fact() -> None:
    whole = derivations.line_hash(FACTS, 1, "a", "b")
    changed = {
        derivations.line_hash((*FACTS[:place], 9 if isinstance(fact, int) else "x", *FACTS[place + 1 :]), 1, "a", "b")  # type: ignore[arg-type]
        for place, fact in enumerate(FACTS)
    }
    others = {derivations.line_hash(FACTS, *rest) for rest in ((2, "a", "b"), (1, "c", "b"), (1, "a", "c"))}
    assert whole not in changed | others
    assert len(changed | others) == len(FACTS) + 3
