"""Money, its exponents and its parser."""

import csv
import json
from pathlib import Path

import pytest

from billing.kernel import money
from billing.kernel.errors import Invalid
from billing.kernel.money import Money


def test_exponents_are_those_of_iso_4217_list_one(data_dir: Path) -> None:
    with (data_dir / "currency" / "iso4217_minor_units.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    listed = {row["code"]: int(row["minor_units"]) for row in rows if row["minor_units"].isdigit()}
    assert len(listed) > 150
    ours = {code: money.exponent(code) for code in money.currencies()}
    assert {code: digits for code, digits in ours.items() if listed.get(code) != digits} == {}


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.34", "USD", 1234),
        ("12", "USD", 1200),
        ("0.1", "USD", 10),
        ("-3.00", "EUR", -300),
        ("500", "JPY", 500),
        ("5.124", "KWD", 5124),
    ],
)
def test_plain_decimals_are_read_exactly(text: str, currency: str, minor: int) -> None:
    assert money.parse(text, currency) == Money(minor=minor, currency=currency)


@pytest.mark.parametrize(
    "text",
    [
        "1_000",
        "1e3",
        "٣",
        "",
        " ",
        "1,5",
        "0x10",
        "--1",
        "1.",
        ".5",
        "NaN",
        "Infinity",
        "1.234",
        "9" * 17,
        "12 34",
        "12\x00",
    ],
)
def test_anything_but_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        money.parse(text, "USD")


def test_no_hostile_string_is_read_as_money_unless_it_is_a_plain_number(data_dir: Path) -> None:
    strings = json.loads((data_dir / "bad-input" / "blns.json").read_text(encoding="utf-8"))
    read = []
    for text in strings:
        try:
            read.append((text, money.parse(text, "USD").minor))
        except Invalid:
            continue
    # Exactly those that a person would read as a number of dollars too.
    assert all(
        text.strip().lstrip("-").replace(".", "").isascii() and text.strip().lstrip("-").replace(".", "").isdigit()
        for text, _ in read
    )
    assert ("1.00", 100) in read


def test_currencies_are_never_summed() -> None:
    with pytest.raises(Invalid):
        Money(minor=1, currency="USD") + Money(minor=1, currency="EUR")


def test_a_float_is_no_money() -> None:
    with pytest.raises(TypeError):
        Money(minor=1.0, currency="USD")  # type: ignore[arg-type]


def test_unknown_currency_is_refused() -> None:
    with pytest.raises(Invalid):
        Money(minor=1, currency="XYZ")
