"""What stored codes are called on a tenant's pages. A code without words is shown as its own words."""

from datetime import date
from typing import Any

from flask import url_for

from billing.catalog.items import Item
from billing.catalog.skus import SKUS
from billing.ledger.statement import MovementRow
from portal import filters, unit_words
from portal.tenant import blueprint

_MOVEMENTS = {
    "posting": "Usage",
    "issue": "Invoice issued",
    "credit_note": "Credit note",
    "payment": "Payment received",
    "refund_hold": "Refund approved",
    "provider_refund": "Refund sent",
    "refund_release": "Refund released to the wallet",
    "refund_return": "Refund returned to the wallet",
    "admin_credit": "Gift",
    "write_off": "Written off",
    "write_off_reversal": "Write-off undone",
    "fx_result": "Exchange result",
    "wallet_payment": "Paid from the wallet",
    "reversal": "Correction",
    "adjustment": "Correction",
    "promo_grant": "Gift of the plan",
    "promo_expiry": "Gift expired",
    "commit_lapse": "Commitment lapsed",
}
_KINDS = {
    "usage_debit": "Usage",
    "opening_charge": "Recurring fee",
    "closing_charge": "Minimum or percentage",
    "promo_apply": "Gift used",
    "promo_return": "Gift given back",
    "discount": "Discount",
    "discount_return": "Discount taken back",
    "commit_sale": "Commitment sold",
    "commit_drawdown": "Commitment drawn down",
    "commit_return": "Given back to the commitment",
    "commit_lapse": "Commitment lapsed",
    "invoice_issue": "Moved from unbilled usage to the invoice",
    "tax": "VAT on the invoice",
    "wallet_apply": "Wallet used for the invoice",
    "credit_note": "Credit note",
    "refund_credit": "Credit to the wallet",
    "stripe_credit": "Payment",
    "bank_credit": "Bank transfer",
    "admin_credit": "Gift",
    "promo_grant": "Gift",
    "promo_expiry": "Gift expired",
    "refund_hold": "Held for a refund",
    "provider_refund": "Refund sent to the card",
    "bank_refund": "Refund sent to the bank account",
    "refund_release": "Refund released to the wallet",
    "refund_return": "Refund came back to the wallet",
    "chargeback_debit": "Disputed by the bank",
    "chargeback_reversal": "Dispute decided for us",
    "chargeback_final": "Dispute lost",
    "write_off": "Written off",
    "write_off_reversal": "Write-off undone by a payment",
    "tax_inclusive": "VAT in the price",
    "payout": "Payout to the bank",
    "processor_fee": "Fee of the payment provider",
    "fx_result": "Exchange result",
    "dispute_fee": "Fee of a dispute",
    "adjustment": "Correction",
    "rounding": "Rounding",
}
_BOOK_ACCOUNTS = {
    "wallet": "Wallet",
    "promo": "Gifts",
    "unbilled": "Usage not invoiced yet",
    "receivable": "Open invoices",
    "disputed": "In dispute",
    "refund_pending": "Refunds on their way",
    "deferred": "Commitments",
    "reseller_payable": "Owed to the reseller",
    "cash": "Cash",
    "revenue": "Revenue",
    "tax": "VAT",
    "discount": "Discounts",
    "breakage": "Lapsed commitments",
    "rounding": "Rounding",
    "processor_fees": "Payment fees",
    "promo_expense": "Gifts given",
    "bad_debt": "Written off",
}
_ACTORS = {
    "system": "Plumbline",
    "job": "Plumbline, by its timetable",
    "provider": "Payment provider",
    "cli": "An operator",
}
# A meter is called what it is sold as where nothing tells its items apart.
_METERS = {sku.meter_code: sku.name for sku in SKUS.values() if sku.item == Item(sku.meter_code)}
# What a ledger entry names -> its page, and the page's argument.
_PAGES: dict[str, tuple[str, str]] = {
    "charge_id": ("tenant.rated_lines", "charge"),
    "credit_note": ("tenant.invoices_detail", "key"),
    "dispute_id": ("tenant.disputes_detail", "key"),
    "invoice": ("tenant.invoices_detail", "key"),
    "invoice_id": ("tenant.invoices_detail", "key"),
    "payment_id": ("tenant.payments_detail", "payment_id"),
    "refund_id": ("tenant.refunds_detail", "key"),
}


def meter(code: str, variant: str = "") -> str:
    """What a meter is called, with the model where it has one: "GPU time, H100"."""
    name = _METERS.get(code, plain(code))
    variant = variant.upper() if code == "gpu_hour" else variant
    return f"{name}, {variant}" if variant else name


def movement(row_type: str) -> str:
    """What a ledger transaction is called."""
    return _MOVEMENTS.get(row_type, plain(row_type))


def kind(code: str) -> str:
    """What an entry's kind is called."""
    return _KINDS.get(code, plain(code))


def book_account(name: str) -> str:
    """What a book account is called: "revenue:compute" is "Revenue, compute"."""
    base, _, part = name.partition(":")
    return _BOOK_ACCOUNTS.get(base, plain(base)) + (f", {part}" if part else "")


def actor(code: str) -> str:
    """Who did it, without naming staff to a tenant."""
    base, _, rest = code.partition(":")
    if base == "provider" and rest:
        return f"Payment provider ({rest})"
    return _ACTORS.get(base, "A person")


def plain(code: str) -> str:
    """A code as words: "part_paid" is "Part paid"."""
    words = code.replace("_", " ")
    return words[:1].upper() + words[1:]


def cause_url(row: MovementRow) -> str | None:
    """Where the page of what caused a movement is, where there is one."""
    for name in ("invoice", "credit_note", "refund_id", "dispute_id", "invoice_id", "payment_id"):
        found = row.references.get(name)
        if found and found[0]:
            return reference_url(name, found[0])
    return None


def reference_url(name: str, value: str) -> str | None:
    """The page of what a ledger entry names, such as "payment_id"; None where no page shows it."""
    endpoint, argument = _PAGES.get(name, (None, ""))
    values: dict[str, Any] = {argument: value}
    return url_for(endpoint, **values) if endpoint else None


def month_name(label: str | None) -> str:
    """A billing period's label in words: "2016-12" is "December 2016"."""
    return filters.month_name(date.fromisoformat(f"{label}-01")) if label else "–"


blueprint.add_app_template_filter(unit_words.units, "units")
blueprint.add_app_template_filter(month_name, "label_month")
blueprint.add_app_template_filter(meter, "meter_name")
blueprint.add_app_template_filter(plain, "plain_words")
