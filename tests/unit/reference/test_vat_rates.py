"""Our dated VAT rates against two public collections in the shared data."""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from billing.kernel.errors import Invalid
from billing.reference import vat_rates


def test_every_member_state_has_the_rate_of_the_public_collection_today(data_dir: Path) -> None:
    with (data_dir / "tax" / "eu_standard_vat_rates.csv").open() as file:
        current = {row["country"]: row["rate"] for row in csv.DictReader(file) if not row["valid_until_utc_exclusive"]}
    members = vat_rates.member_states()
    assert len(members) == 27
    assert {c: vat_rates.standard_rate_bp(c, date(2026, 11, 21)) for c in members} == {
        c: int(Decimal(current[c]) * 10_000) for c in members
    }


def test_every_dated_rate_since_2016_agrees_with_the_second_collection(data_dir: Path) -> None:
    compared = 0
    with (data_dir / "tax" / "ibericode_standard_rates.csv").open() as file:
        for row in csv.DictReader(file):
            if row["effective_from"] >= "2016" and row["country"] in vat_rates.member_states():
                on = date.fromisoformat(row["effective_from"])
                assert vat_rates.standard_rate_bp(row["country"], on) == int(Decimal(row["standard_percent"]) * 100), (
                    row
                )
                compared += 1
    assert compared == 19


def test_germany_lowered_its_rate_for_the_second_half_of_2020() -> None:
    days = [date(2020, 6, 30), date(2020, 7, 1), date(2020, 12, 31), date(2021, 1, 1)]
    assert [vat_rates.standard_rate_bp("DE", day) for day in days] == [1900, 1600, 1600, 1900]


def test_a_country_outside_the_table_or_a_day_before_it_is_refused() -> None:
    for country, on in (("US", date(2026, 1, 1)), ("DE", date(2005, 1, 1))):
        with pytest.raises(Invalid) as refused:
            vat_rates.standard_rate_bp(country, on)
        assert refused.value.fields["reason"] == "no_vat_rate"
