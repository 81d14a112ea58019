"""Search by any id: ours, a document's number, a provider's, a caller's; and names of accounts and people."""

from flask import request, url_for
from werkzeug.wrappers import Response

from billing.accounts import names
from billing.assurance import search as finding
from billing.assurance.search import Hit
from portal import access, htmx, services
from portal.operator import subjects


@access.requires_staff("finance.read")
def search() -> Response:
    """What is found; the only exact match that has a page of its own is opened at once."""
    text = " ".join(request.args.get("q", "").split())[: finding.MAX_LENGTH]
    is_readable = not text or names.is_safe(text)
    hits: list[Hit] = []
    if text and is_readable:
        with services.database().reading() as session:
            hits = finding.find(session, text)
    if len(hits) == 1 and hits[0].by != "name" and request.args.get("stay") is None and not htmx.is_htmx():
        return htmx.redirect(_url(hits[0]))
    return htmx.render(
        "operator/search/index.html",
        "operator/search/_hits.html",
        text=text if is_readable else "",
        rows=[(hit, subjects.word(hit.kind), _url(hit)) for hit in hits],
        is_readable=is_readable,
    )


def _url(hit: Hit) -> str:
    return subjects.find_url(hit.kind, hit.id) or url_for("operator.diagnostics", id=hit.id)
