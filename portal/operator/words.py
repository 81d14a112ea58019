"""What acts are called on operators' pages, and how an actor is named."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import url_for

from billing.assurance.timeline import Happening
from billing.rendering import formats
from portal.filters import reader_locale

# act -> (title, tone)
_ACTS: dict[str, tuple[str, str | None]] = {
    "account.open": ("Account opened", None),
    "account.invoice_currency": ("Currency of invoices changed", None),
    "seller.tax_currency": ("Tax currency of a seller changed", None),
    "fx.imported": ("Exchange rates imported", None),
    "profile.update": ("Billing profile changed", None),
    "recipient.add": ("Address for documents added", None),
    "recipient.ask_again": ("Address for documents asked again", None),
    "recipient.confirm": ("Address for documents confirmed", "good"),
    "recipient.decline": ("Address declined documents", None),
    "recipient.remove": ("Address for documents removed", None),
    "subscription.create": ("Plan assigned", None),
    "subscription.withdraw": ("Change of plan withdrawn", "warn"),
    "plan.change": ("Plan changed", None),
    "prices.load": ("Price book loaded", None),
    "prices.activate": ("Prices in force", None),
    "prices.override": ("Own price agreed", None),
    "invoice.drafted": ("Invoice drafted", None),
    "invoice.approved": ("Draft approved", None),
    "invoice.issued": ("Invoice issued", "good"),
    "invoice.voided": ("Draft voided", "warn"),
    "invoice.rendered": ("Document rendered", None),
    "invoice.part_paid": ("Invoice paid in part", "good"),
    "invoice.paid": ("Invoice paid", "good"),
    "invoice.credited": ("Invoice credited", None),
    "invoice.payment_undone": ("Payment of an invoice undone", "warn"),
    "bank_transfer.book": ("Bank transfer booked", "good"),
    "bank_transfer.reverse": ("Bank transfer taken back", "warn"),
    "receipt.issue": ("Receipt issued", "good"),
    "receipt.render": ("Receipt printed", None),
    "payment.start": ("Payment begun", None),
    "payment.charge": ("Charge of a saved method begun", None),
    "payment.receive": ("Payment received", "good"),
    "payment_method.setup": ("Saving a payment method begun", None),
    "payment_method.saved": ("Payment method saved", "good"),
    "payment_method.default": ("Default payment method changed", None),
    "payment_method.remove": ("Payment method removed", None),
    "payment_method.detached": ("Payment method gone at the provider", "warn"),
    "automatic_payments.change": ("Automatic payments changed", None),
    "automatic_payments.turn_off": ("Automatic payments turned off", "warn"),
    "customer_portal.open": ("Provider's page for saved methods opened", None),
    "provider_customer.create": ("Customer at the provider made", None),
    "provider_customer.adopt": ("Customer of the older system taken over", None),
    "provider_customer.relink": ("Customer at the provider linked by hand", "warn"),
    "provider_customer.renew": ("Customer at the provider made anew", "warn"),
    "provider_customer.gone": ("Customer gone at the provider", "warn"),
    "provider_customer.legacy_id": ("Customer id of the older system recorded", None),
    "provider_customer.not_adopted": ("Customer of the older system not taken over", "warn"),
    "dispute.opened": ("Dispute opened", "warn"),
    "dispute.needs_response": ("Dispute needs an answer", "warn"),
    "dispute.evidence_due": ("Evidence due within three days", "bad"),
    "dispute.evidence": ("Evidence changed", None),
    "dispute.evidence_begun": ("Evidence is being submitted", None),
    "dispute.evidence_submitted": ("Evidence submitted", "good"),
    "dispute.evidence_unknown": ("No clear answer about the evidence", "warn"),
    "dispute.evidence_failed": ("The provider refused the evidence", "bad"),
    "dispute.acceptance_begun": ("Dispute is being accepted", None),
    "dispute.acceptance_submitted": ("Dispute accepted", None),
    "dispute.acceptance_unknown": ("No clear answer about the acceptance", "warn"),
    "dispute.acceptance_failed": ("The provider refused the acceptance", "bad"),
    "dispute.won": ("Dispute won", "good"),
    "dispute.lost": ("Dispute lost", "bad"),
    "dispute.closed": ("Dispute closed", None),
    "fraud_warning.receive": ("Early fraud warning", "warn"),
    "dunning.change": ("Payment calendar changed", None),
    "dunning.end_own": ("Own payment calendar ended", None),
    "payout.change": ("Payout changed", None),
    "provider_balance.book": ("Movement at the provider booked", "good"),
    "payment.recover": ("Fetched from the provider again", None),
    "payment.link": ("Payment given to an account", "good"),
    "payment.unmatched": ("Found at the provider, not credited here", "warn"),
    "payment.unmatched_credited": ("Credited", "good"),
    "payment.unmatched_closed": ("Closed without credit", None),
    "event.reprocess": ("Tried again", None),
    "event.close": ("Closed", None),
    "refund.request": ("Refund asked for", None),
    "refund.approve": ("Refund approved", None),
    "refund.reject": ("Refund rejected", "warn"),
    "refund.succeed": ("Refund arrived", "good"),
    "refund.fail": ("Refund failed", "bad"),
    "refund.send": ("Sent to the provider", None),
    "refund.transfer": ("Transfer left the bank", "good"),
    "refund.cancel": ("Cancelled at the provider", "warn"),
    "refund.found": ("Refund found at the provider", "warn"),
    "refund.limit": ("Limit of refunds set", None),
    "refund.withdraw": ("Refund withdrawn", None),
    "refund.expire": ("Nobody decided the refund in time", "warn"),
    "approval.request": ("Asked for", None),
    "approval.approve": ("Approved", "good"),
    "approval.reject": ("Rejected", "warn"),
    "approval.withdraw": ("Withdrawn", None),
    "approval.expire": ("Nobody decided in time", "warn"),
    "account.credit": ("Credit or debit by hand", "warn"),
    "promo.expire": ("Gift expired", None),
    "reconciliation.run": ("Books compared stage by stage", None),
    "reconciliation.assign": ("Difference given to somebody", None),
    "reconciliation.explain": ("Difference explained", None),
    "ledger.write_off": ("Written off", "warn"),
    "ledger.period.close": ("Books closed", None),
    "ledger.period.reopen": ("Books opened again", "warn"),
    "budget.create": ("Budget set", None),
    "ledger.reverse": ("Ledger transaction reversed", "warn"),
    "ledger.checkpoints.rebuild": ("Balance checkpoints rebuilt", "warn"),
    "key.create": ("API key made", None),
    "key.revoke": ("API key ended", None),
    "membership.grant": ("Access given", None),
    "membership.role": ("Role in a team changed", None),
    "membership.remove": ("Removed from a team", "warn"),
    "membership.leave": ("Left a team", None),
    "invitation.send": ("Invitation sent", None),
    "invitation.revoke": ("Invitation withdrawn", None),
    "invitation.accept": ("Invitation taken up", "good"),
    "reset.ask": ("Password reset asked for", None),
    "reset.use": ("Password reset by link", "warn"),
    "staff.role": ("Staff role changed", "warn"),
    "user.disable": ("Kept from signing in", "warn"),
    "user.enable": ("Allowed to sign in again", None),
}
_PAGES: dict[str, Callable[[str], str]] = {
    "refund_request": lambda id: url_for("operator.refunds_detail", refund_id=id),
    "invoice": lambda id: url_for("operator.invoice_runs_document", invoice_id=id),
    "payment_session": lambda id: url_for("operator.payments_detail", session_id=id),
    "provider_event": lambda id: url_for("operator.webhook_inbox_event", event_id=id),
    "unmatched_payment": lambda id: url_for("operator.unmatched_payments_detail", unmatched_id=id),
    "payment_dispute": lambda id: url_for("operator.disputes_detail", dispute_id=id),
    "approval": lambda id: url_for("operator.approvals_detail", approval_id=id),
    "credit_note": lambda id: url_for("operator.invoice_runs_document", invoice_id=id),
}
_MACHINES = {
    "system": "the system",
    "job": "the job {}",
    "cli": "{} on the command line",
    "provider": "{}",
    "apikey": "API key {}",
}


def actor(code: str | None, named: dict[str, str]) -> str:
    """An actor in words: a person by name, a machine by what it is."""
    if not code:
        return "nobody"
    if code in named:
        return named[code]
    kind, _, rest = code.partition(":")
    return _MACHINES[kind].format(rest) if kind in _MACHINES else code


def act_title(act: str) -> str:
    """What an act is called: "Invoice issued"."""
    return _ACTS[act][0] if act in _ACTS else act.replace(".", " ").replace("_", " ").capitalize()


def timeline_of(happenings: Iterable[Happening], *, own_id: str = "") -> list[dict[str, Any]]:
    """Events as the timeline macro takes them, each with a link to its subject unless that is the page itself."""
    return [_event(one, own_id) for one in happenings]


def _event(one: Happening, own_id: str) -> dict[str, Any]:
    title, tone = act_title(one.act), _ACTS.get(one.act, ("", None))[1]
    facts = one.facts
    detail = []
    if isinstance(facts.get("number"), str):
        detail.append(facts["number"])
    minor = next((facts[name] for name in ("amount_minor", "total_minor") if isinstance(facts.get(name), int)), None)
    if minor is not None and isinstance(facts.get("currency"), str):
        detail.append(formats.money(minor, facts["currency"], locale=reader_locale()))
    who = actor(one.actor, {one.actor: one.actor_name} if one.actor_name else {})
    page = _PAGES.get(one.subject_type)
    return {
        "at": one.at,
        "title": title,
        "detail": ", ".join([*detail, f"by {who}"]),
        "href": page(one.subject_id) if page and one.subject_id != own_id else None,
        "tone": tone,
    }
