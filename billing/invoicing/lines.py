"""Charges as lines of a document. Pure: what is said about each, never what it costs, which the ledger already holds."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from billing.catalog.meters import USAGE, kind_of
from billing.invoicing import quantities, tax
from billing.invoicing.documents.model import Allowance, Conversion, Line, Tax
from billing.kernel.ids import new_ids
from billing.kernel.money import Money
from billing.rating.periods import ChargeToInvoice


def of_charges(
    charges: Sequence[ChargeToInvoice],
    *,
    treatments: Mapping[str, tax.Treatment],
    project_codes: Mapping[str, str],
    notes: Mapping[str, str] | None = None,
    converted: Mapping[str, Conversion] | None = None,
) -> tuple[Line, ...]:
    """One line per charge, in their order; `treatments` by period label, `project_codes` by project id.

    `notes` say of a closing charge, by its id, what led to it; `converted` of a charge in another currency where its amount comes from.
    """
    line_ids = new_ids("inl", len(charges))
    return tuple(
        _of_charge(
            charge,
            line_id,
            seq,
            treatments[charge.period_label],
            project_codes,
            (notes or {}).get(charge.charge_id),
            (converted or {}).get(charge.charge_id),
        )
        for seq, (line_id, charge) in enumerate(zip(line_ids, charges, strict=True), start=1)
    )


def breakdown(
    lines: Sequence[Line], treatments: Sequence[tax.Treatment], allowances: Sequence[Allowance] = ()
) -> tuple[Tax, ...]:
    """The VAT groups of lines less allowances (BR-CO-17)."""
    by_key = {(treatment.category, treatment.rate_bp): treatment for treatment in treatments}
    parts = [
        tax.Taxable(treatment=by_key[line.tax_category, line.tax_rate_bp], net_minor=line.amount_minor)
        for line in lines
    ]
    parts += [
        tax.Taxable(treatment=by_key[one.tax_category, one.tax_rate_bp], net_minor=-one.amount_minor)
        for one in allowances
    ]
    return tuple(of_group(group) for group in tax.groups(parts))


def of_group(group: tax.Group) -> Tax:
    """A VAT group as the document prints it."""
    return Tax(
        category=group.treatment.category,
        rate_bp=group.treatment.rate_bp,
        jurisdiction=group.treatment.jurisdiction,
        taxable_minor=group.taxable_minor,
        tax_minor=group.tax_minor,
        reason=group.treatment.reason,
        vatex=group.treatment.vatex,
        scheme=group.treatment.scheme,
        registration=group.treatment.registration,
    )


def treatment_of(group: Tax) -> tax.Treatment:
    """The treatment that a printed VAT group stands for."""
    return tax.Treatment(
        category=group.category,
        rate_bp=group.rate_bp,
        jurisdiction=group.jurisdiction,
        reason=group.reason,
        vatex=group.vatex,
        scheme=group.scheme,
        registration=group.registration,
    )


def _of_charge(
    charge: ChargeToInvoice,
    line_id: str,
    seq: int,
    treatment: tax.Treatment,
    project_codes: Mapping[str, str],
    note: str | None,
    converted: Conversion | None,
) -> Line:
    # A fee or a closing charge is one item at its amount: what the system counts for it is no unit that anybody bought.
    is_usage = kind_of(charge.meter_code) == USAGE
    priced = charge.parameters.get("unit_price") if charge.model == "per_unit" and is_usage else None
    if priced is not None and charge.quantity_base >= 0 and converted is None:
        unit_price = str(priced)
        stated = quantities.state(
            meter_code=charge.meter_code,
            unit=charge.unit,
            base_per_unit=charge.base_per_unit,
            quantity_base=charge.quantity_base,
        )
        words = ""
    else:
        # Other models print one item at its amount, a correction minus one: a price is never negative (BR-27).
        sign = "-1" if charge.amount_minor < 0 else "1"
        unit_price = plain_money(abs(charge.amount_minor), charge.currency)
        stated = quantities.Stated(
            quantity_text=sign, unit="item", price_base_text="1", beside_text="", priced_unit="item"
        )
        words = _tiers(charge) if is_usage else note or ""
        if priced is not None and converted is not None:
            words = f"{words} at {priced} {converted.currency}"
    project = f"Project {project_codes[charge.project_id]}" if charge.project_id else ""
    late = (
        (f"Late usage for {charge.period_label}" if is_usage else f"For {charge.period_label}")
        if charge.is_late
        else ""
    )
    return Line(
        id=line_id,
        seq=seq,
        description=charge.sku_name,
        detail=" · ".join(part for part in (project, late, words) if part),
        quantity_text=stated.quantity_text,
        unit=stated.unit,
        unit_price_text=unit_price,
        price_base_text=stated.price_base_text,
        beside_text=stated.beside_text,
        priced_unit=stated.priced_unit,
        amount_minor=charge.amount_minor,
        tax_category=treatment.category,
        tax_rate_bp=treatment.rate_bp,
        charge_id=charge.charge_id,
        project_code=project_codes[charge.project_id] if charge.project_id else None,
        family=charge.family,
        period_label=charge.period_label,
        converted=converted,
    )


def plain_money(minor: int, currency: str) -> str:
    """An amount as a plain decimal of major units: 1234 USD is "12.34"."""
    return f"{Money(minor=minor, currency=currency).to_decimal():f}"


def _tiers(charge: ChargeToInvoice) -> str:
    """The price in words: "1,500 reports: up to 1,000 at 1.00, then 0.50"."""
    priced = Fraction(charge.quantity_base, charge.base_per_unit)
    counted = f"{quantities.grouped(quantities.rounded(priced))} {charge.unit}s"
    tiers = charge.parameters.get("tiers")
    if isinstance(tiers, list):
        steps = [
            f"up to {quantities.grouped(tier['up_to'])} at {tier['unit_price']}"
            if "up_to" in tier
            else f"then {tier['unit_price']}"
            for tier in tiers
        ]
        whole = " for all" if charge.model == "volume" else ""
        return f"{counted}: {', '.join(steps)}{whole}"
    if "free" in charge.parameters:
        return f"{counted}: {quantities.grouped(charge.parameters['free'])} free, then {charge.parameters.get('unit_price', '')}"
    if "package_size" in charge.parameters:
        return f"{counted}: {charge.parameters.get('package_price', '')} per {quantities.grouped(charge.parameters['package_size'])}"
    return counted
