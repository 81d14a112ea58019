"""The map of the API: one entry per route, from which the blueprint is filled and the API's description is made.

A new route is one entry here and a view. The description (`openapi`) takes its shapes from the models, so it cannot say anything
else than what is read and written; what it cannot know stands here: which problems of its own a route has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from billing.assurance import reconciliation_findings
from portal.api import (
    accounts,
    allocations,
    balance,
    budgets,
    bundles,
    checkout,
    evidence,
    ingest,
    invoices,
    plan_schemas,
    plans,
    problems,
    rated_usage,
    reconciliation,
    reconciliation_schemas,
    refunds,
    reservations,
    schemas,
    shadow_rating,
    shadow_schemas,
    statement,
    summary,
    usage_list,
    usage_schemas,
    webhooks,
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route below /api/v1. `request` and `response` are the shapes of its bodies, `query` the parameters it reads.

    `is_keyed`: an Idempotency-Key is required; `is_edit`: If-Match is. `success` are the statuses of answers that are no
    problem, `problems` the codes that only routes of this kind have, `choices` the values of the parameter `state` or `by`. What
    the key's scope must be stands above the view (`view.access`); `is_signed`: a provider proves itself by its signature instead.
    """

    method: str
    path: str
    view: Callable[..., Any]
    tag: str
    words: str
    response: type[BaseModel] | None
    request: type[BaseModel] | None = None
    query: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    success: tuple[int, ...] = (200,)
    problems: tuple[str, ...] = ()
    is_keyed: bool = False
    is_edit: bool = False
    is_batch: bool = False
    is_signed: bool = False
    mimetype: str = "application/pdf"  # of an answer that is a file
    example: dict[str, Any] | None = None


