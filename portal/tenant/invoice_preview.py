"""The running period as its invoice would say it now: a page, and a pro forma that is printed while one waits."""

from flask import Response, make_response, render_template

from billing.invoicing import drafts, seller_profiles
from billing.invoicing.documents import proforma
from billing.invoicing.documents.model import InvoiceDocument
from billing.kernel import periods
from billing.kernel.errors import Refusal
from billing.rendering import places
from billing.storage import limits
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.tenant import blueprint
from portal.tenant.invoice_words import CATEGORIES, in_tax_currency, lines_of

PER_ACCOUNT = limits.Policy(name="pro_forma", limit=30, window_s=600)
"""Each one starts a process: thirty in ten minutes are enough for people, a reload after each change included."""


@blueprint.get("/invoices/preview")
@access.requires("billing.read")
def invoices_preview() -> Response:
    """What the invoice of the running period would say now, with everything that leads to it."""
    try:
        with services.database().reading() as session:
            document = _preview(session)
    except Refusal as refusal:
        return _refused(refusal)
    return _page(document)


def _page(document: InvoiceDocument | None) -> Response:
    return htmx.render(
        "tenant/invoices/preview.html",
        "tenant/invoices/preview.html",
        document=document,
        lines=lines_of(document) if document else [],
        categories=CATEGORIES,
        country=places.country,
        tax_note=in_tax_currency(document) if document else None,
        now=services.now(),
    )


@blueprint.get("/invoices/preview.pdf")
@access.requires("billing.read")
def invoices_preview_pdf() -> Response:
    """The pro forma; the page of the period where nothing is to be billed yet or it cannot be made."""
    account, now = access.current_account(), services.now()
    if not limits.take(services.database(), bucket=account.id, policy=PER_ACCOUNT, now=now).is_allowed:
        return make_response(
            render_template(
                "tenant/invoices/preview_refused.html",
                sentence="Many pro formas were printed. Try again in ten minutes.",
            ),
            429,
        )
    try:
        with services.database().reading() as session:
            document = _preview(session)
            logo = seller_profiles.logo_bytes(session, document.logo_sha256) if document else None
        if document is None:
            return _page(None)
        content = proforma.to_pdf(document, logo=logo, at=now)
    except Refusal as refusal:
        return _refused(refusal)
    return as_pdf(content, f"pro-forma-{account.code}-{document.period_label}.pdf")


def as_pdf(content: bytes, file_name: str) -> Response:
    """A PDF to keep."""
    response = Response(content, mimetype="application/pdf")
    response.headers.set("Content-Disposition", "attachment", filename=file_name)
    return response


def _preview(session: Session) -> InvoiceDocument | None:
    account, now = access.current_account(), services.now()
    label = periods.label_of(now, "month", account.zone)
    return drafts.preview(session, now=now, account_id=account.id, period_label=label)


def _refused(refusal: Refusal) -> Response:
    page = render_template("tenant/invoices/preview_refused.html", sentence=sentences.of(refusal))
    return make_response(page, errors.status_of(refusal))
