"""Prices that include tax: the sums, by hand and for all amounts."""

from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing import credits, tax
from billing.invoicing.documents.model import Allowance, Line
from billing.invoicing.taxes import inclusive


def _line(gross_minor: int, rate_bp: int = 1900, family: str = "compute") -> Line:
    return Line(
        id=f"inl_{gross_minor}",
        seq=1,
        description="x",
        detail="",
        quantity_text="1",
        unit="item",
        unit_price_text="1",
        price_base_text="1",
        beside_text="",
        priced_unit="item",
        amount_minor=gross_minor,
        tax_category="S",
        tax_rate_bp=rate_bp,
        family=family,
    )


def _allowance(gross_minor: int, rate_bp: int = 1900) -> Allowance:
    return Allowance(
        seq=1,
        kind="discount",
        grant_id=None,
        reason="x",
        tax_category="S",
        tax_rate_bp=rate_bp,
        amount_minor=gross_minor,
    )


def test_299_at_4_percent_is_288_and_12_with_a_cent_too_much() -> None:
    assert inclusive.split(299, 400) == (288, 12, -1)


def test_119_at_19_percent_leaves_nothing_over() -> None:
    assert inclusive.split(11_900, 1900) == (10_000, 1_900, 0)
    assert inclusive.split(-11_900, 1900) == (-10_000, -1_900, 0)


def test_lines_share_the_net_of_their_group_and_keep_their_gross() -> None:
    made, allowed = inclusive.netted([_line(100), _line(100), _line(100, 700)], [_allowance(50)])
    assert [line.gross_minor for line in made] == [100, 100, 100]
    assert sum(line.amount_minor for line in made[:2]) - allowed[0].amount_minor == inclusive.net_of(150, 1900)
    assert made[2].amount_minor == inclusive.net_of(100, 700)
    assert [line.amount_minor for line in inclusive.grossed(made)] == [100, 100, 100]
    assert inclusive.grossed_allowances(allowed)[0].amount_minor == 50


@given(
    grosses=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20),
    taken=st.lists(st.integers(1, 10**6), max_size=4),
    rate_bp=st.sampled_from([400, 550, 1900, 2300, 2550, 2700]),
)
def test_shares_of_any_lines_sum_to_the_net_of_their_gross(grosses: list[int], taken: list[int], rate_bp: int) -> None:
    made, allowed = inclusive.netted(
        [_line(each, rate_bp) for each in grosses], [_allowance(each, rate_bp) for each in taken]
    )
    net_minor = sum(line.amount_minor for line in made) - sum(one.amount_minor for one in allowed)
    assert net_minor == inclusive.net_of(sum(grosses) - sum(taken), rate_bp)
    assert all(
        abs(line.amount_minor * (10_000 + rate_bp) - (line.gross_minor or 0) * 10_000) < 10_000 + rate_bp
        for line in made
    )


@given(
    families=st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**9), min_size=1),
    rate_bp=st.sampled_from([400, 1900, 2300]),
)
def test_tax_and_rounding_of_a_group_come_out_of_its_families_whole(families: dict[str, int], rate_bp: int) -> None:
    gross_minor = sum(families.values())
    _, tax_minor, cent = inclusive.split(gross_minor, rate_bp)
    parts = inclusive.revenue_parts(families, gross_minor, rate_bp)
    assert sum(part[0] for part in parts.values()) == tax_minor
    assert sum(part[1] for part in parts.values()) == cent


@given(
    grosses=st.lists(st.integers(1, 100_000), min_size=1, max_size=5),
    steps=st.lists(st.integers(1, 60_000), max_size=6),
    rate_bp=st.sampled_from([400, 1900, 2300]),
)
def test_credits_of_any_sizes_give_back_net_tax_and_rounding_of_the_invoice(
    grosses: list[int], steps: list[int], rate_bp: int
) -> None:
    treatment = tax.Treatment(category="S", rate_bp=rate_bp, jurisdiction="DE")
    taken = dict.fromkeys(range(len(grosses)), 0)
    made: list[credits.Credit] = []

    def creditable() -> credits.Creditable:
        return credits.Creditable(
            currency="EUR",
            lines=[
                credits.CreditableLine(
                    line_id=str(place),
                    treatment=treatment,
                    amount_minor=gross,
                    credited_minor=taken[place],
                    family="ab"[place % 2],
                )
                for place, gross in enumerate(grosses)
            ],
            tax_minor={treatment: inclusive.split(sum(grosses), rate_bp)[1]},
            credited_tax_minor={treatment: sum(each.tax_minor for each in made)},
            includes_tax=True,
        )

    for step in steps:
        rest = creditable().rest_minor
        if rest < 2:
            break
        given_back = credits.of_amount(creditable(), min(step, rest))
        assert given_back.payable_minor == min(step, rest)
        made.append(given_back)
        for line_id, minor in given_back.lines.items():
            taken[int(line_id)] += minor
    if creditable().rest_minor:
        made.append(credits.of_rest(creditable()))
    found = tuple(sum(getattr(each, name) for each in made) for name in ("net_minor", "tax_minor", "rounding_minor"))
    assert found == inclusive.split(sum(grosses), rate_bp)
    parts = [part for each in made for part in each.inclusive or ()]
    assert sum(part.tax_minor for part in parts) == found[1]
    assert sum(part.rounding_minor for part in parts) == found[2]
