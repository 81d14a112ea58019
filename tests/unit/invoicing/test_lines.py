"""What a line says about its charge."""

from typing import Any

from billing.invoicing import lines, tax
from billing.invoicing.documents.model import Line
from billing.rating.periods import ChargeToInvoice

DE = tax.Treatment(category="S", rate_bp=1900, jurisdiction="DE")


def _line(**changes: Any) -> Line:
    values: dict[str, Any] = {
        "charge_id": "chg_1",
        "billing_period_id": "bpd_1",
        "period_label": "2026-10",
        "is_late": False,
        "generation": 1,
        "sku_code": "analytics/report",
        "sku_name": "Analytics report",
        "family": "analytics",
        "meter_code": "report",
        "unit": "report",
        "base_per_unit": 1,
        "project_id": None,
        "price_version_id": "prc_1",
        "model": "per_unit",
        "parameters": {"unit_price": "0.25"},
        "currency": "USD",
        "before_base": 0,
        "quantity_base": 12,
        "amount_minor": 300,
    }
    made = lines.of_charges(
        [ChargeToInvoice(**(values | changes))], treatments={"2026-10": DE}, project_codes={"prj_1": "lab"}
    )
    return made[0]


def test_a_plain_price_states_quantity_and_price_as_they_are_multiplied() -> None:
    line = _line(project_id="prj_1", is_late=True)
    assert (line.quantity_text, line.unit, line.unit_price_text, line.price_base_text) == ("12", "report", "0.25", "1")
    assert line.detail == "Project lab · Late usage for 2026-10"
    assert (line.tax_category, line.tax_rate_bp, line.amount_minor) == ("S", 1900, 300)


def test_tiers_print_one_item_at_its_amount_with_the_tiers_in_words() -> None:
    line = _line(
        model="graduated",
        parameters={"tiers": [{"up_to": "1000", "unit_price": "1.00"}, {"unit_price": "0.50"}]},
        quantity_base=1_500,
        amount_minor=125_000,
    )
    assert (line.quantity_text, line.unit, line.unit_price_text) == ("1", "item", "1250.00")
    assert line.detail == "1,500 reports: up to 1,000 at 1.00, then 0.50"


def test_a_correction_is_minus_one_item_never_a_negative_price() -> None:
    line = _line(quantity_base=-12, amount_minor=-300)
    assert (line.quantity_text, line.unit_price_text, line.amount_minor) == ("-1", "3.00", -300)


def test_a_currency_without_minor_units_is_printed_without_a_point() -> None:
    line = _line(quantity_base=-12, amount_minor=-300, currency="JPY")
    assert line.unit_price_text == "300"


def test_the_breakdown_is_one_group_per_rate_over_all_lines() -> None:
    groups = lines.breakdown([_line(amount_minor=33), _line(amount_minor=33), _line(amount_minor=33)], [DE])
    assert [(group.taxable_minor, group.tax_minor, group.jurisdiction) for group in groups] == [(99, 19, "DE")]
