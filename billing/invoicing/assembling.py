"""A draft's document from its parts: parties, lines, VAT. Pure but for the master data it is given."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from billing.accounts.tables import BillingAccount, BillingProfile, Seller
from billing.invoicing import lines, parties
from billing.invoicing.documents.model import Allowance, InvoiceDocument, Line
from billing.invoicing.tax import Treatment


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
    taxes = lines.breakdown(made, treatments)
    net_minor, tax_minor = sum(line.amount_minor for line in made), sum(group.tax_minor for group in taxes)
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
        seller=parties.of_seller(seller),
        buyer=parties.of_buyer(profile),
        purchase_order=profile.purchase_order,
        bank_account=seller.bank_account,
        corrects_number=None,
        corrects_on=None,
        reason=None,
        lines=tuple(made),
        taxes=taxes,
        net_minor=net_minor,
        tax_minor=tax_minor,
        total_minor=net_minor + tax_minor,
        rounding_minor=0,
        prepaid_minor=0,
        due_minor=net_minor + tax_minor,
        to_receivable_minor=0,
        to_wallet_minor=0,
    )


def with_lines(
    document: InvoiceDocument, made: Sequence[Line], allowances: Sequence[Allowance], treatments: Sequence[Treatment]
) -> InvoiceDocument:
    """The draft with other lines and allowances, its VAT and sums worked out anew."""
    taxes = lines.breakdown(made, treatments, allowances)
    allowance_minor = sum(one.amount_minor for one in allowances)
    net_minor = sum(line.amount_minor for line in made) - allowance_minor
    tax_minor = sum(group.tax_minor for group in taxes)
    return replace(
        document,
        lines=tuple(made),
        allowances=tuple(allowances),
        taxes=taxes,
        allowance_minor=allowance_minor,
        net_minor=net_minor,
        tax_minor=tax_minor,
        total_minor=net_minor + tax_minor,
        prepaid_minor=0,
        due_minor=net_minor + tax_minor,
    )
