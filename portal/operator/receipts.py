"""Receipts and pro formas for operators: the list of an account's receipts, their PDFs, and a draft as it would be printed."""

from flask import Response, flash, make_response, render_template, url_for

from billing.accounts import listing
from billing.invoicing import invoices, seller_profiles
from billing.invoicing.documents import proforma
from billing.kernel.errors import NotFound, Refusal
from billing.payments import receipt_files
from portal import access, errors, htmx, sentences, services
from portal.tenant.invoice_preview import as_pdf
from portal.tenant.query import Query, last_page, path_key

_PAGE_SIZE = 50


@access.requires_staff("finance.read")
def accounts_receipts(account_id: str) -> Response:
    """The receipts of one account, newest first."""
    url, key = Query(), path_key(account_id)
    template = "operator/receipts/index.html"
    with services.database().reading() as session:
        account = listing.get_account(session, key)
        total = receipt_files.count_receipts(session, account_id=account.id)
        page = last_page(url.page(), _PAGE_SIZE, total)
        rows = receipt_files.list_receipts(
            session, account_id=account.id, limit=_PAGE_SIZE, offset=(page - 1) * _PAGE_SIZE
        )
    return htmx.render(
        template,
        template,
        account=account,
        rows=rows,
        total=total,
        page=page,
        page_size=_PAGE_SIZE,
        notices=url.notices,
    )


@access.requires_staff("finance.read")
def receipts_pdf(receipt_id: str) -> Response:
    """A receipt's PDF; back to its account's receipts while it waits for the renderer."""
    with services.database().reading() as session:
        line, _, _ = receipt_files.get_receipt(session, path_key(receipt_id))
        pdf = receipt_files.find_pdf(session, line.id)
    if pdf is None:
        flash("The receipt is not printed yet.", "info")
        return htmx.redirect(url_for("operator.accounts_receipts", account_id=line.account_id))
    return as_pdf(pdf.content, pdf.file_name)


@access.requires_staff("finance.read")
def documents_pro_forma(invoice_id: str) -> Response:
    """A draft as a pro forma, printed while one waits; a page that says why where it cannot be."""
    try:
        with services.database().reading() as session:
            found = invoices.get_invoice(session, now=services.now(), key=path_key(invoice_id))
            logo = seller_profiles.logo_bytes(session, found.document.logo_sha256)
        if found.row.number is not None or found.row.state == "void":
            raise NotFound(invoice=invoice_id[:60])
        content = proforma.to_pdf(found.document, logo=logo, at=services.now())
    except NotFound:
        raise
    except Refusal as refusal:
        page = render_template("operator/receipts/refused.html", sentence=sentences.of(refusal), invoice_id=invoice_id)
        return make_response(page, errors.status_of(refusal))
    return as_pdf(content, f"pro-forma-{found.document.account_code}-{found.document.period_label or found.row.id}.pdf")
