"""Invoices and credit notes as they were issued: the list, one document with its evidence, and its PDF."""

from typing import Any

from flask import Response, make_response, render_template, url_for

from billing.invoicing import invoices as documents
from billing.invoicing.invoices import EventRow, InvoiceDetail
from billing.kernel.errors import NotFound
from billing.ledger import balances
from billing.payments import receipt_files
from billing.rendering import places
from billing.storage.database import Session
from portal import access, filters, htmx, services
from portal.tenant import blueprint, query, words
from portal.tenant.invoice_words import CATEGORIES, in_tax_currency, lines_of
from portal.tenant.query import Query

_PAGE_SIZE = 50
_SORTS = ("number", "issued", "due", "total")
# What a tenant sees: issued documents. Drafts are ours until then.
SHOWN = ("issued", "part_paid", "overdue", "disputed", "paid", "credited")
OPEN = ("issued", "part_paid", "overdue")
_STATES = {
    "open": OPEN,
    "overdue": ("overdue",),
    "disputed": ("disputed",),
    "paid": ("paid",),
    "credited": ("credited",),
}
_STATE_WORDS = {
    "": "All",
    "open": "Open",
    "overdue": "Overdue",
    "disputed": "Disputed",
    "paid": "Paid",
    "credited": "Credited",
}
_KINDS = {"invoice": "Invoices", "credit_note": "Credit notes"}
_EVENTS = {
    "drafted": "Drafted",
    "approved": "Approved",
    "issued": "Issued",
    "rendered": "PDF made",
    "reminded": "Reminder sent",
    "sent_again": "Sent again",
    "sent": "Sent",
    "part_paid": "Paid in part",
    "payment_undone": "Payment undone",
    "paid": "Paid in full",
    "credited": "Credited",
    "disputed": "Its payment is disputed",
    "dispute_ended": "The dispute has ended",
}
_SETTLED = {
    "wallet": "Paid from the wallet",
    "payment": "Payment",
    "credit_note": "Credit note",
    "dispute": "Payment taken back by the bank",
    "write_off": "Written off",
    "write_off_reversal": "Write-off undone by a payment",
}


@blueprint.get("/invoices")
@access.requires("billing.read")
def invoices() -> Response:
    """All issued documents with filters; htmx gets the list alone."""
    account, url, now = access.current_account(), Query(), services.now()
    state, kind = url.choice("state", list(_STATES), ""), url.choice("kind", list(_KINDS), "")
    sort, asked_page = url.sort(_SORTS, "-issued"), url.page()
    wanted: dict[str, Any] = {"account_id": account.id, "states": _STATES.get(state, SHOWN), "kind": kind or None}
    with services.database().reading() as session:
        total = documents.count_invoices(session, now=now, **wanted)
        page = query.last_page(asked_page, _PAGE_SIZE, total)
        rows = documents.list_invoices(
            session, now=now, **wanted, sort=sort, limit=_PAGE_SIZE, offset=(page - 1) * _PAGE_SIZE
        )
        sums = documents.sum_invoices(session, now=now, **wanted)
        opened = documents.list_invoices(session, now=now, account_id=account.id, states=OPEN, sort="due", limit=1)
        open_count = documents.count_invoices(session, now=now, account_id=account.id, states=OPEN, kind="invoice")
        held = balances.of_account(session, account.id)
    return htmx.render(
        "tenant/invoices/index.html",
        "tenant/invoices/_list.html",
        rows=rows,
        sums=sums,
        total=total,
        page=page,
        page_size=_PAGE_SIZE,
        sort=sort,
        states=[query.option(text, code == state, state=code or None) for code, text in _STATE_WORDS.items()],
        kinds=[query.option("All", not kind, kind=None)]
        + [query.option(text, code == kind, kind=code) for code, text in _KINDS.items()],
        chip_rows=_chips(state, kind),
        open_count=open_count,
        next_due=next((row for row in opened if row.kind == "invoice"), None),
        open_balances=[one for one in held if one.receivable_minor],
        notices=url.notices,
    )


@blueprint.get("/invoices/<key>")
@access.requires("billing.read")
def invoices_detail(key: str) -> Response:
    """One document: parties, lines with their evidence, tax, payments, history; htmx gets the state of its PDF."""
    account = access.current_account()
    with services.database().reading() as session:
        found = get_issued(session, key)
        receipts = receipt_files.numbers_of(session, [one.transaction_id for one in found.settlements])
    document = found.document
    return htmx.render(
        "tenant/invoices/detail.html",
        "tenant/invoices/_pdf.html",
        found=found,
        row=found.row,
        document=document,
        title=title_of(found),
        country=places.country,
        categories=CATEGORIES,
        lines=lines_of(document),
        tax_note=in_tax_currency(document),
        settlements=[
            {
                "row": one,
                "label": _SETTLED.get(one.kind, words.plain(one.kind)),
                "receipt": receipts.get(one.transaction_id) if one.kind == "payment" else None,
            }
            for one in found.settlements
        ],
        events=[_event(one, document.currency) for one in reversed(found.events)],
        pay_url=url_for("tenant.add_funds_check", invoice=found.row.id) if found.row.due_minor > 0 else None,
        may_pay="billing.write" in account.permissions,
        may_ask="refund.request" in account.permissions
        and found.row.kind == "invoice"
        and found.row.state != "credited",
        zone=account.zone,
    )


@blueprint.get("/invoices/<key>.pdf")
@access.requires("billing.read")
def invoices_pdf(key: str) -> Response:
    """The PDF, the same bytes for ever; while it is being made a page that says so (202) and looks again by itself."""
    account = access.current_account()
    with services.database().reading() as session:
        found = get_issued(session, key)
        pdf = documents.find_pdf(session, invoice_id=found.row.id, account_id=account.id)
    if pdf is None:
        page = render_template("tenant/invoices/pdf_waiting.html", row=found.row, title=title_of(found))
        response = make_response(page, 202)
        response.headers["Retry-After"] = "5"
        return response
    response = Response(pdf.content, mimetype="application/pdf")
    response.headers.set("Content-Disposition", "attachment", filename=pdf.file_name)
    response.headers["X-Content-SHA256"] = pdf.sha256
    return response


def get_issued(session: Session, key: str) -> InvoiceDetail:
    """The issued document of the account with that id or number. Raises NotFound, for a draft and for another's too."""
    account = access.current_account()
    found = documents.get_invoice(session, now=services.now(), key=query.path_key(key), account_id=account.id)
    if found.row.number is None:
        raise NotFound(kind="invoice", id=key[:60])
    return found


def title_of(found: InvoiceDetail) -> str:
    """ "Invoice INV-2026-000131"."""
    return f"{'Credit note' if found.row.kind == 'credit_note' else 'Invoice'} {found.row.number}"


def _chips(state: str, kind: str) -> list[dict[str, str]]:
    chips = [query.chip("State", _STATE_WORDS[state], "state")] if state else []
    return chips + ([query.chip("Kind", _KINDS[kind], "kind")] if kind else [])


def _event(event: EventRow, currency: str) -> dict[str, Any]:
    """An event as the timeline shows it."""
    amount = event.facts.get("amount_minor")
    detail = filters.money(amount, currency) if isinstance(amount, int) else None
    tone = {"paid": "good", "issued": "good", "credited": "warn", "part_paid": "warn"}.get(event.type)
    return {
        "at": event.happened_at,
        "title": _EVENTS.get(event.type, words.plain(event.type)),
        "detail": detail,
        "tone": tone,
    }
