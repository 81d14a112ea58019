"""The map of the API: one line per route, from which the blueprint is filled and a description of the API can be made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from portal.api import allocations, balance, checkout, ingest, invoices, rated_usage, refunds, schemas, summary


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route below /api/v1. `request` and `response` are the shapes of its bodies, `query` the parameters it reads.

    `is_keyed`: an Idempotency-Key is required. What the key's scope must be stands above the view (`view.access`).
    """

    method: str
    path: str
    view: Callable[..., Any]
    words: str
    response: type[BaseModel] | None
    request: type[BaseModel] | None = None
    query: tuple[str, ...] = ()
    is_keyed: bool = False


_PAGED = ("account", "limit", "cursor")

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/metering/allocations",
        view=allocations.tell_allocation,
        words="Tell one step in the life of an allocation",
        request=schemas.AllocationStep,
        response=schemas.AllocationAnswer,
    ),
    Route(
        method="POST",
        path="/billing/usage:ingest",
        view=ingest.ingest_usage,
        words="Tell usage as CloudEvents, one or up to 1,000",
        request=schemas.UsageEvent,
        response=schemas.IngestAnswer,
    ),
    Route(
        method="GET",
        path="/billing/usage/summary",
        view=summary.summarize_usage,
        words="Exact sums of usage by calendar bucket",
        query=("account", "by", "meter", "from", "to", "zone"),
        response=schemas.UsageSummary,
    ),
    Route(
        method="GET",
        path="/billing/balance",
        view=balance.show_balance,
        words="What the account has and owes, per currency",
        query=("account",),
        response=schemas.BalanceAnswer,
    ),
    Route(
        method="GET",
        path="/billing/rated-usage",
        view=rated_usage.list_rated_usage,
        words="Rated lines, oldest first",
        query=(*_PAGED, "period", "meter", "project", "allocation_id", "from", "to"),
        response=schemas.RatedUsagePage,
    ),
    Route(
        method="GET",
        path="/billing/rated-usage/<line_id>",
        view=rated_usage.show_rated_usage,
        words="One rated line with its derivation and its evidence both ways",
        query=("account",),
        response=schemas.RatedUsageDetail,
    ),
    Route(
        method="GET",
        path="/billing/invoices",
        view=invoices.list_invoices,
        words="Issued invoices and credit notes, oldest first",
        query=(*_PAGED, "state", "period"),
        response=schemas.InvoicePage,
    ),
    Route(
        method="GET",
        path="/billing/invoices/<invoice_id>",
        view=invoices.show_invoice,
        words="One issued document, by id or number",
        query=("account",),
        response=schemas.InvoiceDetail,
    ),
    Route(
        method="GET",
        path="/billing/invoices/<invoice_id>.pdf",
        view=invoices.download_invoice,
        words="Its PDF, the same bytes for ever",
        query=("account",),
        response=None,
    ),
    Route(
        method="POST",
        path="/payments/checkout-session",
        view=checkout.start_checkout,
        words="Begin a payment at the provider's checkout",
        request=schemas.CheckoutRequest,
        response=schemas.CheckoutAnswer,
        is_keyed=True,
    ),
    Route(
        method="GET",
        path="/billing/refunds",
        view=refunds.list_refunds,
        words="Refund requests, newest first",
        query=(*_PAGED, "state"),
        response=schemas.RefundPage,
    ),
    Route(
        method="POST",
        path="/billing/refunds",
        view=refunds.request_refund,
        words="Ask for money back; a person decides",
        request=schemas.RefundRequest,
        response=schemas.Refund,
        is_keyed=True,
    ),
)
