"""Receipts: what was paid, each with the PDF that was made for it once."""

from flask import Response, make_response, render_template

from billing.payments import receipt_files
from portal import access, htmx, services
from portal.tenant import blueprint, query
from portal.tenant.invoice_preview import as_pdf
from portal.tenant.query import Query

_PAGE_SIZE = 50


@blueprint.get("/receipts")
@access.requires("billing.read")
def receipts() -> Response:
    """All receipts of the account, newest first."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        total = receipt_files.count_receipts(session, account_id=account.id)
        page = query.last_page(url.page(), _PAGE_SIZE, total)
        rows = receipt_files.list_receipts(
            session, account_id=account.id, limit=_PAGE_SIZE, offset=(page - 1) * _PAGE_SIZE
        )
    return htmx.render(
        "tenant/receipts/index.html",
        "tenant/receipts/_list.html",
        rows=rows,
        total=total,
        page=page,
        page_size=_PAGE_SIZE,
        notices=url.notices,
    )


@blueprint.get("/receipts/<key>.pdf")
@access.requires("billing.read")
def receipts_pdf(key: str) -> Response:
    """The PDF, the same bytes for ever; while it is being made a page that says so (202) and looks again by itself."""
    account = access.current_account()
    with services.database().reading() as session:
        line, _, _ = receipt_files.get_receipt(session, query.path_key(key), account_id=account.id)
        pdf = receipt_files.find_pdf(session, line.id, account_id=account.id)
    if pdf is None:
        response = make_response(render_template("tenant/receipts/waiting.html", row=line), 202)
        response.headers["Retry-After"] = "5"
        return response
    response = as_pdf(pdf.content, pdf.file_name)
    response.headers["X-Content-SHA256"] = pdf.sha256
    return response