_PAGED = ("account", "limit", "cursor")
_FIVE_DOLLARS = {"amount_minor": 500, "currency": "USD"}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/metering/allocations",
        view=allocations.tell_allocation,
        tag="Metering",
        words="Tell one step in the life of an allocation",
        request=schemas.AllocationStep,
        response=schemas.AllocationAnswer,
        success=(200, 201),
        problems=("already_released", "out_of_order", "other_content", "conflict"),
        example={
            "type": "provisioning.active",
            "event_id": "evt-4711",
            "allocation_id": "training-4711",
            "time": "2026-11-21T11:00:00Z",
            "resource": "gpu-node/4",
            "shape": {"gpus": "4", "cpu_cores": 16, "memory_gib": "64"},
            "project": "vision",
        },
    ),
    Route(
        method="POST",
        path="/billing/usage:ingest",
        view=ingest.ingest_usage,
        tag="Metering",
        words="Tell usage as CloudEvents, one or up to 1,000",
        request=schemas.UsageEvent,
        response=schemas.IngestAnswer,
        is_batch=True,
        example={
            "specversion": "1.0",
            "id": "job-4711",
            "source": "cluster/a",
            "type": "billing.usage.metered",
            "time": "2026-11-21T11:00:00Z",
            "data": {"meter": "query", "quantity": "120", "project": "vision"},
        },
    ),
    Route(
        method="POST",
        path="/usage/report",
        view=ingest.report_usage,
        tag="Metering",
        words="Tell one usage record in the words of the older simple service",
        request=schemas.UsageReport,
        response=schemas.UsageReportAnswer,
        example={
            "tenant_id": "calla",
            "service": "analytics",
            "usage_type": "query",
            "quantity": 12,
            "timestamp": 1795255200,
        },
    ),
    Route(
        method="GET",
        path="/billing/usage/summary",
        view=summary.summarize_usage,
        tag="Metering",
        words="Exact sums of usage by calendar bucket",
        query=("account", "by", "group_by", "meter", "variant", "mode", "from", "to", "zone"),
        choices=summary.GRAINS,
        response=usage_schemas.UsageSummary,
    ),
    Route(
        method="GET",
        path="/billing/usage",
        view=usage_list.list_usage,
        tag="Metering",
        words="Usage records as they were taken in, oldest first",
        query=(*_PAGED, *usage_list.FILTERS),
        response=usage_schemas.UsageRecordPage,
    ),
    Route(
        method="GET",
        path="/billing/usage/csv",
        view=usage_list.download_usage,
        tag="Metering",
        words="The same records as a CSV file",
        query=("account", *usage_list.FILTERS),
        response=None,
        mimetype="text/csv",
    ),
    Route(
        method="GET",
        path="/billing/account",
        view=accounts.show_account,
        tag="Account",
        words="Who is billed, and what invoices say about the buyer",
        query=("account",),
        response=schemas.Account,
    ),
    Route(
        method="GET",
        path="/billing/currency-settings",
        view=accounts.show_currency_settings,
        tag="Account",
        words="The account's currency, its digits, and what may be paid in at once",
        query=("account",),
        response=schemas.CurrencySettings,
    ),
    Route(
        method="GET",
        path="/billing/plans",
        view=plans.list_plans,
        tag="Prices",
        words="The plans that the account was, is and will be on, with their terms",
        query=("account",),
        response=plan_schemas.PlanStretchPage,
    ),
    Route(
        method="POST",
        path="/billing/plans",
        view=plans.store_plan,
        tag="Prices",
        words="Store a plan or a new version of one; an operator's machine",
        request=plan_schemas.PlanRequest,
        response=plan_schemas.PlanVersion,
        success=(201,),
        problems=("plan_exists", "already_rated", "already_invoiced"),
        is_keyed=True,
        example={"code": "gold", "name": "Gold", "book": "gpu-cloud", "terms": {"minimum": {"USD": "1000.00"}}},
    ),
    Route(
        method="GET",
        path="/billing/prices",
        view=plans.list_prices,
        tag="Prices",
        words="What each thing sold costs the account at an instant",
        query=("account", "at"),
        response=plan_schemas.PriceList,
    ),
    Route(
        method="GET",
        path="/billing/tenants/<tenant>/subscriptions",
        view=plans.list_subscriptions,
        tag="Prices",
        words="Which plan each account of the tenant is on, from when on",
        response=plan_schemas.SubscriptionPage,
    ),
    Route(
        method="POST",
        path="/billing/tenants/<tenant>/subscriptions",
        view=plans.subscribe,
        tag="Prices",
        words="Put an account on a plan; an operator's machine",
        request=plan_schemas.SubscriptionRequest,
        response=plan_schemas.Subscription,
        success=(201,),
        problems=("subscription_exists", "already_rated", "already_invoiced"),
        is_keyed=True,
        example={"plan": "gpu-cloud", "valid_from": "2027-01-01T00:00:00Z"},
    ),
    Route(
        method="GET",
        path="/admin/billing/pricing-plans",
        view=plans.list_pricing_plans,
        tag="Prices",
        words="Every version of every plan",
        response=plan_schemas.PlanVersionPage,
    ),
    Route(
        method="GET",
        path="/billing/balance",
        view=balance.show_balance,
        tag="Account",
        words="What the account has and owes, per currency",
        query=("account", "as_of"),
        response=schemas.BalanceAnswer,
    ),
    Route(
        method="GET",
        path="/billing/statement/bundle",
        view=bundles.download_bundle,
        tag="Account",
        words="The account's statement as a zip file that anybody can verify offline",
        query=("account", "from", "to"),
        response=None,
        problems=("nothing_signed", "chain_not_continued", "signing_key_unusable"),
        mimetype="application/zip",
    ),
    Route(
        method="GET",
        path="/billing/statement",
        view=statement.show_statement,
        tag="Account",
        words="Every movement with its cause, and the proof that they make the balance",
        query=("account", "currency", "kind", "from", "to", "limit", "cursor"),
        response=reconciliation_schemas.StatementPage,
    ),
    Route(
        method="GET",
        path="/billing/rated-usage",
        view=rated_usage.list_rated_usage,
        tag="Rated usage",
        words="Rated lines, oldest first",
        query=(*_PAGED, "period", "meter", "project", "allocation_id", "from", "to"),
        response=schemas.RatedUsagePage,
    ),
    Route(
        method="GET",
        path="/billing/rated-usage/<line_id>",
        view=rated_usage.show_rated_usage,
        tag="Rated usage",
        words="One rated line with its derivation and its evidence both ways",
        query=("account",),
        response=evidence.RatedUsageDetail,
    ),
    Route(
        method="GET",
        path="/billing/invoices",
        view=invoices.list_invoices,
        tag="Invoices",
        words="Issued invoices and credit notes, oldest first",
        query=(*_PAGED, "state", "period"),
        choices=invoices.STATES,
        response=schemas.InvoicePage,
    ),
    Route(
        method="GET",
        path="/billing/invoices/<invoice_id>",
        view=invoices.show_invoice,
        tag="Invoices",
        words="One issued document, by id or number",
        query=("account",),
        response=evidence.InvoiceDetail,
    ),
    Route(
        method="GET",
        path="/billing/invoices/<invoice_id>.pdf",
        view=invoices.download_invoice,
        tag="Invoices",
        words="Its PDF, the same bytes for ever",
        query=("account",),
        response=None,
        problems=("document_not_ready",),
    ),
    Route(
        method="GET",
        path="/billing/invoices/<invoice_id>.xml",
        view=invoices.download_xml,
        tag="Invoices",
        words="The document as CII (EN 16931), which its PDF carries too",
        query=("account",),
        response=None,
        problems=("document_not_ready", "no_electronic_invoice"),
        mimetype="application/xml",
    ),
    Route(
        method="GET",
        path="/billing/invoices/<invoice_id>.ubl",
        view=invoices.download_ubl,
        tag="Invoices",
        words="The document as UBL 2.1 (EN 16931)",
        query=("account",),
        response=None,
        problems=("document_not_ready", "no_electronic_invoice"),
        mimetype="application/xml",
    ),
    Route(
        method="GET",
        path="/billing/invoices/<invoice_id>.csv",
        view=invoices.download_csv,
        tag="Invoices",
        words="The document as CSV, each line with what proves it",
        query=("account",),
        response=None,
        problems=("document_not_ready",),
        mimetype="text/csv",
    ),
    Route(
        method="POST",
        path="/payments/checkout-session",
        view=checkout.start_checkout,
        tag="Payments",
        words="Begin a payment at the provider's checkout",
        request=schemas.CheckoutRequest,
        response=schemas.CheckoutAnswer,
        success=(201, 202),
        problems=("amount_out_of_range", "invoice_not_payable", "conflict", "provider_refused"),
        is_keyed=True,
        example={"purpose": "top_up", "amount": {"amount_minor": 5000, "currency": "USD"}},
    ),
    Route(
        method="GET",
        path="/billing/refunds",
        view=refunds.list_refunds,
        tag="Payments",
        words="Refund requests, newest first",
        query=(*_PAGED, "state"),
        choices=refunds.STATES,
        response=schemas.RefundPage,
    ),
    Route(
        method="POST",
        path="/billing/refunds",
        view=refunds.request_refund,
        tag="Payments",
        words="Ask for money back; a person decides",
        request=schemas.RefundRequest,
        response=schemas.Refund,
        success=(201,),
        problems=("above_refundable", "refund_during_dispute", "conflict"),
        is_keyed=True,
        example={"mode": "card", "payment_id": "pmt_1", "amount": _FIVE_DOLLARS, "reason": "Paid twice"},
    ),
    Route(
        method="GET",
        path="/billing/budgets",
        view=budgets.list_budgets,
        tag="Budgets",
        words="Budgets, oldest first",
        query=_PAGED,
        response=schemas.BudgetPage,
    ),
    Route(
        method="POST",
        path="/billing/budgets",
        view=budgets.create_budget,
        tag="Budgets",
        words="Set a budget",
        request=schemas.BudgetRequest,
        response=schemas.Budget,
        success=(201,),
        problems=("budget_name_taken",),
        is_keyed=True,
        example={"name": "All of vision", "amount": {"amount_minor": 100000, "currency": "USD"}, "project": "vision"},
    ),
    Route(
        method="GET",
        path="/billing/budgets/<budget_id>",
        view=budgets.show_budget,
        tag="Budgets",
        words="One budget, with the ETag that an edit names",
        query=("account",),
        response=schemas.Budget,
    ),
    Route(
        method="PUT",
        path="/billing/budgets/<budget_id>",
        view=budgets.edit_budget,
        tag="Budgets",
        words="Change a budget as a whole, or stop watching it",
        query=("account",),
        request=schemas.BudgetEdit,
        response=schemas.Budget,
        problems=("budget_name_taken",),
        is_edit=True,
        example={
            "name": "Vision, raised",
            "amount": {"amount_minor": 150000, "currency": "USD"},
            "thresholds_percent": [80, 100],
            "is_active": True,
        },
    ),
    Route(
        method="GET",
        path="/admin/billing/reconciliation",
        view=reconciliation.list_differences,
        tag="Operations",
        words="What differs between usage, rated lines, ledger and documents",
        query=("account", "period", "state", "limit", "cursor"),
        choices=reconciliation_findings.STATES,
        response=reconciliation_schemas.ReconciliationPage,
    ),
    Route(
        method="POST",
        path="/admin/billing/reconciliation",
        view=reconciliation.run_reconciliation,
        tag="Operations",
        words="Compare all stages now, and record the run",
        request=reconciliation_schemas.ReconciliationRequest,
        response=reconciliation_schemas.ReconciliationAnswer,
        success=(201,),
        is_keyed=True,
        example={"period": "2026-10"},
    ),
    Route(
        method="GET",
        path="/billing/reservations",
        view=reservations.list_reservations,
        tag="Account",
        words="Reserved capacity, and how much of it was used",
        query=("account",),
        response=reservations.ReservationList,
    ),
    Route(
        method="POST",
        path="/admin/billing/shadow-rating",
        view=shadow_rating.run_shadow_rating,
        tag="Operations",
        words="Rate past usage with candidate prices, writing nothing but the trial",
        request=shadow_schemas.ShadowRatingRequest,
        response=shadow_schemas.ShadowRating,
        success=(201,),
        is_keyed=True,
        example={
            "prices": 'code = "default"\nname = "Default"\ncurrency = "USD"\nvalid_from = 2027-01-01T00:00:00Z\n\n'
            '[[prices]]\nsku = "analytics/query"\nmodel = "per_unit"\nunit_price = "0.011"\n',
            "from": "2026-10-01T00:00:00Z",
            "to": "2026-11-01T00:00:00Z",
        },
    ),
    Route(
        method="GET",
        path="/admin/billing/shadow-rating/<trial_id>",
        view=shadow_rating.show_shadow_rating,
        tag="Operations",
        words="One shadow rating as it was written",
        response=shadow_schemas.ShadowRating,
    ),
)
# Where providers tell us what happened. Their own blueprint holds these, for they take no key.
SIGNED_ROUTES: tuple[Route, ...] = tuple(
    Route(
        method="POST",
        path=path,
        view=view,
        tag="Providers",
        words=words,
        response=schemas.Received,
        problems=problems.SIGNED,
        is_signed=True,
    )
    for path, view, words in (
        ("/payments/webhook", webhooks.stripe_webhook, "Take a signed event of Stripe"),
        ("/payments/webhook/sandbox", webhooks.sandbox_webhook, "Take a signed event of the sandbox provider"),
    )
)
