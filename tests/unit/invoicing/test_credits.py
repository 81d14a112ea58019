"""Credit notes telescope: any sequence gives back exactly the invoice (money.md, worked numbers)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing import credits, tax
from billing.invoicing.errors import CreditTooHigh

DE = tax.Treatment(category="S", rate_bp=1900, jurisdiction="DE")
IE = tax.Treatment(category="S", rate_bp=2300, jurisdiction="IE")


class Books:
    """An issued invoice and all its credit notes, kept as plain sums beside the code under test."""

    def __init__(self, lines: dict[str, int], treatment: tax.Treatment = DE) -> None:
        self.lines, self.treatment = lines, treatment
        self.tax_minor = tax.tax_of(sum(lines.values()), treatment.rate_bp)
        self.notes: list[credits.Credit] = []

    def invoice(self) -> credits.Creditable:
        return credits.Creditable(
            currency="EUR",
            lines=[
                credits.CreditableLine(
                    line_id=line_id,
                    treatment=self.treatment,
                    amount_minor=amount,
                    credited_minor=sum(note.lines.get(line_id, 0) for note in self.notes),
                )
                for line_id, amount in self.lines.items()
            ],
            tax_minor={self.treatment: self.tax_minor},
            credited_tax_minor={self.treatment: sum(note.tax_minor for note in self.notes)},
            rounding_before_minor=sum(note.rounding_minor for note in self.notes),
        )

    def add(self, note: credits.Credit) -> credits.Credit:
        self.notes.append(note)
        return note


def test_three_lines_of_33_cents_credited_one_by_one_give_back_6_7_6_cents_of_vat() -> None:
    books = Books({"a": 33, "b": 33, "c": 33})
    notes = [books.add(credits.of_lines(books.invoice(), {name: None})) for name in "abc"]
    assert [note.tax_minor for note in notes] == [6, 7, 6]
    assert sum(note.payable_minor for note in notes) == 118


def test_an_invoice_of_119_credited_whole_gives_100_and_19() -> None:
    books = Books({"a": 10_000})
    note = credits.of_rest(books.invoice())
    assert (note.net_minor, note.tax_minor, note.rounding_minor, note.payable_minor) == (10_000, 1_900, 0, 11_900)


def test_fifty_of_119_gross_is_4202_net_and_798_vat() -> None:
    note = credits.of_amount(Books({"a": 10_000}).invoice(), 5_000)
    assert (note.net_minor, note.tax_minor, note.rounding_minor) == (4_202, 798, 0)


def test_a_gross_that_is_no_net_plus_vat_states_the_cent_left_over_and_the_rest_takes_it_back() -> None:
    # At 23 % net 2 has 0 VAT (0.46) and net 3 has 1 (0.69): no net gives 3.
    books = Books({"a": 10_000}, IE)
    first = books.add(credits.of_amount(books.invoice(), 3))
    assert (first.net_minor, first.tax_minor, first.rounding_minor, first.payable_minor) == (2, 0, 1, 3)
    rest = books.add(credits.of_rest(books.invoice()))
    assert (rest.net_minor, rest.tax_minor, rest.rounding_minor, rest.payable_minor) == (9_998, 2_300, -1, 12_297)


def test_an_amount_is_spread_over_lines_in_proportion() -> None:
    note = credits.of_amount(Books({"a": 7_500, "b": 2_500}).invoice(), 5_950)
    assert note.lines == {"a": 3_750, "b": 1_250}


def test_more_than_is_left_cannot_be_credited() -> None:
    books = Books({"a": 10_000})
    books.add(credits.of_amount(books.invoice(), 11_000))
    with pytest.raises(CreditTooHigh) as refused:
        credits.of_amount(books.invoice(), 901)
    assert refused.value.fields["creditable_minor"] == 900
    books.add(credits.of_rest(books.invoice()))
    with pytest.raises(CreditTooHigh):
        credits.of_rest(books.invoice())


def test_a_line_cannot_be_credited_above_its_rest_nor_twice_nor_by_nothing() -> None:
    books = Books({"a": 33, "b": 33})
    books.add(credits.of_lines(books.invoice(), {"a": 20}))
    for wanted in ({"a": 14}, {"a": 0}, {"a": -1}, {"unknown": 1}, {}):
        with pytest.raises(CreditTooHigh):
            credits.of_lines(books.invoice(), wanted)
    assert credits.of_lines(books.invoice(), {"a": None}).net_minor == 13


@given(
    lines=st.lists(st.integers(min_value=1, max_value=10_000), min_size=1, max_size=5),
    treatment=st.sampled_from([DE, IE, tax.Treatment(category="S", rate_bp=550, jurisdiction="FR")]),
    steps=st.lists(st.tuples(st.booleans(), st.integers(min_value=1, max_value=3_000)), max_size=12),
)
def test_any_sequence_of_credits_ends_exactly_at_the_invoice(
    lines: list[int], treatment: tax.Treatment, steps: list[tuple[bool, int]]
) -> None:
    books = Books({str(i): amount for i, amount in enumerate(lines)}, treatment)
    total = sum(lines) + books.tax_minor
    for by_amount, size in steps:
        invoice = books.invoice()
        try:
            if by_amount:
                note = credits.of_amount(invoice, size)
                assert note.payable_minor == size
            else:
                line = invoice.lines[size % len(invoice.lines)]
                note = credits.of_lines(invoice, {line.line_id: min(size, line.rest_minor)})
        except CreditTooHigh:
            continue
        books.add(note)
        assert note.lines
        assert abs(note.rounding_minor) <= 2
        assert all(line.rest_minor >= 0 for line in books.invoice().lines)
        assert 0 <= books.invoice().rest_minor == total - sum(note.payable_minor for note in books.notes)
    if any(line.rest_minor for line in books.invoice().lines):
        books.add(credits.of_rest(books.invoice()))
        assert sum(note.payable_minor for note in books.notes) == total
        assert sum(note.tax_minor for note in books.notes) == books.tax_minor


def test_lines_are_not_credited_beyond_the_invoice_while_a_line_below_zero_stands() -> None:
    """Billed 1,300 - 100 = 1,200 and 228 of VAT: 1,300 alone would give back 1,547 of 1,428."""
    books = Books({"a": 1_300, "b": -100})
    with pytest.raises(CreditTooHigh) as refused:
        credits.of_lines(books.invoice(), {"a": None})
    assert refused.value.fields == {"requested_minor": 1_547, "creditable_minor": 1_428, "currency": "EUR"}
    both = credits.of_lines(books.invoice(), {"a": None, "b": None})
    assert (both.net_minor, both.tax_minor, both.payable_minor) == (1_200, 228, 1_428)
