"""Operators' pages: everybody's books. One module per page; the table below is the map of them."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from portal.operator import (
    account_page,
    accounts,
    approvals,
    audit_log,
    business,
    corrections,
    diagnostics,
    documents,
    integrity,
    invoice_runs,
    jobs,
    messages,
    reconciliation,
    refund_requests,
    refunds,
    search,
    service_keys,
    staff,
    workbench,
)

blueprint = Blueprint("operator", __name__)

_READ, _ACT, _FORM = ("GET",), ("POST",), ("GET", "POST")
# (rule below /operator, view, methods). An endpoint is `operator.` and the view's name; what each needs stands above the view.
_PAGES: tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...] = (
    ("", workbench.workbench, _READ),
    ("/search", search.search, _READ),
    ("/queues/<name>", workbench.workbench_queue, _READ),
    ("/queues/webhooks/<event_id>/again", workbench.workbench_again, _ACT),
    ("/accounts", accounts.accounts, _READ),
    ("/accounts/<account_id>", account_page.accounts_detail, _READ),
    ("/accounts/<account_id>/refund", refund_requests.accounts_refund, _FORM),
    ("/accounts/<account_id>/credit", corrections.accounts_credit, _FORM),
    ("/accounts/<account_id>/transactions/<transaction_id>", corrections.accounts_transaction, _READ),
    ("/accounts/<account_id>/transactions/<transaction_id>/reverse", corrections.accounts_reverse, _FORM),
    ("/business", business.business, _READ),
    ("/business.csv", business.business_csv, _READ),
    ("/approvals", approvals.approvals, _READ),
    ("/approvals/<approval_id>", approvals.approvals_detail, _READ),
    ("/approvals/<approval_id>/approve", approvals.approvals_approve, _FORM),
    ("/approvals/<approval_id>/reject", approvals.approvals_reject, _FORM),
    ("/approvals/<approval_id>/withdraw", approvals.approvals_withdraw, _ACT),
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
    ("/reconciliation", reconciliation.reconciliation, _READ),
    ("/reconciliation/compare", reconciliation.reconciliation_compare, _ACT),
    ("/reconciliation/runs", reconciliation.reconciliation_runs, _READ),
    ("/reconciliation/runs/<run_id>", reconciliation.reconciliation_run, _READ),
    ("/reconciliation/findings/<finding_id>", reconciliation.reconciliation_finding, _READ),
    ("/reconciliation/findings/<finding_id>/<any(assign, explain):act>", reconciliation.reconciliation_decide, _ACT),
    ("/integrity", integrity.integrity, _READ),
    ("/integrity/works", integrity.integrity_ask, _ACT),
    ("/integrity/works/<work_id>", integrity.integrity_work, _READ),
    ("/audit-log", audit_log.audit_log, _READ),
    ("/audit-log/<audit_id>", audit_log.audit_log_row, _READ),
    ("/diagnostics", diagnostics.diagnostics, _READ),
    ("/jobs", jobs.jobs, _READ),
    ("/jobs/<name>/run", jobs.jobs_ask, _ACT),
    ("/jobs/runs/<run_id>", jobs.jobs_run, _READ),
    ("/messages", messages.messages, _READ),
    ("/messages/<delivery_id>", messages.messages_detail, _READ),
    ("/messages/<delivery_id>/preview", messages.messages_preview, _READ),
    ("/messages/<delivery_id>/again", messages.messages_again, _ACT),
    ("/messages/<delivery_id>/set-aside", messages.messages_set_aside, _ACT),
    ("/staff", staff.staff, _READ),
    ("/staff/invite", staff.staff_invite, _FORM),
    ("/staff/invitations/<invitation_id>/<any(again, withdraw):act>", staff.staff_invitation, _ACT),
    ("/staff/<user_id>", staff.staff_person, _READ),
    ("/staff/<user_id>/role", staff.staff_role, _FORM),
    ("/staff/<user_id>/<any(disable, enable, 'sign-out'):act>", staff.staff_act, _FORM),
    ("/service-keys", service_keys.service_keys, _READ),
    ("/service-keys/new", service_keys.service_keys_new, _FORM),
    ("/service-keys/<key_id>/revoke", service_keys.service_keys_revoke, _FORM),
)
for rule, view, methods in _PAGES:
    blueprint.add_url_rule(rule, view_func=view, methods=list(methods))
