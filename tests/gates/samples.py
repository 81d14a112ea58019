"""The one table of samples: every rule of the route map, and how to make a real URL of it. See the package's docstring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.routing import Rule

from tests.web.conftest import PASSWORD

HTML = "text/html"
ROOT = frozenset({"audit_log", "root_heads", "signed_roots", "signing_keys"})
JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How one rule is walked. `h1` is the page's heading, `mimetype` what a GET answers (None: the route takes no GET).

    `values` fills the rule's arguments: names in `World.ids`, or `"=text"`. `query` is what a GET needs. `send` is what its form
    accepts, `body` the JSON that it accepts; `{name}` in either is the id of that name. `by` is who opens it where the declared permission does not say.
    `expects` is the status of a write that nothing in the seeded world allows, such as a second step that nobody has begun.
    `leaves` are the tables that reading it may add to: what is handed out as proof is signed first.
    """

    h1: str | None = None
    mimetype: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    send: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    by: str | None = None
    expects: int | None = None
    leaves: frozenset[str] = frozenset()

    def url(self, rule: Rule, ids: Mapping[str, str]) -> str:
        """The address, query included. Raises KeyError where an argument or an id is missing."""
        filled = {}
        for name in rule.arguments:
            value = self.values[name]
            filled[name] = value[1:] if value.startswith("=") else ids[value]
        made = rule.build(filled)
        assert made is not None, f"{rule.rule} cannot be built from {filled}"
        return made[1] + (f"?{self.query}" if self.query else "")

    def object_arguments(self, rule: Rule) -> set[str]:
        """The arguments that name an object of the seeded tenant."""
        return {name for name in rule.arguments if not self.values[name].startswith("=")}


def page(
    h1: str,
    *,
    query: str = "",
    send: Mapping[str, str] | None = None,
    by: str | None = None,
    expects: int | None = None,
    **values: str,
) -> Sample:
    """A page with that heading."""
    return Sample(h1=h1, mimetype=HTML, query=query, send=send or {}, by=by, expects=expects, values=values)


def answer(
    mimetype: str,
    *,
    query: str = "",
    body: Mapping[str, Any] | None = None,
    by: str | None = None,
    **values: str,
) -> Sample:
    """A file, or JSON; `body` is what the same rule accepts by POST."""
    return Sample(mimetype=mimetype, query=query, body=body, by=by, values=values)


def act(
    *,
    send: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
    by: str | None = None,
    expects: int | None = None,
    **values: str,
) -> Sample:
    """A route that only takes POST."""
    return Sample(send=send or {}, body=body, by=by, expects=expects, values=values)


_PUBLIC = {
    "/health": answer(JSON),
    "/healthz": answer(JSON),
    "/readyz": answer(JSON),
    "/metrics": answer("text/plain"),
    "/style": page("Style", send={"amount": "50.00", "email": "ann@example.com", "reason": "double", "why": "Twice"}),
}

_AUTH = {
    "/sign-in": page("Sign in", send={"login": "owner@calla.example.com", "password": PASSWORD}),
    "/sign-in/code": page("Sign in", expects=422),  # nobody has begun: the first step
    "/sign-out": act(by="owner"),
    "/verify": page("Is it still you?", send={"password": PASSWORD}),
    "/you": page("Your account", send={"name": "Ann", "locale": "browser"}),
    "/you/password": page("Password", send={"current": PASSWORD, "password": "four unrelated words"}),
    "/you/two-step": page("Two-step sign-in"),
    "/you/two-step/begin": act(),
    "/you/two-step/set-up": page("Two-step sign-in", send={"code": "000000"}),
    "/you/two-step/codes": page("Two-step sign-in", expects=409),
    "/you/two-step/codes.txt": act(send={"codes": "none"}, expects=409),
    "/you/two-step/off": page("Two-step sign-in"),
    "/you/sessions": page("Where you are signed in"),
    "/you/sessions/end": act(send={"end": "others"}),
    "/documents/verify": page(
        "Is this document genuine?",
        query="number=INV-2026-000001",
        send={"number": "INV-2026-000001", "sha256": "0" * 64},
    ),
    "/forgot": page("Forgot your password?", send={"login": "billing@calla.example.com"}),
    "/reset/<token>": page("Choose a new password", token="reset_token", send={"password": "four unrelated words"}),
    "/invitation/<token>": page(
        "Join calla", token="invitation_token", send={"name": "New", "password": "four unrelated words"}
    ),
    "/recipients/<token>": page("Do you want these documents?", token="recipient_token", send={"act": "confirm"}),
    "/account": act(send={"account_id": "{account_id}"}, by="owner"),
}

