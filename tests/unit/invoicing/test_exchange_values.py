"""Whatever happens to an invoice, in whatever order: what it carried ends at its value at issue, and results stand only for money that stands."""

from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing.exchange_values import Event, Standing, Terms, step

_KINDS = st.sampled_from(["payment", "wallet", "credit_note", "write_off", "dispute", "given_back"])


@given(
    payable=st.integers(1, 10**9),
    value=st.integers(0, 10**12),
    moves=st.lists(st.tuples(_KINDS, st.integers(-(10**9), 10**9), st.integers(0, 10**12)), max_size=30),
)
def test_shares_sum_to_the_value_and_nothing_is_left_of_money_that_is_gone(
    payable: int, value: int, moves: list[tuple[str, int, int]]
) -> None:
    terms = Terms(payable_minor=payable, value_minor=value)
    standing, carried, results = Standing(open_minor=payable), 0, 0

    def happen(kind: str, amount: int, worth: int | None) -> None:
        nonlocal standing, carried, results
        done = step(terms, standing, Event(kind=kind, amount_minor=amount, value_minor=worth))
        standing, carried, results = done.after, carried + done.carried_minor, results + done.result_minor

    for kind, wanted, worth in moves:
        if kind == "given_back":
            happen(kind, abs(wanted), None)
            continue
        amount = max(standing.open_minor - payable, min(standing.open_minor, wanted))
        is_money = kind in ("payment", "dispute") and amount > 0
        happen(kind, amount, worth if is_money else None)
        assert 0 <= standing.open_minor <= payable
        assert standing.money_minor >= 0
        assert carried == value - terms.carried_minor(standing.open_minor)
        assert results == standing.result_minor
    happen("payment", standing.open_minor, value)
    assert carried == value
    happen("given_back", standing.money_minor, None)
    assert (results, standing.money_minor) == (0, 0)


@given(
    value=st.integers(0, 10**12), parts=st.lists(st.integers(1, 10**6), min_size=1, max_size=20), rate=st.integers(0, 9)
)
def test_parts_paid_on_one_day_bring_what_they_are_worth_less_the_value_at_issue(
    value: int, parts: list[int], rate: int
) -> None:
    terms = Terms(payable_minor=sum(parts), value_minor=value)
    standing, results = Standing(open_minor=sum(parts)), 0
    for part in parts:
        done = step(terms, standing, Event(kind="payment", amount_minor=part, value_minor=part * rate))
        standing, results = done.after, results + done.result_minor
    assert results == sum(parts) * rate - value
