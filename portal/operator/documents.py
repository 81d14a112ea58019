"""One document of a run: what it says, what happened to it, and approving, issuing or voiding it alone."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal

from flask import flash, g, make_response, url_for
from werkzeug.wrappers import Response
from wtforms import TextAreaField
from wtforms.validators import Length

from billing.accounts import listing, people
from billing.invoicing import drafts, invoices, issue, reviews, runs, sending_back
from billing.invoicing.documents.model import Line
from billing.invoicing.errors import DraftDearer, NotADraft
from billing.invoicing.invoices import EventRow, InvoiceDetail
from billing.kernel.errors import Refusal
from billing.rendering import formats, places
from billing.storage.database import Session
from portal import access, errors, filters, htmx, sentences, services
from portal.fields import KeyedForm
from portal.filters import reader_locale
from portal.operator import document_mails, words
from portal.tenant import invoice_words
from portal.tenant.invoice_words import CATEGORIES
from portal.tenant.query import path_key
from portal.unit_words import units

Act = Literal["approve", "issue", "void"]

_FROM: dict[str, tuple[str, ...]] = {
    "approve": ("draft", "in_review"),
    "issue": ("approved",),
    "void": ("draft", "in_review", "approved"),
}
_DONE = {
    "approve": "The draft is approved.",
    "issue": "The invoice is issued. Its PDF is made within seconds.",
    "void": "The draft is void. What it billed waits for the next draft.",
}
_EVENTS = {
    "drafted": ("Drafted", None),
    "review_started": ("Review begun", None),
    "outlier_accepted": ("Outlier accepted", "warn"),
    "taxed": ("Tax worked out by the provider", None),
    "approved": ("Approved", None),
    "issued": ("Issued", "good"),
    "rendered": ("PDF made", None),
    "sent": ("Sent", None),
    "sent_back": ("Back to draft: its total rose", "warn"),
    "voided": ("Voided", "warn"),
    "part_paid": ("Paid in part", "good"),
    "payment_undone": ("Payment undone", "warn"),
    "paid": ("Paid in full", "good"),
    "credited": ("Credited", "warn"),
    "disputed": ("Its payment is disputed", "bad"),
    "dispute_ended": ("The dispute has ended", None),
    "reissued": ("Billed again", "warn"),
    "reminded": ("Reminder sent", None),
    "sent_again": ("Sent again", None),
    "written_off": ("Written off", "warn"),
    "write_off_undone": ("Write-off undone by a payment", "good"),
}


class ActForm(KeyedForm):
    """A decision over one document; an outlier is approved with a reason."""

    outlier_reason = TextAreaField("Why this is right", [Length(max=reviews.REASON_MAX)])


@access.requires_staff("invoice.issue", fresh=True)
def invoice_runs_review(invoice_id: str) -> Response:
    """Say that one looks at a draft."""
    form = KeyedForm()
    invoice_id = path_key(invoice_id)
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                reviews.start(session, now=services.now(), draft_id=invoice_id, actor=access.current_principal().id)
        except NotADraft as refusal:
            flash(sentences.of(refusal), "warn")
    return htmx.redirect(url_for("operator.invoice_runs_document", invoice_id=invoice_id))


@access.requires_staff("finance.read")
def invoice_runs_document(invoice_id: str) -> Response:
    """A draft or an issued document, whole."""
    template = "operator/invoice_runs/document.html"
    with services.database().reading() as session:
        return htmx.render(template, template, **facts_of(session, path_key(invoice_id)))


@access.requires_staff("finance.read")
def invoice_runs_pdf(invoice_id: str) -> Response:
    """The rendered document; back to its page while it waits for the renderer."""
    with services.database().reading() as session:
        pdf = invoices.find_pdf(session, invoice_id=path_key(invoice_id))
    if pdf is None:
        flash("The PDF is not made yet.", "info")
        return htmx.redirect(url_for("operator.invoice_runs_document", invoice_id=invoice_id))
    response = make_response(pdf.content)
    response.mimetype = "application/pdf"
    response.headers.set("Content-Disposition", "attachment", filename=pdf.file_name)
    return response


@access.requires_staff("invoice.issue", fresh=True)
def invoice_runs_act(invoice_id: str, act: Act) -> Response:
    """Check, then approve, issue or void one document."""
    invoice_id = path_key(invoice_id)
    form = ActForm()
    url = url_for("operator.invoice_runs_document", invoice_id=invoice_id)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            _perform(invoice_id, act, form.outlier_reason.data)
            flash(_DONE[act], "good")
            return htmx.redirect(url)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
            if isinstance(refusal, DraftDearer):
                _send_back(invoice_id)
    with services.database().reading() as session:
        facts = facts_of(session, invoice_id)
    if facts["row"].state not in _FROM[act] and not refusals:
        return htmx.redirect(url)
    form.ensure_key()
    template = "operator/invoice_runs/act.html"
    return htmx.render(template, template, status=status, act=act, form=form, refusals=refusals, **facts)


def _perform(invoice_id: str, act: Act, outlier_reason: str | None) -> None:
    actor, now = access.current_principal().id, services.now()
    with services.database().transaction() as session:
        if act == "approve":
            reviews.approve(session, now=now, draft_id=invoice_id, actor=actor, outlier_reason=outlier_reason)
        elif act == "issue":
            issue.issue(session, now=now, draft_id=invoice_id, actor=actor)
        else:
            drafts.void(session, now=now, draft_id=invoice_id, actor=actor)


def _send_back(invoice_id: str) -> None:
    """An act of its own: the refusal took nothing."""
    with services.database().transaction() as session:
        sending_back.send_back(session, now=services.now(), draft_id=invoice_id, actor=access.current_principal().id)


def facts_of(session: Session, invoice_id: str) -> dict[str, Any]:
    """What the templates of one document show."""
    found = invoices.get_invoice(session, now=services.now(), key=invoice_id)
    account = listing.get_account(session, found.row.account_id)
    g.zone = account.zone
    names = people.names_of(session, [*(event.actor for event in found.events), found.approved_by])
    may = "invoice.issue" in access.current_principal().staff_permissions
    return {
        "found": found,
        "row": found.row,
        "document": found.document,
        "account": account,
        "title": title_of(found),
        "month": date.fromisoformat(f"{found.row.period}-01") if found.row.period else None,
        "categories": CATEGORIES,
        "item": _run_item(session, found),
        "lines": [_line(line, found.row.currency) for line in found.document.lines],
        "events": [_event(event, found.row.currency, names) for event in reversed(found.events)],
        "country": places.country,
        "may_discount": "prices.change" in access.current_principal().staff_permissions
        and found.row.state in drafts.OPEN_STATES
        and found.row.period is not None,
        "may_write_off": "ledger.correct" in access.current_principal().staff_permissions
        and found.row.kind == "invoice"
        and found.row.due_minor > 0,
        **(document_mails.facts_of(session, found.row.id) if found.row.number else {}),
        "may_review": may and found.row.state in ("draft", "in_review"),
        "may_credit": may and found.row.kind == "invoice" and found.row.number is not None,
        "may_correct": may
        and found.row.kind == "invoice"
        and found.row.number is not None
        and found.row.period is not None
        and not any(note.state == "issued" for note in found.credit_notes),
        "acts": [act for act in ("void", "approve", "issue") if may and found.row.state in _FROM[act]],
    }


def title_of(found: InvoiceDetail) -> str:
    """A document in words: its number, or whom it is drafted for."""
    row = found.row
    if row.number is None:
        what = "Draft credit note" if row.kind == "credit_note" else "Draft"
        return f"{what} for {found.document.buyer.name}"
    return f"{'Credit note' if row.kind == 'credit_note' else 'Invoice'} {row.number}"


def _run_item(session: Session, found: InvoiceDetail) -> runs.RunItem | None:
    """The document as its run shows it: beside the month before. None for credit notes and void drafts."""
    return runs.find_item(session, found.row.id) if found.row.state != "void" else None


def _line(line: Line, currency: str) -> dict[str, Any]:
    locale = reader_locale()
    base = Decimal(line.price_base_text)
    per = line.unit if base == 1 else f"{formats.quantity(base, places=12, locale=locale)} {units(line.unit)}"
    price = formats.unit_price(Decimal(line.unit_price_text), currency, locale=locale)
    beside = f"≈ {filters.quantity(Decimal(line.beside_text))} {units(line.priced_unit)}" if line.beside_text else ""
    return {
        "line": line,
        "quantity": f"{formats.quantity(Decimal(line.quantity_text), places=12, locale=locale)} {units(line.unit, 1 if abs(Decimal(line.quantity_text)) == 1 else 2)}",
        "beside": beside,
        "price": f"{price} per {per}",
        "notes": invoice_words.notes_of(line, currency),
    }


def _event(event: EventRow, currency: str, names: dict[str, str]) -> dict[str, Any]:
    title, tone = _EVENTS.get(event.type, (event.type.replace("_", " ").capitalize(), None))
    minor = event.facts.get("amount_minor")
    amount = f"{formats.money(minor, currency, locale=reader_locale())}, " if isinstance(minor, int) else ""
    return {
        "at": event.happened_at,
        "title": title,
        "detail": f"{amount}by {words.actor(event.actor, names)}",
        "tone": tone,
    }
