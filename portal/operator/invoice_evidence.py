"""The evidence of any issued document, as its tenant can take it away."""

from flask import Response, flash, url_for
from werkzeug.wrappers import Response as Answer

from billing.accounts import listing
from billing.assurance import evidence
from billing.invoicing.errors import NotReady
from billing.jobs import sealing
from portal import access, htmx, services
from portal.tenant.query import path_key


@access.requires_staff("finance.read")
def invoice_runs_evidence(invoice_id: str) -> Answer:
    """The zip file, streamed; back to the document's page while its files are being made."""
    try:
        with services.database().reading() as session:
            found = evidence.find(session, key=path_key(invoice_id))
            account = listing.get_account(session, found.account_id)
    except NotReady:
        flash("The files are not made yet.", "info")
        return htmx.redirect(url_for("operator.invoice_runs_document", invoice_id=invoice_id))
    end = sealing.checkpoint(
        services.database(),
        services.config().keeping(),
        account_id=found.account_id,
        now=services.now(),
        actor=access.current_principal().id,
    )
    chunks = services.streamed(lambda session: evidence.stream(session, account, end, found))
    response = Response(chunks, mimetype="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=found.file_name)
    return response