_TENANT = {
    "/": page("Overview"),
    "/usage": page("Usage", query="period=2026-10"),
    "/usage.csv": answer("text/csv", query="period=2026-10"),
    "/usage.manifest.json": answer(JSON, query="period=2026-10"),
    "/usage/cost.csv": answer("text/csv", query="period=2026-10"),
    "/usage/trends": page("Twelve months"),
    "/usage/records": page("Usage records", query="period=2026-10"),
    "/usage/records/<record_id>": page("CPU time, record 1", record_id="usage_record_id"),
    "/rated-lines": page("Rated lines"),
    "/rated-lines/<line_id>": page("CPU time, line 1", line_id="line_id"),
    "/balance": page("Balance"),
    "/balance/statement.csv": answer("text/csv"),
    "/balance/explain": page("Explain this balance"),
    "/balance/verify": page("Verify your statement"),
    "/balance/bundle.zip": Sample(mimetype="application/zip", expects=409, leaves=ROOT),
    "/balance/plumbline_verify.py": answer("text/x-python"),
    "/balance/<transaction_id>": page("Payment received, transaction 4", transaction_id="transaction_id"),
    "/invoices": page("Invoices"),
    "/invoices/preview": page("Running period"),
    "/invoices/preview.pdf": answer("application/pdf"),
    "/receipts": page("Receipts"),
    "/receipts/<key>.pdf": answer("application/pdf", key="receipt_id"),
    "/invoices/<key>": page("Invoice INV-2026-000001", key="invoice_number"),
    "/invoices/<key>/evidence.zip": Sample(
        mimetype="application/zip", values={"key": "invoice_number"}, expects=409, leaves=ROOT
    ),
    "/invoices/<key>.pdf": answer("application/pdf", key="invoice_number"),
    "/invoices/<key>.<any(xml, ubl, csv):format>": answer("application/xml", key="invoice_number", format="=xml"),
    "/add-funds": page("Add funds", send={"amount": "50.00"}),
    "/add-funds/check": page("Check before you pay", query="amount=50.00", send={"amount": "50.00"}),
    "/add-funds/<session_id>": page("Payment of USD 25.00", session_id="payment_session_id"),
    "/payments": page("Payments"),
    "/payments/<payment_id>": page("Payment of USD 100.00", payment_id="payment_id"),
    "/payment-methods": page("Payment methods"),
    "/payment-methods/refresh": act(),
    "/payment-methods/add": page("Add a payment method", send={"makes_default": "y"}),
    "/payment-methods/setups/<setup_id>": page("Saving a payment method", setup_id="setup_id"),
    "/payment-methods/<method_id>/default": act(method_id="method_id"),
    "/payment-methods/<method_id>/remove": page("Remove Visa ending 4242", method_id="method_id"),
    "/payment-methods/portal": act(),
    "/automatic-payments": page("Automatic payments"),
    "/automatic-payments/change": page(
        "Change automatic payments",
        send={"stage": "send", "version": "2", "is_paying": "y"},
    ),
    "/automatic-payments/<key>": page("Charge of USD 100.00", key="attempt_id"),
    "/disputes": page("Disputes"),
    "/disputes/<key>": page("Inquiry about USD 100.00", key="dispute_id"),
    "/refunds": page("Refunds"),
    "/refunds/new": page(
        "Ask for a refund",
        send={"stage": "send", "subject": "payment:{payment_id}", "amount": "1.00", "reason": "Paid twice"},
    ),
    "/refunds/<key>": page("Refund of USD 10.00", key="refund_id"),
    "/refunds/<key>/cancel": act(key="refund_id", expects=409),
    "/plan/reservations/<reservation_id>": page("Training", reservation_id="reservation_id"),
    "/plan": page("Plan and prices"),
    "/budgets": page("Budgets"),
    "/budgets/new": page(
        "Set a budget", send={"name": "All", "amount": "500.00", "project": "account", "thresholds": "50, 80"}
    ),
    "/budgets/<key>": page("Compute <i>all</i>", key="budget_id"),
    "/budgets/<key>/edit": page(
        "Change the budget",
        key="budget_id",
        send={"name": "All", "amount": "500.00", "project": "account", "thresholds": "50, 80"},
    ),
}

_TEAM = {
    "/settings/billing": page("Billing details"),
    "/settings/tax": page("Tax profile"),
    "/settings/tax/edit": page("Change the tax profile", send={"customer_kind": "business", "vat_id": "DE136695976"}),
    "/settings/billing/edit": page(
        "Change the billing details",
        send={
            "legal_name": "Calla GmbH",
            "street": "Hafenstrasse 2",
            "postcode": "20457",
            "city": "Hamburg",
            "country": "DE",
            "purchase_order": "PO-77",
        },
    ),
    "/settings/billing/recipients": act(send={"email": "more@calla.example.com"}),
    "/settings/billing/recipients/<recipient_id>/again": act(recipient_id="recipient_id"),
    "/settings/billing/recipients/<recipient_id>/remove": page("Remove an address", recipient_id="recipient_id"),
    "/team": page("Team"),
    "/team/invite": page("Invite somebody", send={"login": "another@calla.example.com", "role": "viewer"}),
    "/team/<user_id>/role": page("Change the role of viewer", user_id="member_id", send={"role": "billing"}),
    "/team/<user_id>/remove": page("Remove viewer", user_id="member_id"),
    "/team/leave": page("Leave this team", by="viewer"),
    "/team/invitations/<invitation_id>/again": act(invitation_id="invitation_id"),
    "/team/invitations/<invitation_id>/withdraw": act(invitation_id="invitation_id"),
    "/api-keys": page("API keys"),
    "/api-keys/new": page("Make an API key", send={"label": "Importer", "scopes": "usage.write", "expiry": "90"}),
    "/api-keys/<key_id>/revoke": page("Revoke the key usage.write", key_id="api_key_id"),
}

_SELLER = {
    "version": "{seller_version}",
    "legal_name": "Plumbline Cloud Ltd",
    "street": "2 Harbour Square",
    "postcode": "D02 XY45",
    "city": "Dublin",
    "country": "IE",
    "email": "billing@plumbline.example",
    "vat_id": "IE1234567T",
    "language": "de",
    "page_size": "A4",
    "invoice_prefix": "INV-",
    "credit_note_prefix": "CN-",
    "receipt_prefix": "REC-",
    "payment_terms_days": "30",
}

