"""Diagnostics: everything that carries one id, in order of time: from the request to the job to the provider's call."""

from flask import url_for
from werkzeug.wrappers import Response

from billing.assurance import diagnostics as tracing
from portal import access, htmx, services
from portal.operator import subjects, words
from portal.tenant.query import Query


@access.requires_staff("finance.read")
def diagnostics() -> Response:
    """The traces of the id asked for."""
    query = Query()
    text = (query.text("id") or "").strip()
    traces: list[tracing.Trace] = []
    if text:
        with services.database().reading() as session:
            traces = tracing.trace(session, text)
    return htmx.render(
        "operator/diagnostics/index.html",
        "operator/diagnostics/_traces.html",
        text=text,
        rows=[
            (
                each,
                words.act_title(each.act) if each.act else subjects.word(each.kind),
                subjects.find_url(each.kind, each.id),
                url_for("operator.diagnostics", id=each.correlation_id)
                if each.correlation_id and each.correlation_id != text
                else None,
            )
            for each in traces
        ],
        notices=query.notices,
    )
