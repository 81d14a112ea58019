"""The mails about one document: who got it, and sending it again."""

from typing import Any

from flask import flash, url_for
from werkzeug.wrappers import Response

from billing.notices import copies, deliveries, topics
from billing.storage.database import Session
from portal import access, htmx, services
from portal.fields import KeyedForm
from portal.operator.messages import state_of
from portal.tenant.query import path_key


class AgainForm(KeyedForm):
    """Sending a document once more."""


@access.requires_staff("invoice.issue", fresh=True)
def invoice_runs_send(invoice_id: str) -> Response:
    """Send an issued document again to everybody who would get it today; one form is one mail each."""
    form = AgainForm()
    invoice_id = path_key(invoice_id)
    if form.validate_on_submit() and form.form_key.data:
        with services.database().transaction() as session:
            is_queued = copies.send_again(
                session,
                now=services.now(),
                invoice_id=invoice_id,
                form_key=form.form_key.data,
                actor=access.current_principal().id,
            )
        flash("It is sent again within seconds." if is_queued else "This was sent already.", "good")
    return htmx.redirect(url_for("operator.invoice_runs_document", invoice_id=invoice_id))


def facts_of(session: Session, invoice_id: str) -> dict[str, Any]:
    """What the section of a document's page shows."""
    form = AgainForm(formdata=None)
    form.ensure_key()
    rows = deliveries.list_about(session, invoice_id=invoice_id)
    return {
        "mails": [(row, topics.get_topic(row.topic).words, state_of(row)) for row in rows],
        "again_key": form.form_key.data,
        "may_send": "invoice.issue" in access.current_principal().staff_permissions,
        "is_mailing": services.services().mail is not None,
    }
