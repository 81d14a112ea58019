"""Stripe Tax: one calculation per question, its answer in our words. The client comes from the one Stripe adapter."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from billing.invoicing.taxes.port import CalculatedItem, Calculation, CalculationRefused, CalculationRequest
from billing.kernel.money import Money
from billing.reference import provider_currencies, vat_rates

if TYPE_CHECKING:
    from stripe import StripeClient

_CLOUD_SERVICES = "txcd_10101000"  # infrastructure as a service, for business use
_FARTHEST = timedelta(days=31)  # Stripe's limit on the tax date
_EXPAND = ["line_items.data.tax_breakdown"]
_CATEGORIES = {
    "standard_rated": "S",
    "reduced_rated": "S",
    "portion_standard_rated": "S",
    "portion_reduced_rated": "S",
    "reverse_charge": "AE",
    "zero_rated": "Z",
    "customer_exempt": "E",
    "product_exempt": "E",
    "product_exempt_holiday": "E",
    "portion_product_exempt": "E",
}


def params_of(request: CalculationRequest) -> dict[str, Any]:
    """The parameters of `tax.calculations.create`."""
    address = {
        "line1": request.street,
        "city": request.city,
        "postal_code": request.postcode,
        "country": request.country,
    }
    details: dict[str, Any] = {"address": address, "address_source": "billing"}
    if request.vat_id and vat_rates.is_member_state(vat_rates.vat_country(request.country)):
        details["tax_ids"] = [{"type": "eu_vat", "value": request.vat_id}]
    params: dict[str, Any] = {
        "currency": request.currency.lower(),
        "customer_details": details,
        "line_items": [
            {
                "amount": provider_currencies.to_stripe(Money(minor=item.amount_minor, currency=request.currency)),
                "reference": item.reference or "sale",
                "tax_behavior": "inclusive" if request.includes_tax else "exclusive",
                "tax_code": _CLOUD_SERVICES,
            }
            for item in request.items
        ],
        "expand": _EXPAND,
    }
    if abs(request.today - request.on) <= _FARTHEST:
        params["tax_date"] = int(datetime.combine(request.on, time(12), UTC).timestamp())
    return params


def ask(client: "StripeClient", request: CalculationRequest) -> Mapping[str, Any]:
    """The calculation as Stripe answers it."""
    params: Any = params_of(request)
    options: Any = {"idempotency_key": request.reference}
    return client.v1.tax.calculations.create(params, options).to_dict()


def read(answer: Mapping[str, Any]) -> Calculation:
    """The answer in our words. Raises CalculationRefused where it cannot be put into them."""
    items = (answer.get("line_items") or {}).get("data") or []
    if not answer.get("id") or not items:
        raise CalculationRefused("the calculation has no id or no lines")
    return Calculation(reference=str(answer["id"]), items=[_item(item) for item in items])


def _item(item: Mapping[str, Any]) -> CalculatedItem:
    parts = item.get("tax_breakdown") or []
    charged = [part for part in parts if _percent(part)]
    of = (charged or parts or [{}])[0]
    category = _CATEGORIES.get(str(of.get("taxability_reason")), "O")
    rate = sum((_percent(part) for part in charged), Decimal(0)) * 100
    if rate != int(rate) or (category == "S") != (rate > 0):
        raise CalculationRefused(f"a rate of {rate / 100} percent as {of.get('taxability_reason')} cannot be printed")
    place = of.get("jurisdiction") or {}
    country = str(place.get("country") or "").upper()
    if len(country) != 2:
        raise CalculationRefused("a line names no country")
    reference = str(item.get("reference") or "")
    return CalculatedItem(
        reference="" if reference == "sale" else reference,
        category=category,
        rate_bp=int(rate),
        jurisdiction=country,
        tax_minor=int(item.get("amount_tax") or 0),
    )


def _percent(part: Mapping[str, Any]) -> Decimal:
    try:
        return Decimal(str((part.get("tax_rate_details") or {}).get("percentage_decimal") or "0"))
    except InvalidOperation:
        raise CalculationRefused("a rate is no number") from None
