"""The evidence of an invoice: what anybody needs to prove each of its cents without this portal."""

from flask import Response, flash, url_for
from werkzeug.wrappers import Response as Answer

from billing.assurance import evidence
from billing.invoicing.errors import NotReady
from billing.jobs import sealing
from portal import access, htmx, services
from portal.tenant import blueprint
from portal.tenant.query import path_key


@blueprint.get("/invoices/<key>/evidence.zip")
@access.requires("billing.read")
def invoices_evidence(key: str) -> Answer:
    """The zip file, streamed; back to the invoice's page while its files are being made."""
    account = access.current_account()
    try:
        with services.database().reading() as session:
            found = evidence.find(session, key=path_key(key), account_id=account.id)
    except NotReady:
        flash("The files are made within a minute of issue: look again in a moment.", "info")
        return htmx.redirect(url_for("tenant.invoices_detail", key=key))
    end = sealing.checkpoint(
        services.database(),
        services.config().keeping(),
        account_id=account.id,
        now=services.now(),
        actor=access.current_principal().id,
    )
    chunks = services.streamed(lambda session: evidence.stream(session, account, end, found))
    response = Response(chunks, mimetype="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=found.file_name)
    return response
