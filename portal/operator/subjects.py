"""What the things are called that audit rows, searches and traces speak of, and where an operator can see them."""

from typing import Any

from flask import current_app, url_for

# kind -> (word, endpoint of its page, name of the page's argument)
_KINDS: dict[str, tuple[str, str | None, str]] = {
    "access_link": ("Invitation or reset", None, ""),
    "allocation": ("Allocation", None, ""),
    "api_key": ("API key", None, ""),
    "approval": ("Approval", "operator.approvals_detail", "approval_id"),
    "audit_record": ("Audit record", "operator.audit_log_row", "audit_id"),
    "balance_transaction": ("Movement at the provider", "operator.provider_balance_movement", "movement_id"),
    "bank_transfer": ("Bank transfer", "operator.bank_transfers_detail", "transfer_id"),
    "billing_account": ("Billing account", "operator.accounts_detail", "account_id"),
    "billing_period": ("Billing period", None, ""),
    "budget": ("Budget", None, ""),
    "charge": ("Charge", None, ""),
    "delivery": ("E-mail", "operator.messages_detail", "delivery_id"),
    "document_recipient": ("Address that gets documents", None, ""),
    "dunning_calendar": ("Payment calendar", "operator.dunning", ""),
    "fx_source": ("Source of exchange rates", "operator.fx", ""),
    "invoice": ("Invoice", "operator.invoice_runs_document", "invoice_id"),
    "invoice_batch": ("Batch of invoices", None, ""),
    "invoice_line": ("Invoice line", None, ""),
    "job_run": ("Run of a job", "operator.jobs_run", "run_id"),
    "ledger_transaction": ("Ledger transaction", "operator.ledger_transaction", "transaction_id"),
    "member": ("Submitter of usage", None, ""),
    "notice": ("Notice", None, ""),
    "payment": ("Payment", None, ""),
    "payment_dispute": ("Dispute", "operator.disputes_detail", "dispute_id"),
    "payment_method": ("Saved payment method", None, ""),
    "payment_method_setup": ("Saving of a payment method", None, ""),
    "fraud_warning": ("Early fraud warning", "operator.disputes", ""),
    "payment_session": ("Payment session", "operator.payments_detail", "session_id"),
    "person": ("Person", None, ""),
    "posting": ("Posting", None, ""),
    "payout": ("Payout", "operator.provider_balance_payout", "payout_id"),
    "provider_balance": ("Balance at the provider", "operator.provider_balance", ""),
    "plan": ("Plan", "operator.catalog_plan", "plan_id"),
    "price_book": ("Version of a price book", "operator.catalog_book", "book_id"),
    "price_override": ("Own price", None, ""),
    "price_trial": ("Shadow rating", "operator.shadow_ratings_trial", "trial_id"),
    "price_version": ("Price", None, ""),
    "subscription": ("Subscription", None, ""),
    "project": ("Project", None, ""),
    "provider_event": ("Provider's event", "operator.webhook_inbox_event", "event_id"),
    "rated_line": ("Rated line", None, ""),
    "reconciliation_finding": ("Difference", "operator.reconciliation_finding", "finding_id"),
    "reconciliation_run": ("Reconciliation", "operator.reconciliation_run", "run_id"),
    "foreign_refund": ("Refund made at the provider", "operator.foreign_refunds_detail", "case_id"),
    "refund_role_limit": ("Limit of refunds", "operator.refund_limits", ""),
    "refund": ("Refund", "operator.refunds_detail", "refund_id"),
    "refund_request": ("Refund", "operator.refunds_detail", "refund_id"),
    "request": ("Request", None, ""),
    "signed_root": ("Signed root", "operator.roots", ""),
    "signing_key": ("Signing key", None, ""),
    "tenant": ("Tenant", None, ""),
    "unmatched_payment": ("Payment to be matched", "operator.unmatched_payments_detail", "unmatched_id"),
    "usage_import": ("Import of usage", None, ""),
    "usage_record": ("Usage record", None, ""),
    "user": ("Person", None, ""),
    "work": ("Long work", "operator.integrity_work", "work_id"),
}


def word(kind: str) -> str:
    """What a kind of thing is called."""
    return _KINDS[kind][0] if kind in _KINDS else kind.replace("_", " ").capitalize()


def find_url(kind: str, subject_id: str) -> str | None:
    """Where an operator can see the thing, or None."""
    _word, endpoint, argument = _KINDS.get(kind, ("", None, ""))
    if endpoint is None or endpoint not in current_app.view_functions:
        return None
    values: dict[str, Any] = {argument: subject_id}
    return url_for(endpoint, **values)
