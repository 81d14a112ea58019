"""The files of an issued document beside its PDF, for operators."""

from flask import flash, url_for
from werkzeug.wrappers import Response

from billing.invoicing.documents import files
from portal import access, htmx, services
from portal.tenant.invoice_files import to_response
from portal.tenant.query import path_key


@access.requires_staff("finance.read")
def invoice_runs_file(invoice_id: str, format: str) -> Response:
    """XML in both syntaxes of EN 16931, or CSV; back to the document's page while they are being made."""
    with services.database().reading() as session:
        stored = files.find(session, key=path_key(invoice_id), format=format)
    if stored is None:
        flash("The files are not made yet.", "info")
        return htmx.redirect(url_for("operator.invoice_runs_document", invoice_id=invoice_id))
    return to_response(stored)
