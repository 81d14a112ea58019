"""The files of an invoice beside its PDF: XML in both syntaxes of EN 16931, and CSV."""

from flask import Response, flash, url_for

from billing.invoicing.documents import files
from portal import access, htmx, services
from portal.tenant import blueprint
from portal.tenant.invoices import get_issued


@blueprint.get("/invoices/<key>.<any(xml, ubl, csv):format>")
@access.requires("billing.read")
def invoices_file(key: str, format: str) -> Response:
    """The stored bytes, the same for ever; back to the invoice's page while they are being made."""
    account = access.current_account()
    with services.database().reading() as session:
        found = get_issued(session, key)
        stored = files.find(session, key=found.row.id, format=format, account_id=account.id)
    if stored is None:
        flash("The files are made within a minute of issue: look again in a moment.", "info")
        return htmx.redirect(url_for("tenant.invoices_detail", key=key))
    return to_response(stored)


def to_response(stored: files.StoredFile) -> Response:
    """A stored file as a download, with the hash by which anybody can verify it."""
    response = Response(stored.content, mimetype=stored.media_type)
    response.headers.set("Content-Disposition", "attachment", filename=stored.file_name)
    response.headers["X-Content-SHA256"] = stored.sha256
    return response
