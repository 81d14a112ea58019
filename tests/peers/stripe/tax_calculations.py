"""Tax calculations of a seller in Ireland: rates of a few countries. https://docs.stripe.com/api/tax/calculations"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.peers.stripe import answers
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.errors import InvalidParameter
from tests.peers.stripe.params import Params, choice, group, integer, listed, needed, text
from tests.peers.stripe.route import Route

RATES = {"IE": "23.0", "DE": "19.0", "FR": "20.0", "CH": "8.1"}
_EU = ("DE", "FR")
_LIFE_S = 90 * 86_400


def create(account: Account, params: Params) -> Item:
    """POST /v1/tax/calculations."""
    currency, details = needed(params, "currency"), group(params, "customer_details")
    address = group(details, "address")
    country = needed(address, "country")
    tax_ids = listed(details, "tax_ids")
    date = integer(params, "tax_date", account.clock.now()) or 0
    if abs(date - account.clock.now()) > 32 * 86_400:
        raise InvalidParameter("The tax date must be within 31 days of now.", param="tax_date")
    lines = [_line(account, line, country, bool(tax_ids)) for line in listed(params, "line_items")]
    if not lines:
        raise InvalidParameter("Missing required param: line_items.", param="line_items", code="parameter_missing")
    exclusive = sum(line["amount_tax"] for line in lines if line["tax_behavior"] == "exclusive")
    inclusive = sum(line["amount_tax"] for line in lines if line["tax_behavior"] == "inclusive")
    return account.add(
        "taxcalc",
        "tax.calculation",
        {
            "amount_total": sum(line["amount"] for line in lines) + exclusive,
            "currency": currency,
            "customer": None,
            "customer_details": {
                "address": address | {"line2": None, "state": None},
                "address_source": text(details, "address_source"),
                "ip_address": None,
                "tax_ids": tax_ids,
                "taxability_override": "none",
            },
            "expires_at": account.clock.now() + _LIFE_S,
            "ship_from_details": None,
            "shipping_cost": None,
            "tax_amount_exclusive": exclusive,
            "tax_amount_inclusive": inclusive,
            "tax_breakdown": [],
            "tax_date": date,
            "_lines": lines,
        },
    )


def _line(account: Account, asked: Params, country: str, has_tax_id: bool) -> Item:
    amount = integer(asked, "amount")
    if amount is None or amount < 0:
        raise InvalidParameter("Invalid non-negative integer", param="line_items[0][amount]")
    behavior = choice(asked, "tax_behavior", ("exclusive", "inclusive"), "exclusive")
    reason = "standard_rated" if country in RATES else "not_subject_to_tax"
    if country in _EU and has_tax_id:
        reason = "reverse_charge"
    rate = Decimal(RATES[country]) if reason == "standard_rated" else Decimal(0)
    base = Decimal(amount) if behavior == "exclusive" else Decimal(amount) / (1 + rate / 100)
    tax = int((base * rate / 100).quantize(Decimal(1), ROUND_HALF_UP))
    breakdown: Item = {
        "amount": tax,
        "jurisdiction": {"country": country, "display_name": country, "level": "country", "state": None},
        "sourcing": "destination",
        "tax_rate_details": {"display_name": "VAT", "percentage_decimal": str(rate), "tax_type": "vat"}
        if rate
        else None,
        "taxability_reason": reason,
        "taxable_amount": amount if rate else 0,
    }
    return {
        "id": account.new_id("tax_li"),
        "object": "tax.calculation_line_item",
        "amount": amount,
        "amount_tax": tax,
        "livemode": account.is_live,
        "metadata": None,
        "product": None,
        "quantity": 1,
        "reference": text(asked, "reference") or "L1",
        "tax_behavior": behavior,
        "tax_breakdown": [breakdown],
        "tax_code": text(asked, "tax_code") or "txcd_10000000",
    }


def _lines(account: Account, calculation: Item) -> dict[str, Any]:
    return answers.list_of(calculation["_lines"], f"/v1/tax/calculations/{calculation['id']}/line_items")


answers.INCLUDABLE["tax.calculation", "line_items"] = _lines

ROUTES = [
    Route(
        "POST",
        "/v1/tax/calculations",
        create,
        "currency tax_date customer_details.address.line1 customer_details.address.city"
        " customer_details.address.postal_code customer_details.address.country customer_details.address_source"
        " customer_details.tax_ids.type customer_details.tax_ids.value line_items.amount line_items.reference"
        " line_items.tax_behavior line_items.tax_code",
    ),
]
