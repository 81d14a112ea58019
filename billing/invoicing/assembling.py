"""A draft's document from its parts: parties, lines, VAT. Pure but for the master data it is given."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from billing.accounts.tables import BillingAccount, BillingProfile, Seller
from billing.invoicing import lines, parties
from billing.invoicing.documents.model import Allowance, InvoiceDocument, Line, TaxCurrency
from billing.invoicing.tax import Treatment
from billing.invoicing.taxes import inclusive
from billing.reference import exchange


def draft(
    document_id: str,
    account: BillingAccount,
    seller: Seller,
    profile: BillingProfile,
    *,
    period: tuple[str, datetime, datetime] | None,
    currency: str,
    made: Sequence[Line],
    treatments: Sequence[Treatment],
) -> InvoiceDocument:
    """An invoice without a number, of these lines; `period` is label, start and end, None for the sale of a commitment."""
    label, start_at, end_at = period if period is not None else (None, None, None)
    sums = _sums(made, (), treatments, prices_include_tax=account.prices_include_tax)
    return InvoiceDocument(
        id=document_id,
        kind="invoice",
        number=None,
        issued_on=None,
        due_on=None,
        currency=currency,
        account_code=account.code,
        zone=account.zone,
        period_label=label,
        period_start_at=start_at,
        period_end_at=end_at,
        corrects_number=None,
        corrects_on=None,
        reason=None,
        prices_include_tax=account.prices_include_tax,
        prepaid_minor=0,
        to_receivable_minor=0,
        to_wallet_minor=0,
        **parties.stated(seller, profile),
        **sums,
    )


def with_lines(
    document: InvoiceDocument, made: Sequence[Line], allowances: Sequence[Allowance], treatments: Sequence[Treatment]
) -> InvoiceDocument:
    """The draft with other lines and allowances, its VAT and sums worked out anew."""
    sums = _sums(made, allowances, treatments, prices_include_tax=document.prices_include_tax)
    return replace(document, prepaid_minor=0, tax_currency=_again(document, sums["tax_minor"]), **sums)


def _again(document: InvoiceDocument, tax_minor: int) -> TaxCurrency | None:
    """VAT in the tax office's currency (BT-111) at the rate that the document has."""
    of = document.tax_currency
    if of is None:
        return None
    rate = exchange.from_text(of.rate_text)
    return replace(of, tax_minor=exchange.convert(tax_minor, document.currency, of.currency, rate))


def _sums(
    made: Sequence[Line], allowances: Sequence[Allowance], treatments: Sequence[Treatment], *, prices_include_tax: bool
) -> dict[str, Any]:
    """Lines, allowances, VAT groups and totals; where prices include tax the amounts given are gross, and their net is worked out."""
    gross_minor = None
    if prices_include_tax:
        made, allowances = inclusive.grossed(made), inclusive.grossed_allowances(allowances)
        gross_minor = sum(line.amount_minor for line in made) - sum(one.amount_minor for one in allowances)
        made, allowances = inclusive.netted(made, allowances)
    taxes = lines.breakdown(made, treatments, allowances)
    allowance_minor = sum(one.amount_minor for one in allowances)
    net_minor = sum(line.amount_minor for line in made) - allowance_minor
    tax_minor = sum(group.tax_minor for group in taxes)
    total_minor = net_minor + tax_minor
    rounding_minor = 0 if gross_minor is None else gross_minor - total_minor
    return {
        "lines": tuple(made),
        "allowances": tuple(allowances),
        "taxes": taxes,
        "allowance_minor": allowance_minor,
        "net_minor": net_minor,
        "tax_minor": tax_minor,
        "total_minor": total_minor,
        "rounding_minor": rounding_minor,
        "due_minor": total_minor + rounding_minor,
    }
