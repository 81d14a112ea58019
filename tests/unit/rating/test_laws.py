"""Laws 1 and 2 over all models, orders, splits, shares, rescalings, corrections and closes, against `fractions.Fraction`.

A counter is walked through arbitrary steps: usage in pieces, corrections, a new share of its period, runs of posting, closes of its
charge. After each posting the ledger must hold, of each generation, its exact amount rounded once.
"""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.items import Item
from billing.catalog.prices import Price
from billing.kernel.ids import new_id
from billing.kernel.rounding import half_up_fraction
from billing.rating import curves, rater
from billing.rating.amounts import rounded_minor
from billing.rating.counters import OpenCounter, Slot, open_counter
from billing.rating.curves.terms import Curve, Scale
from billing.rating.derivations import derive, derive_rescaling
from billing.rating.usage import Usage
from billing.storage.columns import micros
from tests.service.rating import fraction_model

NOVEMBER, DECEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
PARAMETERS: dict[str, tuple[dict[str, object], tuple[tuple[int | None, Fraction], ...]]] = {
    "per_unit": ({"unit_price": "0.00333"}, ((None, Fraction(333, 1000)),)),
    "flat": ({"amount": "9.99"}, ((None, Fraction(999)),)),
    "package": ({"package_size": "7", "package_price": "0.005"}, ((7, Fraction(1, 2)),)),
    "graduated": (
        {
            "tiers": [
                {"up_to": "10", "unit_price": "0.015"},
                {"up_to": "25", "unit_price": "0"},
                {"unit_price": "0.0101"},
            ]
        },
        ((10, Fraction(3, 2)), (25, Fraction(0)), (None, Fraction(101, 100))),
    ),
    "volume": (
        {"tiers": [{"up_to": "20", "unit_price": "0.015"}, {"unit_price": "0.0125"}]},
        ((20, Fraction(3, 2)), (None, Fraction(5, 4))),
    ),
    "allowance": ({"free": "15", "unit_price": "0.00777"}, ((15, Fraction(777, 1000)),)),
    "percentage": ({"percent": "2.5"}, ((None, Fraction(1, 40)),)),
}

_shares = st.one_of(
    st.none(),
    st.lists(st.integers(1, 2_592_000), min_size=2, max_size=4).flatmap(
        lambda lengths: st.builds(
            lambda place: Scale(lengths_ms=tuple(lengths), index=place), st.integers(0, len(lengths) - 1)
        )
    ),
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.integers(0, 12)),
        st.tuples(st.just("correct"), st.integers(1, 12)),
        st.tuples(st.just("share"), _shares),
        st.tuples(st.just("post"), st.none()),
        st.tuples(st.just("close"), st.none()),
    ),
    min_size=1,
    max_size=50,
)


def exact_of(model: str, quantity: int, scale: Scale | None) -> Fraction:
    """The model's word on what a quantity costs, in minor units."""
    rows = PARAMETERS[model][1]
    lengths = [Fraction(1)] if scale is None else [Fraction(length) for length in scale.lengths_ms]
    known = "per_unit" if model == "percentage" else model
    return fraction_model.cost(known, rows, quantity, lengths, 0 if scale is None else scale.index)


def price_of(model: str) -> Price:
    return Price(
        id="prc_1",
        sku_code="analytics/query",
        family="analytics",
        item=Item("query"),
        currency="USD",
        model=model,
        parameters=PARAMETERS[model][0],
        valid_from=NOVEMBER,
        price_hash="b" * 64,
        base_per_unit=1,
    )