_STAFF = {
    "/operator/staff": page("Staff and access"),
    "/operator/staff/invite": page(
        "Invite somebody to the staff", send={"login": "x@ops.example.com", "role": "viewer"}
    ),
    "/operator/staff/<user_id>": page("viewer", user_id="operator_id"),
    "/operator/staff/<user_id>/role": page("Change the role of viewer", user_id="operator_id", send={"role": "maker"}),
    "/operator/staff/<user_id>/<any(disable, enable, 'sign-out'):act>": page(
        "Sign viewer out everywhere", user_id="operator_id", act="=sign-out"
    ),
    "/operator/staff/invitations/<invitation_id>/<any(again, withdraw):act>": act(
        invitation_id="staff_invitation_id", act="=again"
    ),
    "/operator/accounts/<account_id>/receipts": page("Receipts", account_id="account_id"),
    "/operator/receipts/<receipt_id>.pdf": answer("application/pdf", receipt_id="receipt_id"),
    "/operator/invoices/<invoice_id>/pro-forma.pdf": answer("application/pdf", invoice_id="draft_id"),
    "/operator/sellers": page("Sellers"),
    "/operator/sellers/<seller_id>": page("Plumbline Cloud Ltd", seller_id="seller_id"),
    "/operator/sellers/<seller_id>/edit": page("Change Plumbline Cloud Ltd", seller_id="seller_id", send=_SELLER),
    "/operator/sellers/<seller_id>/logo": page(
        "Logo of Plumbline Cloud Ltd", seller_id="seller_id", send={"version": "{seller_version}", "step": "remove"}
    ),
    "/operator/sellers/<seller_id>/logo/<sha256>": answer("image/png", seller_id="seller_id", sha256="logo_sha256"),
    "/operator/service-keys": page("Service keys"),
    "/operator/service-keys/new": page(
        "Make a service key", send={"label": "Importer", "scopes": "usage.write", "expiry": "90", "tenants": "calla"}
    ),
    "/operator/service-keys/<key_id>/revoke": page("Revoke the key importer", key_id="service_key_id"),
}

