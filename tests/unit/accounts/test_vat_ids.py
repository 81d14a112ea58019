"""VAT numbers: one spelling, right country, right digits."""

import csv
from pathlib import Path

import pytest

from billing.accounts import vat_ids
from billing.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("text", "country", "kept"),
    [
        ("DE 129 390 950", "DE", "DE129390950"),
        ("de129390950", "DE", "DE129390950"),
        ("IE1234567T", "IE", "IE1234567T"),
        ("BE 413.562.567", "BE", "BE0413562567"),
        ("EL 094259216", "GR", "EL094259216"),
        ("CHE-107.787.577 IVA", "CH", "CHE107787577IVA"),
        ("", "DE", None),
        ("  ", "DE", None),
        (None, "DE", None),
    ],
)
def test_a_number_is_kept_in_one_spelling(text: str | None, country: str, kept: str | None) -> None:
    assert vat_ids.find_vat_id(text, country) == kept


@pytest.mark.parametrize(
    ("text", "country", "reason"),
    [
        ("DE129390951", "DE", "vat_id_wrong"),
        ("129390950", "DE", "vat_id_of_other_country"),
        ("DE129390950", "AT", "vat_id_of_other_country"),
        ("DE129390950", "US", "vat_id_of_other_country"),
        ("GR094259216", "GR", "vat_id_of_other_country"),
        ("DE12939<b>", "DE", "vat_id_wrong"),
        ("DE１２９３９０９５０", "DE", "vat_id_wrong"),
        ("DE\x00129390950", "DE", "control_character"),
    ],
)
def test_a_wrong_number_is_refused(text: str, country: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        vat_ids.find_vat_id(text, country)
    assert refusal.value.fields["reason"] == reason


def test_every_collected_number_is_judged_as_it_should_be(data_dir: Path) -> None:
    with (data_dir / "tax" / "eu_vat_number_cases.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 379
    judged = {"valid": 0, "invalid": 0}
    for row in rows:
        prefix = row["input"].strip()[:2].upper()
        country = {"EL": "GR", "XI": "GB"}.get(prefix, prefix)
        try:
            found = vat_ids.find_vat_id(row["input"], country)
        except Invalid:
            found = None
        expected = "valid" if row["expected"] == "valid" else "invalid"
        assert (found is not None) == (expected == "valid"), row
        judged[expected] += 1
    assert judged["valid"] > 0