class Walk:
    """One counter of the product, walked; `opened` are the curves of its generations, `ledger` what was posted of each."""

    def __init__(self, model: str) -> None:
        self.price = price_of(model)
        self.counter: OpenCounter = open_counter(self.price, None, "ctr_1", "bpd_1", NOVEMBER)
        self.seq = 0
        self.opened: dict[str, Curve] = {}
        self.scale_opened: dict[str, Scale | None] = {}
        self.ledger: dict[str, int] = {}
        self.micro = 0

    def line(self, quantity: int, new: Scale | None = None, *, is_share: bool = False) -> None:
        """One more line; the line's own derivation must make it."""
        self.seq += 1
        counter, old = self.counter, self.counter.scale
        known, before_curve = set(self.opened), counter.curve
        slot = Slot(start_micros=micros(NOVEMBER), end_micros=micros(DECEMBER), counter=counter)

        def rescaled(_usage_id: str, _line_seq: int) -> Slot | None:
            if is_share:
                counter.rescale(new)
            return slot if is_share else None

        usage = Usage(
            id=new_id("usg"),
            usage_seq=self.seq,
            meter_code="query",
            variant="",
            mode="on_demand",
            start_micros=micros(NOVEMBER),
            priced_micros=micros(NOVEMBER),
            quantity_base=str(quantity),
            project_id=None,
            record_hash="a" * 64,
        )
        batch = rater.rate(
            lambda _item, _at, _priced: slot,
            [usage],
            account_id="bac_1",
            line_seq=self.seq - 1,
            now=NOW,
            rescaled=rescaled,
        )
        (made,) = batch.lines
        charge_id, before_base, amount_micro = made[6], made[9], made[10]
        if charge_id not in known:
            self.opened[charge_id], self.scale_opened[charge_id] = before_curve, old
        derived = (
            derive_rescaling(self.price, before_base, old, new)
            if is_share
            else derive(self.price, before_base, quantity, counter.scale)
        )
        assert derived.amount_micro == amount_micro
        self.micro += amount_micro

    def post(self) -> None:
        """Bring the open charge up to date."""
        charge = self.counter.charges.get("")
        if charge is not None and charge.id not in self.counter.closed:
            self.ledger[charge.id] = rounded_minor(
                self.counter.curve, charge.before_base, charge.quantity_base, self.opened[charge.id]
            )


def walk(model: str, steps: list[tuple[str, object]]) -> None:
    made, settled, held_closed = Walk(model), Fraction(0), 0
    counter = made.counter
    for name, value in steps:
        if name == "use" and isinstance(value, int):
            made.line(value)
        elif name == "correct" and isinstance(value, int):
            made.line(-min(value, counter.quantity_base))
        elif name == "share" and model in curves.SCALED and (value is None or isinstance(value, Scale)):
            made.line(0, value, is_share=True)
        elif name == "post":
            made.post()
        elif name == "close" and "" in counter.charges and counter.charges[""].id not in counter.closed:
            made.post()
            counter.closed.add(counter.charges[""].id)
            exact = exact_of(model, counter.quantity_base, counter.scale)
            held_closed += half_up_fraction(exact - settled)
            settled = exact
    made.post()
    exact = exact_of(model, counter.quantity_base, counter.scale)
    assert made.micro == fraction_model.half_up(exact * 10**6)
    is_open = "" in counter.charges and counter.charges[""].id not in counter.closed
    assert sum(made.ledger.values()) == held_closed + (fraction_model.half_up(exact - settled) if is_open else 0)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(model=st.sampled_from(sorted(PARAMETERS)), steps=_steps)
def test_lines_telescope_and_the_ledger_holds_each_generation_rounded_once(
    model: str, steps: list[tuple[str, object]]
) -> None:
    walk(model, steps)


@pytest.mark.release_heavy
@pytest.mark.parametrize("model", sorted(PARAMETERS))
def test_ten_thousand_walks_of_fifty_steps_hold_both_laws(model: str) -> None:
    """Trust row 1, for each model."""
    settings(max_examples=10_000, suppress_health_check=list(HealthCheck), deadline=None)(
        given(steps=st.lists(_steps.map(lambda steps: steps[0]), min_size=50, max_size=50))(
            lambda steps: walk(model, steps)
        )
    )()


@given(
    model=st.sampled_from(sorted(PARAMETERS)),
    quantities=st.lists(st.integers(0, 60), min_size=1, max_size=10),
    lengths=st.lists(st.integers(1, 2_592_000), min_size=2, max_size=4),
    place=st.integers(0, 3),
    late=st.integers(0, 10),
)
def test_a_share_known_before_or_late_gives_the_same_total(
    model: str, quantities: list[int], lengths: list[int], place: int, late: int
) -> None:
    scale = Scale(lengths_ms=tuple(lengths), index=min(place, len(lengths) - 1)) if model in curves.SCALED else None
    before, after = Walk(model), Walk(model)
    before.counter = open_counter(before.price, scale, "ctr_1", "bpd_1", NOVEMBER)
    for number, quantity in enumerate(quantities):
        before.line(quantity)
        if number == late and scale is not None:
            after.line(0, scale, is_share=True)
        after.line(quantity)
    if late >= len(quantities) and scale is not None:
        after.line(0, scale, is_share=True)
    assert before.micro == after.micro