_OPERATOR = {
    "/operator": page("Workbench"),
    "/operator/queues/<name>": page("Payments nobody knows the end of", name="=intents"),
    "/operator/provider-customers": page("Provider customers"),
    "/operator/provider-customers/<account_id>": page("Customer of calla", account_id="account_id"),
    "/operator/provider-customers/<account_id>/refresh": act(account_id="account_id"),
    "/operator/provider-customers/<account_id>/relink": page(
        "Link another customer",
        account_id="account_id",
        send={"customer_id": "cus_nobody", "reason": "Merged"},
        expects=409,
    ),
    "/operator/provider-customers/<account_id>/renew": page(
        "Make the customer anew", account_id="account_id", send={"reason": "Deleted there"}, expects=409
    ),
    "/operator/disputes": page("Disputes"),
    "/operator/disputes/<dispute_id>": page("Inquiry about USD 100.00", dispute_id="dispute_id"),
    "/operator/disputes/<dispute_id>/look": act(dispute_id="dispute_id"),
    "/operator/disputes/<dispute_id>/evidence": page(
        "Evidence",
        dispute_id="dispute_id",
        send={"version": "{evidence_version}", "text-uncategorized_text": "Used daily, see the log.", "step": "save"},
    ),
    "/operator/disputes/<dispute_id>/submit": page(
        "Submit the evidence", dispute_id="dispute_id", send={"sha256": "{evidence_sha256}", "is_checked": "y"}
    ),
    "/operator/disputes/<dispute_id>/accept": page(
        "Accept the dispute", dispute_id="dispute_id", send={"is_checked": "y"}, expects=409
    ),
    "/operator/disputes/<dispute_id>/files/<file_id>": answer(
        "application/pdf", dispute_id="dispute_id", file_id="dispute_file_id"
    ),
    "/operator/payments": page("Payments"),
    "/operator/payments.csv": answer("text/csv"),
    "/operator/payments/<session_id>": page(
        "Top-up of USD 25.00", session_id="payment_session_id", query="compare=yes"
    ),
    "/operator/payments/<session_id>/recover": act(session_id="payment_session_id"),
    "/operator/provider-events": page("Provider events"),
    "/operator/provider-events/chosen/again": act(send={"event": "{event_id}"}),
    "/operator/provider-events/<event_id>": page("checkout.session.completed", event_id="event_id"),
    "/operator/provider-events/<event_id>/again": act(event_id="event_id"),
    "/operator/provider-events/<event_id>/close": page(
        "Close this event", event_id="failed_event_id", send={"reason": "A test"}
    ),
    "/operator/unmatched-payments": page("Payments to be matched"),
    "/operator/unmatched-payments/<unmatched_id>": page("Payment of USD 12.00", unmatched_id="unmatched_id"),
    "/operator/unmatched-payments/<unmatched_id>/link": page(
        "Give this payment to an account",
        unmatched_id="unmatched_id",
        send={"account": "calla", "reason": "Their mail"},
    ),
    "/operator/unmatched-payments/<unmatched_id>/close": page(
        "Close this payment", unmatched_id="unmatched_id", send={"reason": "Of the shop"}
    ),
    "/operator/accounts": page("Billing accounts"),
    "/operator/accounts/<account_id>": page("calla", account_id="account_id"),
    "/operator/accounts/<account_id>/refund": page(
        "Request a refund",
        account_id="account_id",
        send={"subject": "payment:{payment_id}", "amount": "1.00", "reason": "Paid twice", "step": "send"},
    ),
    "/operator/accounts/<account_id>/credit": page(
        "Credit or debit this account",
        account_id="account_id",
        send={"pair": "gift", "amount": "1.00", "reason": "Slow storage", "step": "send"},
    ),
    "/operator/accounts/<account_id>/transactions/<transaction_id>": page(
        "Payment received, transaction 4", account_id="account_id", transaction_id="transaction_id"
    ),
    "/operator/accounts/<account_id>/transactions/<transaction_id>/reverse": page(
        "Reverse this transaction", account_id="account_id", transaction_id="reversible_id", send={"reason": "Wrong"}
    ),
    "/operator/business": page("Business"),
    "/operator/business.csv": answer("text/csv"),
    "/operator/tax": page("Tax"),
    "/operator/tax/filing.csv": answer("text/csv"),
    "/operator/tax/filing.manifest.json": answer(JSON),
    "/operator/tax/<seller>/registrations/new": page(
        "Record a registration",
        seller="seller",
        send={"scheme": "vat", "country": "DE", "number": "DE136695976", "valid_from": "2026-01-01"},
    ),
    "/operator/tax/<seller>/registrations/<registration_id>/end": page(
        "End a registration",
        seller="seller",
        registration_id="registration_id",
        send={"valid_until": "2030-12-31"},
    ),
    "/operator/tax/<seller>/rates/new": page(
        "Ask for a rate",
        seller="seller",
        send={
            "country": "CH",
            "tax_name": "MWST",
            "rate": "8.1",
            "registration": "CHE123456788",
            "valid_from": "2026-01-01",
            "reason": "Published by the ESTV",
        },
    ),
    "/operator/tax/<seller>/policy": page(
        "Change the policy",
        seller="seller",
        send={"tax_provider": "own", "vat_check": "format", "tax_evidence_days": "60"},
    ),
    "/operator/accounts/<account_id>/tax": page("Tax of calla", account_id="account_id"),
    "/operator/accounts/<account_id>/tax/override": page(
        "Change the treatment",
        account_id="account_id",
        send={"category": "Z", "reason": "Zero-rated by law", "vatex": "", "delivery_country": ""},
    ),
    "/operator/accounts/<account_id>/tax/vat-id": page(
        "Record a look of your own", account_id="account_id", send={"is_valid": "yes", "reason": "Letter"}, expects=422
    ),
    "/operator/accounts/<account_id>/tax/ask": act(account_id="account_id"),
    "/operator/accounts/<account_id>/plan": page("Plan and prices", account_id="account_id"),
    "/operator/accounts/<account_id>/commitments": page("Commitments", account_id="account_id"),
    "/operator/accounts/<account_id>/commitments/new": page(
        "New commitment",
        account_id="account_id",
        send={"name": "2031", "amount": "1000.00", "starts_at": "2031-01-01", "ends_at": "2032-01-01"},
    ),
    "/operator/accounts/<account_id>/commitments/<contract_id>/<any(sell, withdraw):act>": act(
        account_id="account_id", contract_id="contract_id", act="=withdraw"
    ),
    "/operator/accounts/<account_id>/plan/change": page(
        "Change the plan", account_id="account_id", send={"plan": "gpu-cloud", "from_at": "2030-01-01"}
    ),
    "/operator/accounts/<account_id>/plan/<subscription_id>/withdraw": act(
        account_id="account_id", subscription_id="subscription_id"
    ),
    "/operator/accounts/<account_id>/plan/price": page(
        "Ask for an own price",
        account_id="account_id",
        send={
            "sku": "analytics/query",
            "kind": "unit",
            "unit_price": "0.005",
            "from_at": "2030-01-01",
            "reason": "Contract 7",
        },
    ),
    "/operator/catalog": page("Catalog"),
    "/operator/catalog/load": page(
        "Load a price book",
        send={
            "step": "send",
            "text": 'code = "gates"\nname = "Gates"\ncurrency = "USD"\nvalid_from = 2030-01-01T00:00:00Z\n'
            '[[prices]]\nsku = "analytics/query"\nmodel = "per_unit"\nunit_price = "0.02"\n',
        },
    ),
    "/operator/catalog/books/<book_id>": page("Default price book, version 2", book_id="book_id"),
    "/operator/catalog/books/<book_id>/compare": page("Compare version 2", book_id="book_id"),
    "/operator/catalog/books/<book_id>/activate": page(
        "Bring version 2 into force", book_id="book_id", send={"step": "ask", "reason": "Energy costs more"}
    ),
    "/operator/catalog/plans/load": page(
        "Load a plan", send={"step": "send", "text": 'code = "gates"\nname = "Gates"\nbook = "default"\n'}
    ),
    "/operator/catalog/plans/<plan_id>": page("Default plan", plan_id="plan_id"),
    "/operator/approvals": page("Approvals"),
    "/operator/approvals/<approval_id>": page("Gift of USD 5.00", approval_id="approval_id"),
    "/operator/approvals/<approval_id>/approve": page("Check before approving", approval_id="approval_id"),
    "/operator/approvals/<approval_id>/reject": page(
        "Reject the request", approval_id="approval_id", send={"note": "Not due"}
    ),
    "/operator/approvals/<approval_id>/withdraw": act(approval_id="approval_id", by="staff:maker"),
    "/operator/provider-balance": page("Balance at the provider"),
    "/operator/provider-balance.csv": answer("text/csv"),
    "/operator/provider-balance/movements/<movement_id>": page("Payment of USD 100.00", movement_id="movement_id"),
    "/operator/provider-balance/movements/<movement_id>/book": page(
        "Book the movement", movement_id="open_movement_id", send={"seller": "house", "reason": "Monthly fee"}
    ),
    "/operator/provider-balance/payouts": page("Payouts"),
    "/operator/provider-balance/payouts/<payout_id>": page("Payout of USD 95.80", payout_id="payout_id"),
    "/operator/dunning": page("Dunning"),
    "/operator/dunning/sellers/<seller_id>/change": page(
        "Change the calendar",
        seller_id="seller_id",
        send={"charges_at": "due", "retry_days": "2, 5", "reminder_days": "-3, 1", "reason": "As agreed"},
    ),
    "/operator/dunning/invoices/<invoice_id>": page("What happens to this invoice", invoice_id="invoice_id"),
    "/operator/accounts/<account_id>/dunning": page(
        "A calendar of its own",
        account_id="account_id",
        send={"charges_at": "issue", "retry_days": "2", "reminder_days": "5", "reason": "As agreed"},
    ),
    "/operator/accounts/<account_id>/dunning/end": act(account_id="account_id"),
    "/operator/refunds": page("Refunds"),
    "/operator/refunds/made-at-provider": page("Refunds made at the provider"),
    "/operator/refunds/made-at-provider/<case_id>": page("USD 1.00 refunded at the provider", case_id="case_id"),
    "/operator/refunds/made-at-provider/<case_id>/again": act(case_id="case_id"),
    "/operator/refunds/made-at-provider/<case_id>/adopt": page(
        "Adopt the refund", case_id="case_id", send={"invoice": "", "reason": "Made by phone"}
    ),
    "/operator/refunds/limits": page("Limits of refunds by role"),
    "/operator/refunds/limits/change": page(
        "Change a limit",
        send={"role": "maker", "currency": "USD", "per_refund": "50.00", "per_day": "", "reason": "New staff"},
    ),
    "/operator/refunds/<refund_id>/again": act(refund_id="refund_id", expects=409),
    "/operator/refunds/<refund_id>/cancel": act(refund_id="refund_id", expects=409),
    '/operator/refunds/<refund_id>/transfer/<any("left", "not-left", "returned"):act>': page(
        "The transfer cannot be sent",
        refund_id="transfer_refund_id",
        act="=not-left",
        send={"reason": "Account closed"},
    ),
    "/operator/refunds/<refund_id>": page("Refund of USD 10.00", refund_id="refund_id"),
    "/operator/refunds/<refund_id>/approve": page("Check before approving", refund_id="refund_id"),
    "/operator/refunds/<refund_id>/reject": page("Reject the refund", refund_id="refund_id", send={"note": "Not due"}),
    "/operator/invoice-runs": page("Invoice runs"),
    "/operator/invoice-runs/<period>": page("Invoices of October 2026", period="=2026-10"),
    "/operator/invoice-runs/<period>/<any(approve, issue):act>": page(
        "Approve the invoices of October 2026", period="=2026-10", act="=approve"
    ),
    "/operator/invoice-runs/<period>/batches/<batch_id>": page(
        "Approving 1 document", period="=2026-10", batch_id="batch_id"
    ),
    "/operator/invoice-runs/<period>/dry-runs": act(period="=2026-10", send={"form_key": "once-dry-run"}),
    "/operator/invoice-runs/<period>/dry-runs/<work_id>": page(
        "Dry run of October 2026", period="=2026-10", work_id="dry_run_id"
    ),
    "/operator/invoice-runs/<period>/dry-runs/<work_id>.csv": answer(
        "text/csv", period="=2026-10", work_id="dry_run_id"
    ),
    "/operator/invoice-runs/grace": page("Grace for late usage", send={"seller": "{seller_id}", "hours": "24"}),
    "/operator/accounts/<account_id>/payment-terms": page(
        "Payment terms", account_id="account_id", send={"days": "30"}
    ),
    "/operator/invoices/<invoice_id>/review": act(invoice_id="draft_id", send={"form_key": "once-review"}),
    "/operator/invoices/<invoice_id>/correct": page(
        "Correct parties or tax",
        invoice_id="invoice_id",
        send={"reason": "The name was wrong", "checked": "y"},
        expects=409,
    ),
    "/operator/invoices/<invoice_id>/credit": page(
        "Credit note for INV-2026-000001",
        invoice_id="invoice_id",
        send={"way": "amount", "amount": "1.00", "reason": "Outage", "step": "issue"},
    ),
    "/operator/invoices/<invoice_id>/send": act(invoice_id="invoice_id", send={"form_key": "once"}),
    "/operator/invoices/<invoice_id>": page("Draft for Calla Labs GmbH", invoice_id="draft_id"),
    "/operator/invoices/<invoice_id>/evidence.zip": Sample(
        mimetype="application/zip", values={"invoice_id": "invoice_id"}, leaves=ROOT
    ),
    "/operator/invoices/<invoice_id>.pdf": answer("application/pdf", invoice_id="invoice_id"),
    "/operator/invoices/<invoice_id>.<any(xml, ubl, csv):format>": answer(
        "application/xml", invoice_id="invoice_id", format="=ubl"
    ),
    "/operator/invoices/<invoice_id>/discount": page(
        "Discount", invoice_id="draft_id", send={"amount": "1.00", "reason": "Launch partner"}
    ),
    "/operator/invoices/<invoice_id>/<any(approve, issue, void):act>": page(
        "Check before approving", invoice_id="draft_id", act="=approve"
    ),
    "/operator/search": page("Search", query="q=calla&stay=1"),
    "/operator/accounts/<account_id>/write-off": page(
        "Write off the wallet", account_id="account_id", send={"amount": "1.00", "reason": "gone"}, expects=409
    ),
    "/operator/accounts/<account_id>/bank-transfer": page(
        "Book a bank transfer",
        account_id="account_id",
        send={
            "currency_code": "USD",
            "amount": "12.00",
            "value_on": "{value_on}",
            "bank_account": "DE89370400440532013000",
            "bank_reference": "S-77",
            "payer": "Calla Labs GmbH",
            "way": "oldest",
            "step": "book",
        },
    ),
    "/operator/bank-transfers": page("Bank transfers"),
    "/operator/bank-transfers/<transfer_id>": page("Bank transfer GATES-1", transfer_id="transfer_id"),
    "/operator/bank-transfers/<transfer_id>/reverse": page(
        "Take this bank transfer back", transfer_id="transfer_id", send={"reason": "Of another customer"}
    ),
    "/operator/invoices/<invoice_id>/write-off": page(
        "Write off invoice INV-2026-000001", invoice_id="invoice_id", send={"amount": "1.00", "reason": "gone"}
    ),
    "/operator/fx": page("Exchange rates"),
    "/operator/fx/import": page("Import rates", send={"source": "ECB", "text": "Date,USD\n2026-10-29,1.113\n"}),
    "/operator/fx/snapshots/<snapshot_id>": page("Rates of 30 Oct 2026", snapshot_id="fx_snapshot"),
    "/operator/fx/sellers/<seller>": act(send={"currency": "USD"}, seller="seller"),
    "/operator/fx/accounts": act(send={"account": "dahlia", "currency": "EUR"}),
    "/operator/ledger": page("Ledger"),
    "/operator/ledger/holders/<currency>/<name>": page("Wallet of all accounts", currency="=USD", name="=wallet"),
    "/operator/ledger/entries/<owner>/<currency>/<name>": page(
        "Wallet of calla", owner="account_id", currency="=USD", name="=wallet"
    ),
    "/operator/ledger/transactions/<transaction_id>": page(
        "Payment received, transaction 4", transaction_id="transaction_id"
    ),
    "/operator/ledger/months": page("Accounting months"),
    "/operator/ledger/months/<seller>/<month>/close": page(
        "Close October 2026", seller="seller", month="=2026-10", send={"form_key": "close"}
    ),
    "/operator/ledger/months/<seller>/<month>/reopen": page(
        "Open October 2026 again", seller="seller", month="=2026-10", send={"reason": "late"}, expects=409
    ),
    "/operator/ledger/months/<seller>/<month>/journal.csv": answer("text/csv", seller="seller", month="period"),
    "/operator/ledger/months/<seller>/<month>/journal.manifest.json": answer(JSON, seller="seller", month="period"),
    "/operator/reconciliation": page("Reconciliation"),
    "/operator/reconciliation/compare": act(send={"form_key": "compare"}),
    "/operator/reconciliation/runs": page("Runs of reconciliation"),
    "/operator/reconciliation/runs/<run_id>": page("Run of reconciliation", run_id="reconciliation_run_id"),
    "/operator/reconciliation/findings/<finding_id>": page(
        "Difference: Settlements and the receivable", finding_id="finding_id"
    ),
    "/operator/reconciliation/findings/<finding_id>/<any(assign, explain):act>": act(
        send={"explanation": "The bank was late"}, finding_id="finding_id", act="=explain"
    ),
    "/operator/accounts/<account_id>/reservations": page("Reservations", account_id="account_id"),
    "/operator/accounts/<account_id>/reservations/new": page(
        "Reserve",
        account_id="account_id",
        send={
            "step": "check",
            "name": "More",
            "meter": "gpu_hour",
            "variant": "h100",
            "capacity": "8",
            "starts_at": "2026-11-20 00:00",
        },
        expects=422,
    ),
    "/operator/accounts/<account_id>/reservations/<reservation_id>": page(
        "Training", account_id="account_id", reservation_id="reservation_id"
    ),
    "/operator/accounts/<account_id>/reservations/<reservation_id>/end": page(
        "Change its end", account_id="account_id", reservation_id="reservation_id", send={"ends_at": "2030-01-01 00:00"}
    ),
    "/operator/shadow-ratings": page("Shadow ratings"),
    "/operator/shadow-ratings/new": page(
        "Try prices",
        send={
            "text": 'code = "default"\nname = "Default"\ncurrency = "USD"\nvalid_from = 2027-01-01T00:00:00Z\n'
            '[[prices]]\nsku = "analytics/query"\nmodel = "per_unit"\nunit_price = "0.011"\n',
            "from_on": "2026-10-01",
            "to_on": "2026-10-31",
            "total_percent": "5",
            "account_percent": "20",
            "rows": "1000",
        },
    ),
    "/operator/shadow-ratings/works/<work_id>": page("Shadow rating", work_id="shadow_work_id"),
    "/operator/shadow-ratings/<trial_id>": page("Shadow rating of default", trial_id="trial_id"),
    "/operator/shadow-ratings/<trial_id>.csv": answer("text/csv", trial_id="trial_id"),
    "/operator/integrity": page("Integrity"),
    "/operator/integrity/roots": page("Signed roots"),
    "/operator/integrity/roots/sign": act(),
    "/operator/integrity/roots/<int:seq>.json": answer(JSON, seq="=1"),
    "/operator/integrity/works": act(send={"kind": "self-check", "form_key": "gate"}),
    "/operator/integrity/works/<work_id>": page("Check of the books", work_id="work_id"),
    "/operator/audit-log": page("Audit log"),
    "/operator/audit-log/<audit_id>": page("Account opened", audit_id="audit_id"),
    "/operator/diagnostics": page("Diagnostics", query="id=rfd_none"),
    "/operator/messages": page("Messages"),
    "/operator/messages/<delivery_id>": page("Invoice issued", delivery_id="delivery_id"),
    "/operator/messages/<delivery_id>/preview": answer(HTML, delivery_id="delivery_id"),
    "/operator/messages/<delivery_id>/again": act(delivery_id="delivery_id"),
    "/operator/messages/<delivery_id>/set-aside": act(delivery_id="failed_delivery_id"),
    "/operator/jobs": page("Jobs"),
    "/operator/jobs/<name>/run": act(name="=rate"),
    "/operator/jobs/runs/<run_id>": page("Run of rate", run_id="run_id"),
}

