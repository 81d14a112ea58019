"""Laws 1 and 2 over whole batches: any order, any split, any run borders give the same charges and the same books."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.catalog.items import Item
from billing.catalog.prices import Price
from billing.kernel.ids import new_id
from billing.kernel.money import MAX_MINOR
from billing.kernel.rounding import half_up_fraction
from billing.rating import rater
from billing.rating.amounts import OpenAmount, rounded_minor
from billing.rating.counters import OpenCounter, Slot, open_counter
from billing.rating.derivations import curve_of, derive
from billing.rating.usage import Usage
from billing.storage.columns import micros

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
NOW = datetime(2026, 12, 2, tzinfo=UTC)
GRADUATED = {"tiers": [{"up_to": "100", "unit_price": "0.015"}, {"unit_price": "0.010"}]}


def price_of(model: str, parameters: dict[str, Any], *, meter: str = "query") -> Price:
    return Price(
        id=f"prc_{model}",
        sku_code="analytics/query",
        family="analytics",
        item=Item(meter),
        currency="USD",
        model=model,
        parameters=parameters,
        valid_from=NOVEMBER,
        price_hash="b" * 64,
        base_per_unit=1,
    )


PRICES = {
    "per_unit": price_of("per_unit", {"unit_price": "0.000000006"}),
    "flat": price_of("flat", {"amount": "25"}),
    "package": price_of("package", {"package_size": "1000", "package_price": "2.00"}),
    "graduated": price_of("graduated", GRADUATED),
    "volume": price_of("volume", {"tiers": [{"up_to": "1000", "unit_price": "1.00"}, {"unit_price": "0.80"}]}),
    "allowance": price_of("allowance", {"free": "100", "unit_price": "0.0033"}),
}


def usage_of(quantities: Sequence[int], projects: Sequence[str | None]) -> list[Usage]:
    return [
        Usage(
            id=new_id("usg"),
            usage_seq=seq,
            meter_code="query",
            variant="",
            mode="on_demand",
            start_micros=micros(NOVEMBER) + seq,
            priced_micros=micros(NOVEMBER) + seq,
            quantity_base=str(quantity),
            project_id=project,
            record_hash="a" * 64,
        )
        for seq, (quantity, project) in enumerate(zip(quantities, projects, strict=True), start=1)
    ]


def rated(counter: OpenCounter | None, usage: Sequence[Usage], *, line_seq: int = 0, reason: str = "") -> rater.Batch:
    slot = Slot(start_micros=micros(NOVEMBER), end_micros=micros(DECEMBER), counter=counter, reason=reason)
    return rater.rate(lambda _item, _at, _priced: slot, usage, account_id="bac_1", line_seq=line_seq, now=NOW)


def fresh_counter(price: Price) -> OpenCounter:
    return open_counter(price, None, "ctr_1", "bpd_1", NOVEMBER)


def posted_by_project(price: Price, runs: Sequence[Sequence[Usage]]) -> tuple[dict[str, int], list[tuple[Any, ...]]]:
    """Rate and post run by run; what the ledger then holds per project key, and all lines."""
    counter, amounts, lines = fresh_counter(price), {}, []
    for run in runs:
        batch = rated(counter, run, line_seq=len(lines))
        lines += batch.lines
        added: dict[str, int] = defaultdict(int)
        for line in batch.lines:
            added[line[6]] += line[8]
        for key, charge in counter.charges.items():
            amount = amounts.setdefault(
                key,
                OpenAmount(
                    charge_id=charge.id,
                    currency="USD",
                    family="analytics",
                    curve=counter.curve,
                    before_base=0,
                    posted_base=0,
                    posted_minor=0,
                    posting_seq=0,
                ),
            )
            amount.added_base = added[charge.id]
            amount.settle()
            amount.posted_minor += amount.increment_minor
            amount.posted_base, amount.added_base = amount.quantity_base, 0
    return {key: amount.posted_minor for key, amount in amounts.items()}, lines


@settings(max_examples=150)
@given(
    model=st.sampled_from(sorted(PRICES)),
    records=st.lists(
        st.tuples(st.integers(0, 5000), st.sampled_from([None, "prj_a", "prj_b"])), min_size=1, max_size=15
    ),
    data=st.data(),
)
def test_any_order_and_any_run_borders_give_the_same_charges(
    model: str, records: list[tuple[int, str | None]], data: st.DataObject
) -> None:
    price = PRICES[model]
    curve = curve_of(price)
    totals: dict[str, int] = defaultdict(int)
    for quantity, project in records:
        totals[(project or "") if model == "per_unit" else ""] += quantity
    by_hand = {key: half_up_fraction(curve.cost(total)) for key, total in totals.items()}
    for order in (records, data.draw(st.permutations(records))):
        usage = usage_of([quantity for quantity, _ in order], [project for _, project in order])
        border = data.draw(st.integers(0, len(usage)))
        held, lines = posted_by_project(price, [usage[:border], usage[border:]])
        assert held == by_hand
        whole = half_up_fraction(curve.cost(sum(quantity for quantity, _ in records)) * 10**6)
        assert sum(line[10] for line in lines) == whole


@given(model=st.sampled_from(sorted(PRICES)), quantities=st.lists(st.integers(0, 5000), min_size=1, max_size=12))
def test_every_line_has_the_amount_of_its_derivation(model: str, quantities: list[int]) -> None:
    batch = rated(fresh_counter(PRICES[model]), usage_of(quantities, [None] * len(quantities)))
    for line in batch.lines:
        assert line[10] == derive(PRICES[model], line[9], line[8]).amount_micro


def test_lines_are_numbered_on_and_stand_on_each_other() -> None:
    batch = rated(fresh_counter(PRICES["graduated"]), usage_of([60, 60, 60], ["prj_a", "prj_b", None]), line_seq=7)
    columns = [dict(zip(rater.LINE_COLUMNS, line, strict=True)) for line in batch.lines]
    assert [line["line_seq"] for line in columns] == [8, 9, 10]
    assert [line["counter_seq"] for line in columns] == [1, 2, 3]
    assert [line["before_base"] for line in columns] == [0, 60, 120]
    # 60 x 1.5; 40 x 1.5 + 20 x 1; 60 x 1 cents
    assert [line["amount_micro"] for line in columns] == [90_000_000, 80_000_000, 60_000_000]
    assert all(after["line_hash"] != before["line_hash"] for before, after in pairwise(columns))


def test_the_same_stored_order_and_clock_give_the_same_bytes() -> None:
    usage = usage_of([5, 10**14, 7], [None, None, None])
    first, second = fresh_counter(PRICES["volume"]), fresh_counter(PRICES["volume"])
    for counter in (first, second):
        counter.charge_of(None).id = "chg_1"
    assert rated(first, usage).lines == rated(second, usage).lines


def test_a_line_takes_the_number_of_its_usage_record() -> None:
    usage = usage_of([1], [None])
    assert rated(fresh_counter(PRICES["flat"]), usage).lines[0][0] == rater.line_id_of(usage[0].id)


def test_usage_without_a_price_waits_and_the_rest_goes_on() -> None:
    usage = usage_of([1, 2], [None, None])
    batch = rated(None, usage, reason="no_price")
    assert (batch.lines, batch.waiting) == ([], [(usage[0].id, "no_price"), (usage[1].id, "no_price")])


def test_a_withdrawal_below_nothing_waits_where_tiers_count() -> None:
    usage = usage_of([50, -80, -50], [None, None, None])
    batch = rated(fresh_counter(PRICES["graduated"]), usage)
    assert batch.waiting == [(usage[1].id, "below_zero")]
    assert [line[10] for line in batch.lines] == [75_000_000, -75_000_000]


def test_an_amount_beyond_what_money_can_hold_waits() -> None:
    price = price_of("per_unit", {"unit_price": "1"})
    usage = usage_of([MAX_MINOR, 1], [None, None])
    batch = rated(fresh_counter(price), usage)
    assert batch.waiting == [(usage[0].id, "amount_too_large")]
    assert [line[3] for line in batch.lines] == [usage[1].id]


def test_a_closed_charge_opens_its_next_generation_where_it_left_off() -> None:
    counter = fresh_counter(PRICES["volume"])
    rated(counter, usage_of([900], [None]))
    closed = counter.charges[""]
    counter.closed.add(closed.id)
    rated(counter, usage_of([200], [None]))
    late = counter.charges[""]
    assert (late.generation, late.before_base, late.quantity_base) == (1, 900, 200)
    # 1,100 at 0.80 instead of 900 at 1.00
    assert rounded_minor(counter.curve, late.before_base, late.quantity_base) == -2000


def test_projects_of_a_plain_price_are_closed_apart() -> None:
    counter = fresh_counter(PRICES["per_unit"])
    rated(counter, usage_of([100, 10], ["prj_a", "prj_b"]))
    counter.closed.add(counter.charges["prj_a"].id)
    rated(counter, usage_of([1, 1], ["prj_a", "prj_b"]))
    stands = {key: (c.generation, c.before_base, c.quantity_base) for key, c in counter.charges.items()}
    assert stands == {"prj_a": (1, 100, 1), "prj_b": (0, 0, 11)}


def test_ten_million_events_of_a_token_at_six_billionths_are_six_cents() -> None:
    curve = curve_of(PRICES["per_unit"])
    assert rounded_minor(curve, 0, 10_000_000) == 6
    line_by_line = sum(half_up_fraction(curve.cost(1)) for _ in range(10))
    assert (line_by_line, curve.cost(10_000_000)) == (0, Fraction(6))


def test_almost_half_a_cent_is_posted_as_nothing() -> None:
    assert rounded_minor(curve_of(PRICES["per_unit"]), 0, 833_333) == 0
    assert rounded_minor(curve_of(PRICES["per_unit"]), 0, 833_334) == 1
