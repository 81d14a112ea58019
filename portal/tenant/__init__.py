"""A tenant's pages: what was used, what it cost and why, what is owed and paid. One module per page, with its forms."""

from importlib import import_module

from flask import Blueprint

blueprint = Blueprint("tenant", __name__)
_PAGES = (
    "overview",
    "usage",
    "usage_trends",
    "usage_records",
    "rated_lines",
    "balance",
    "verify",
    "invoices",
    "invoice_files",
    "invoice_evidence",
    "invoice_preview",
    "receipts",
    "add_funds",
    "payments",
    "payment_methods",
    "automatic_payments",
    "refunds",
    "disputes",
    "budgets",
    "plan",
    "reservations",
    "billing_details",
    "tax_profile",
    "team",
    "api_keys",
)

for _page in _PAGES:  # each registers its views on the blueprint
    import_module(f"{__name__}.{_page}")