_SANDBOX = {
    "/sandbox/bank": page("Sandbox bank"),
    "/sandbox/bank/<payment_id>": act(payment_id="paid_id", send={"act": "closed"}),
    "/sandbox/payouts": page("Sandbox bank", send={"currency": "USD", "how": "automatic"}),
    "/sandbox/payouts/<payout_id>/fail": act(payout_id="sandbox_payout_id"),
    "/sandbox/checkout/<checkout_id>": page("Sandbox checkout", checkout_id="checkout_id", send={"act": "decline"}),
    "/sandbox/setup/<setup_id>": page("Save a payment method", setup_id="setup_page_id", send={"act": "decline"}),
    "/sandbox/portal/<portal_id>": page("Customer portal", portal_id="portal_id", send={"act": "add", "card": "4444"}),
}

_API = {
    "/api/docs": page("API"),
    "/api/v1/openapi.json": answer(JSON),
    "/api/v1/billing/account": answer(JSON),
    "/api/v1/billing/balance": answer(JSON),
    "/api/v1/billing/plans": answer(JSON, body={"code": "gates-api", "name": "Gates", "book": "default"}),
    "/api/v1/billing/prices": answer(JSON),
    "/api/v1/billing/tenants/<tenant>/subscriptions": answer(
        JSON, body={"plan": "gpu-cloud", "valid_from": "2031-01-01T00:00:00Z"}, tenant="account"
    ),
    "/api/v1/billing/tenants/<tenant>/subscriptions/<subscription_id>:withdraw": act(
        tenant="account", subscription_id="subscription_id"
    ),
    "/api/v1/admin/billing/pricing-plans": answer(JSON),
    "/api/v1/billing/statement/bundle": Sample(mimetype="application/zip", expects=409, leaves=ROOT),
    "/api/v1/billing/automatic-payments": answer(JSON),
    "/api/v1/billing/budgets": answer(
        JSON, body={"name": "All of it", "amount": {"amount_minor": 100_000, "currency": "USD"}}
    ),
    "/api/v1/billing/budgets/<budget_id>": answer(
        JSON,
        body={
            "name": "All of it",
            "amount": {"amount_minor": 100_000, "currency": "USD"},
            "thresholds_percent": [80],
            "is_active": True,
        },
        budget_id="budget_id",
    ),
    "/api/v1/admin/payments/balance-transactions": answer(JSON),
    "/api/v1/admin/billing/reconciliation": answer(JSON, body={"period": "2026-10"}),
    "/api/v1/billing/statement": answer(JSON),
    "/api/v1/billing/reservations": answer(JSON),
    "/api/v1/admin/payments/disputes": answer(JSON),
    "/api/v1/admin/payments/disputes/<dispute_id>": answer(JSON, dispute_id="dispute_id"),
    "/api/v1/admin/payments/disputes/<dispute_id>/evidence": act(
        dispute_id="dispute_id", body={"texts": {"uncategorized_text": "Used daily."}}
    ),
    "/api/v1/admin/billing/shadow-rating": act(
        body={
            "prices": 'code = "default"\nname = "Default"\ncurrency = "USD"\nvalid_from = 2027-01-01T00:00:00Z\n'
            '[[prices]]\nsku = "analytics/query"\nmodel = "per_unit"\nunit_price = "0.011"\n',
            "from": "2026-10-01T00:00:00Z",
            "to": "2026-11-01T00:00:00Z",
        }
    ),
    "/api/v1/admin/billing/shadow-rating/<trial_id>": answer(JSON, trial_id="trial_id"),
    "/api/v1/billing/currency-settings": answer(JSON),
    "/api/v1/billing/invoices": answer(JSON),
    "/api/v1/billing/invoices/<subject:invoice_id>": answer(JSON, invoice_id="invoice_id"),
    "/api/v1/billing/invoices:generate": act(body={"period": "2026-10", "accounts": ["calla"]}),
    "/api/v1/billing/invoices/<invoice_id>:close": act(invoice_id="draft_id", expects=409),  # nobody has approved it
    "/api/v1/billing/invoices/<invoice_id>:void": act(invoice_id="invoice_id", expects=409),  # it is issued
    "/api/v1/billing/invoices/<invoice_id>/credit-notes": act(
        body={"reason": "Outage", "amount": {"amount_minor": 100, "currency": "USD"}}, invoice_id="invoice_id"
    ),
    "/api/v1/billing/invoices/<invoice_id>/evidence.zip": Sample(
        mimetype="application/zip", values={"invoice_id": "invoice_id"}, expects=409, leaves=ROOT
    ),
    "/api/v1/billing/receipts": answer(JSON),
    "/api/v1/billing/receipts/<receipt_id>.pdf": answer("application/pdf", receipt_id="receipt_id"),
    "/api/v1/billing/invoices/<invoice_id>.pdf": answer("application/pdf", invoice_id="invoice_id"),
    "/api/v1/billing/invoices/<invoice_id>.xml": answer("application/xml", invoice_id="invoice_id"),
    "/api/v1/billing/invoices/<invoice_id>.ubl": answer("application/xml", invoice_id="invoice_id"),
    "/api/v1/billing/invoices/<invoice_id>.csv": answer("text/csv", invoice_id="invoice_id"),
    "/api/v1/billing/rated-usage": answer(JSON),
    "/api/v1/billing/rated-usage/<line_id>": answer(JSON, line_id="line_id"),
    "/api/v1/payments/customer-portal-session": act(body={"return_path": "/payment-methods"}),
    "/api/v1/payments/methods": answer(JSON),
    "/api/v1/admin/billing/provider-customers": act(body={"account": "calla"}),
    "/api/v1/billing/bank-transfers": answer(
        JSON,
        body={
            "account": "calla",
            "amount": {"amount_minor": 100, "currency": "USD"},
            "value_on": "{value_on}",
            "bank_reference": "S-78",
            "payer": "Calla Labs GmbH",
            "bank_account": "DE89370400440532013000",
        },
    ),
    "/api/v1/billing/payment-sessions": answer(JSON),
    "/api/v1/billing/payment-sessions/<session_id>": answer(JSON, session_id="payment_session_id"),
    "/api/v1/admin/billing/payment-sessions": answer(JSON),
    "/api/v1/admin/billing/payment-sessions/<subject:session_id>": answer(JSON, session_id="payment_session_id"),
    "/api/v1/admin/billing/payment-sessions/<session_id>:recover": act(session_id="payment_session_id"),
    "/api/v1/v3/platform/finance/payment-sessions": answer(JSON),
    "/api/v1/v3/platform/finance/payment-sessions/<session_id>": answer(JSON, session_id="payment_session_id"),
    "/api/v1/v3/platform/finance/reconciliation": answer(JSON),
    "/api/v1/v3/platform/finance/refunds": answer(JSON),
    "/api/v1/admin/billing/refunds": answer(JSON),
    "/api/v1/billing/refunds": answer(
        JSON,
        body={
            "mode": "card",
            "payment_id": "{payment_id}",
            "amount": {"amount_minor": 100, "currency": "USD"},
            "reason": "Paid twice",
        },
    ),
    "/api/v1/billing/refunds/<subject:refund_id>": answer(JSON, refund_id="refund_id"),
    "/api/v1/billing/refunds/<refund_id>:cancel": act(refund_id="refund_id", expects=409),
    "/api/v1/admin/users/<user_id>/refunds": answer(
        JSON,
        body={
            "mode": "card",
            "payment_id": "{payment_id}",
            "amount": {"amount_minor": 100, "currency": "USD"},
            "reason": "Paid twice",
        },
        user_id="account_id",
    ),
    "/api/v1/billing/usage": answer(JSON),
    "/api/v1/billing/usage/csv": answer("text/csv"),
    "/api/v1/billing/usage/summary": answer(JSON, query="from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z"),
    "/api/v1/billing/usage:ingest": act(
        body={
            "specversion": "1.0",
            "id": "gate-1",
            "source": "gateway/eu",
            "type": "billing.usage.metered",
            "time": "2026-11-21T10:00:00Z",
            "data": {"meter": "query", "quantity": 1},
        }
    ),
    "/api/v1/usage/report": act(
        body={
            "tenant_id": "calla",
            "service": "analytics",
            "usage_type": "query",
            "quantity": 1,
            "timestamp": 1763719200,
        }
    ),
    "/usage/report": act(
        body={
            "tenant_id": "calla",
            "service": "analytics",
            "usage_type": "query",
            "quantity": 1,
            "timestamp": 1763719200,
        }
    ),
    "/api/billing/usage:ingest": act(
        body={
            "specversion": "1.0",
            "id": "gate-2",
            "source": "gateway/eu",
            "type": "billing.usage.metered",
            "time": "2026-11-21T10:00:00Z",
            "data": {"meter": "query", "quantity": 1},
        }
    ),
    "/api/v1/metering/allocations": act(
        body={
            "type": "provisioning.active",
            "event_id": "gate-1",
            "allocation_id": "gate-1",
            "time": "2026-11-21T10:00:00Z",
            "resource": "h100",
            "shape": {"gpus": "4", "cpu_cores": 32, "memory_gib": 256},
        }
    ),
    "/api/v1/payments/checkout-session": act(
        body={"purpose": "top_up", "amount": {"amount_minor": 5_000, "currency": "USD"}}
    ),
    "/api/v1/payments/webhook": act(body={}),
    "/api/v1/payments/webhook/sandbox": act(body={}),
}

SAMPLES: dict[str, Sample] = {**_PUBLIC, **_AUTH, **_TENANT, **_TEAM, **_STAFF, **_OPERATOR, **_SANDBOX, **_API}
