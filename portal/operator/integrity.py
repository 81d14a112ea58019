"""Integrity: have the books proven now, and read what earlier proofs found. A proof is a long work with a page of its own."""

from flask import render_template, request, url_for
from werkzeug.wrappers import Response
from wtforms import HiddenField

from billing.accounts import people
from billing.assurance import integrity as books
from billing.assurance import reconciliation
from billing.jobs import leadership, works
from billing.kernel.errors import Refusal
from billing.storage import works as work_rows
from portal import access, htmx, sentences, services
from portal.fields import KeyedForm
from portal.tenant.query import path_key

_LISTED = 20


class ProofForm(KeyedForm):
    """One button each: what to prove, and of which month where that matters."""

    kind = HiddenField()
    period = HiddenField()


@access.requires_staff("finance.read")
def integrity() -> tuple[str, int]:
    """What can be proven, and the last proofs."""
    return _page(()), 200


@access.requires_staff("jobs.run")
def integrity_ask() -> Response | tuple[str, int]:
    """Ask for a proof; then its page, which waits for the result."""
    form = ProofForm()
    if not form.validate_on_submit():
        return _page(("The form could not be read: send it again.",)), 422
    kind, period = form.kind.data or "", (form.period.data or "").strip()
    try:
        with services.database().transaction() as session:
            work_id = works.ask(
                session,
                now=services.now(),
                kind=kind,
                facts={"period": period} if kind == "replay" else {},
                form_key=form.form_key.data or "",
                actor=access.current_principal().id,
            )
    except Refusal as refusal:
        return _page((sentences.of(refusal),)), 422
    return htmx.redirect(url_for("operator.integrity_work", work_id=work_id))


@access.requires_staff("finance.read")
def integrity_work(work_id: str) -> Response:
    """One proof: how far it is, then what it found; the address keeps the result."""
    now = services.now()
    with services.database().reading() as session:
        work = work_rows.get(session, path_key(work_id))
        leader = leadership.find_leader(session, now=now)
        asker = people.names_of(session, {work.requested_by}).get(work.requested_by)
    if work.kind == works.SHADOW_RATING.name:
        return htmx.redirect(url_for("operator.shadow_ratings_work", work_id=work.id))
    return htmx.render(
        "operator/integrity/work.html",
        "operator/integrity/_work.html",
        work=work,
        kind=works.KINDS.get(work.kind),
        check_words=reconciliation.WORDS,
        is_comparison=work.kind == works.RECONCILIATION.name,
        asker=asker,
        leader=leader,
        every=None if work.is_ended else htmx.poll_pace((now - work.requested_at).total_seconds()),
    )


def _page(refusals: tuple[str, ...]) -> str:
    now = services.now()
    with services.database().reading() as session:
        rows = work_rows.list_works(session, kinds=tuple(works.PROOFS), limit=_LISTED)
        leader = leadership.find_leader(session, now=now)
        state = books.state(session, services.config().keeping().folder)
    forms = {}
    for kind in works.PROOFS:
        form = ProofForm(formdata=None)
        form.ensure_key()
        forms[kind] = form
    return render_template(
        "operator/integrity/index.html",
        rows=[(row, works.PROOFS[row.kind]) for row in rows],
        forms=forms,
        kinds=works.PROOFS,
        refusals=refusals,
        leader=leader,
        state=state,
        now=now,
        period=request.form.get("period") or f"{now:%Y-%m}",
        may_run="jobs.run" in access.current_principal().staff_permissions,
    )
