"""What is taken off a document before tax, and how credit notes give it back: nothing below zero, everything exactly once."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing import credits, deductions, lines, tax
from billing.invoicing.credits import Creditable, CreditableAllowance, CreditableLine
from billing.invoicing.deductions import Available, Commitment, Discount, Gift
from billing.invoicing.documents.model import Allowance, Line

DE = tax.Treatment(category="S", rate_bp=1900, jurisdiction="DE")
FR = tax.Treatment(category="S", rate_bp=2000, jurisdiction="FR")
FAMILIES = ("compute", "gpu", "storage")


def _line(seq: int, amount_minor: int, *, family: str = "compute", rate_bp: int = 1900, label: str = "2026-10") -> Line:
    return Line(
        id=f"inl_{seq}",
        seq=seq,
        description="CPU time",
        detail="",
        quantity_text="1",
        unit="item",
        unit_price_text="1",
        price_base_text="1",
        beside_text="",
        priced_unit="item",
        amount_minor=amount_minor,
        tax_category="S",
        tax_rate_bp=rate_bp,
        charge_id=f"chg_{seq}",
        family=family,
        period_label=label,
    )


def _commitment(
    left_minor: int, *families: str, name: str = "2026", labels: Sequence[str] = ("2026-10",)
) -> Commitment:
    return Commitment(
        contract_id=f"cmt_{name}",
        name=name,
        sale_number="INV-2026-000001",
        families=families,
        period_labels=frozenset(labels),
        left_minor=left_minor,
    )


def test_commitment_then_discount_then_gift_each_of_what_the_one_before_left() -> None:
    available = Available(
        commitments=[_commitment(50_00)],
        discounts=[Discount(reason="partner", amount_minor=20_00)],
        gifts=[Gift(grant_id="grt_1", reason="welcome", left_minor=40_00)],
    )
    made, allowances = deductions.apply([_line(1, 100_00)], available, currency="EUR")
    assert [line.amount_minor for line in made] == [100_00, -50_00]
    assert [(one.kind, one.amount_minor) for one in allowances] == [("discount", 20_00), ("promo", 30_00)]


def test_a_gift_is_shared_out_over_the_vat_groups_in_proportion_and_loses_no_cent() -> None:
    available = Available(gifts=[Gift(grant_id="grt_1", reason="welcome", left_minor=100)])
    charged = [_line(1, 100, rate_bp=1900), _line(2, 200, rate_bp=2000)]
    _, allowances = deductions.apply(charged, available, currency="EUR")
    assert [(one.tax_rate_bp, one.amount_minor) for one in allowances] == [(1900, 33), (2000, 67)]


def test_a_commitment_covers_its_families_in_the_months_in_which_it_runs() -> None:
    charged = [
        _line(1, 100_00, family="gpu"),
        _line(2, 100_00, family="storage"),
        _line(3, 100_00, family="gpu", label="2026-09"),
    ]
    made, _ = deductions.apply(charged, Available(commitments=[_commitment(500_00, "gpu")]), currency="EUR")
    assert made[-1].covers == {"gpu": 100_00}


def test_a_correction_below_zero_is_never_covered() -> None:
    charged = [_line(1, 100_00, family="gpu"), _line(2, -30_00, family="storage")]
    made, _ = deductions.apply(charged, Available(commitments=[_commitment(500_00)]), currency="EUR")
    assert sum(line.amount_minor for line in made) == 0
    assert made[-1].covers == {"gpu": 70_00}


charges = st.lists(
    st.tuples(st.integers(-50, 300), st.sampled_from(FAMILIES), st.sampled_from((1900, 2000))), min_size=1, max_size=6
)
amounts = st.lists(st.integers(1, 300), max_size=3)


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[Line], tuple[Line, ...], tuple[Allowance, ...]]:
    charged = [
        _line(seq, amount, family=family, rate_bp=rate)
        for seq, (amount, family, rate) in enumerate(draw(charges), start=1)
        if amount
    ]
    available = Available(
        commitments=[
            _commitment(left, *draw(st.lists(st.sampled_from(FAMILIES), unique=True, max_size=2)), name=str(place))
            for place, left in enumerate(draw(amounts))
        ],
        discounts=[Discount(reason="partner", amount_minor=each) for each in draw(amounts)[:1]],
        gifts=[
            Gift(grant_id=f"grt_{place}", reason="gift", left_minor=left) for place, left in enumerate(draw(amounts))
        ],
    )
    made, allowances = deductions.apply(charged, available, currency="EUR")
    return charged, made, allowances


@given(documents())
def test_nothing_is_taken_below_zero_or_beyond_what_there_is(
    document: tuple[list[Line], tuple[Line, ...], tuple[Allowance, ...]],
) -> None:
    charged, made, allowances = document
    before = sum(line.amount_minor for line in charged)
    taken = before - sum(line.amount_minor for line in made) + sum(one.amount_minor for one in allowances)
    assert 0 <= taken <= max(0, before)
    assert all(one.amount_minor > 0 for one in allowances)
    for line in made[len(charged) :]:
        assert -line.amount_minor == sum(line.covers.values()) > 0
    for family in FAMILIES:
        of_family = sum(line.amount_minor for line in charged if line.family == family)
        assert sum(line.covers.get(family, 0) for line in made) <= max(0, of_family)


@given(documents(), st.lists(st.tuples(st.integers(0, 5), st.integers(1, 300)), max_size=6))
def test_any_sequence_of_credits_gives_everything_back_exactly_once(
    document: tuple[list[Line], tuple[Line, ...], tuple[Allowance, ...]], steps: list[tuple[int, int]]
) -> None:
    charged, made, allowances = document
    charged = [line for line in charged if line.amount_minor > 0]
    if len(charged) != len(made) - sum(bool(line.covers) for line in made):
        return  # lines below zero can be credited with others only
    books = _Books(made, allowances)
    for place, amount in steps:
        line = charged[place % len(charged)] if charged else None
        rest = books.rest_of(line.id) if line else 0
        if line is not None and rest > 0:
            books.credit(credits.of_lines(books.invoice(), {line.id: min(amount, rest)}))
    if any(books.rest_of(line.id) for line in charged):
        books.credit(credits.of_rest(books.invoice()))
    assert books.credited == {line.id: line.amount_minor for line in made}
    assert books.returned == {one.seq: one.amount_minor for one in allowances}
    assert books.tax == sum(group.tax_minor for group in lines.breakdown(made, [DE, FR], allowances))


class _Books:
    """An issued document and its credit notes, kept as plain sums beside the code under test."""

    def __init__(self, made: Sequence[Line], allowances: Sequence[Allowance]) -> None:
        self._made, self._allowances = made, allowances
        self.credited: dict[str, int] = {line.id: 0 for line in made}
        self.covers: dict[str, dict[str, int]] = {line.id: {} for line in made}
        self.returned: dict[int, int] = {one.seq: 0 for one in allowances}
        self._taxes: dict[tax.Treatment, int] = {}

    @property
    def tax(self) -> int:
        return sum(self._taxes.values())

    def rest_of(self, line_id: str) -> int:
        return next(line.amount_minor for line in self._made if line.id == line_id) - self.credited[line_id]

    def invoice(self) -> Creditable:
        by_rate = {1900: DE, 2000: FR}
        groups = lines.breakdown(self._made, [DE, FR], self._allowances)
        return Creditable(
            currency="EUR",
            lines=[
                CreditableLine(
                    line_id=line.id,
                    treatment=by_rate[line.tax_rate_bp],
                    amount_minor=line.amount_minor,
                    credited_minor=self.credited[line.id],
                    family=line.family or "",
                    covers=line.covers,
                    covers_credited=self.covers[line.id],
                )
                for line in self._made
            ],
            tax_minor={by_rate[group.rate_bp]: group.tax_minor for group in groups},
            credited_tax_minor=self._taxes,
            allowances=[
                CreditableAllowance(
                    seq=one.seq,
                    treatment=by_rate[one.tax_rate_bp],
                    amount_minor=one.amount_minor,
                    returned_minor=self.returned[one.seq],
                )
                for one in self._allowances
            ],
        )

    def credit(self, note: credits.Credit) -> None:
        assert note.payable_minor >= 0
        for line_id, amount in note.lines.items():
            self.credited[line_id] += amount
        for line_id, families in note.covers.items():
            assert min(families.values()) > 0
            for family, minor in families.items():
                self.covers[line_id][family] = self.covers[line_id].get(family, 0) + minor
        for seq, minor in note.allowances.items():
            assert minor > 0
            self.returned[seq] += minor
        for group in note.groups:
            self._taxes[group.treatment] = self._taxes.get(group.treatment, 0) + group.tax_minor
