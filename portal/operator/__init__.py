"""Operators' pages: everybody's books. One module per page; the table below is the map of them."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from portal.operator import (
    account_page,
    accounts,
    documents,
    invoice_runs,
    jobs,
    refund_requests,
    refunds,
    messages,
    workbench,
)

blueprint = Blueprint("operator", __name__)

_READ, _ACT, _FORM = ("GET",), ("POST",), ("GET", "POST")
# (rule below /operator, view, methods). An endpoint is `operator.` and the view's name; what each needs stands above the view.
_PAGES: tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...] = (
    ("", workbench.workbench, _READ),
    ("/queues/<name>", workbench.workbench_queue, _READ),
    ("/queues/webhooks/<event_id>/again", workbench.workbench_again, _ACT),
    ("/accounts", accounts.accounts, _READ),
    ("/accounts/<account_id>", account_page.accounts_detail, _READ),
    ("/accounts/<account_id>/refund", refund_requests.accounts_refund, _FORM),
    ("/refunds", refunds.refunds, _READ),
    ("/refunds/<refund_id>", refunds.refunds_detail, _READ),
    ("/refunds/<refund_id>/approve", refunds.refunds_approve, _FORM),
    ("/refunds/<refund_id>/reject", refunds.refunds_reject, _FORM),
    ("/invoice-runs", invoice_runs.invoice_runs, _READ),
    ("/invoice-runs/<period>", invoice_runs.invoice_runs_period, _READ),
    ("/invoice-runs/<period>/<any(approve, issue):act>", invoice_runs.invoice_runs_decide, _FORM),
    ("/invoice-runs/<period>/batches/<batch_id>", invoice_runs.invoice_runs_batch, _READ),
    ("/invoices/<invoice_id>", documents.invoice_runs_document, _READ),
    ("/invoices/<invoice_id>.pdf", documents.invoice_runs_pdf, _READ),
    ("/invoices/<invoice_id>/<any(approve, issue, void):act>", documents.invoice_runs_act, _FORM),
    ("/jobs", jobs.jobs, _READ),
    ("/jobs/<name>/run", jobs.jobs_ask, _ACT),
    ("/jobs/runs/<run_id>", jobs.jobs_run, _READ),
)
for rule, view, methods in _PAGES:
    blueprint.add_url_rule(rule, view_func=view, methods=list(methods))
    ("/messages", messages.messages, _READ),
    ("/messages/<delivery_id>", messages.messages_detail, _READ),
    ("/messages/<delivery_id>/preview", messages.messages_preview, _READ),
    ("/messages/<delivery_id>/again", messages.messages_again, _ACT),
    ("/messages/<delivery_id>/set-aside", messages.messages_set_aside, _ACT),
