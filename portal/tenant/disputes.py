"""Disputes: payments that a bank has asked back, what that does to the balance, and how it ended."""

from flask import Response

from billing.payments.disputes import listing
from billing.payments.disputes.listing import Filters
from portal import access, dispute_words, htmx, services
from portal.tenant import blueprint, query
from portal.tenant.query import Query

_SIZE = 50
_GROUPS = {
    "open": ("opened", "needs_response", "evidence_due", "evidence_submitted"),
    "ended": ("won", "lost", "closed"),
}
_GROUP_WORDS = {"": "All", "open": "Open", "ended": "Ended"}


@blueprint.get("/disputes")
@access.requires("billing.read")
def disputes() -> Response:
    """All disputes of the account, newest first, with a filter; htmx gets the list alone."""
    account, url = access.current_account(), Query()
    group, page = url.choice("state", list(_GROUP_WORDS), ""), url.page()
    filters = Filters(account_id=account.id, states=_GROUPS.get(group, ()))
    with services.database().reading() as session:
        rows = listing.list_disputes(session, filters, limit=_SIZE + 1, offset=(page - 1) * _SIZE)
    return htmx.render(
        "tenant/disputes/index.html",
        "tenant/disputes/_list.html",
        rows=rows[:_SIZE],
        has_more=len(rows) > _SIZE,
        page=page,
        states=[query.option(text, code == group, state=code or None) for code, text in _GROUP_WORDS.items()],
        chip_rows=[query.chip("State", _GROUP_WORDS[group], "state")] if group else [],
        words=dispute_words,
        notices=url.notices,
    )


@blueprint.get("/disputes/<key>")
@access.requires("billing.read")
def disputes_detail(key: str) -> Response:
    """One dispute: what it means, what it does to the balance, what happened."""
    account = access.current_account()
    with services.database().reading() as session:
        row = listing.get_dispute(session, key=query.path_key(key), account_id=account.id)
        happened = listing.list_history(session, row.id)
        postings = listing.list_postings(session, row.id, with_house=False)
    places = {row.invoice_id: f"invoice {row.invoice_number}"} if row.invoice_id else {}
    template = "tenant/disputes/detail.html"
    return htmx.render(
        template,
        template,
        row=row,
        steps=dispute_words.timeline(happened, for_tenant=True, places=places),
        postings=postings,
        words=dispute_words,
        zone=account.zone,
        may_refund="refund.request" in account.permissions,
    )
