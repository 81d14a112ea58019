"""Signed roots: every one with what it covers, its file to take away, and signing one now."""

from flask import Response, abort, flash, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from billing.assurance import integrity
from billing.jobs import sealing
from billing.kernel.errors import Refusal
from billing.ledger import root_files
from billing.ledger import roots as signed_roots
from billing.ledger.roots import NothingSigned
from portal import access, htmx, sentences, services
from portal.fields import KeyedForm

_PAGE_SIZE = 50


@access.requires_staff("finance.read")
def roots() -> str:
    """Roots, newest first."""
    return _page(())


@access.requires_staff("jobs.run")
def roots_sign() -> Answer | tuple[str, int]:
    """Sign a root over all chains now; where nothing is new, none is signed."""
    if not KeyedForm().validate_on_submit():
        return _page(("The form could not be read: send it again.",)), 422
    try:
        row = sealing.sign_root(
            services.database(),
            services.config().keeping(),
            now=services.now(),
            actor=access.current_principal().id,
        )
    except Refusal as refusal:
        return _page((sentences.of(refusal),)), 409
    words = f"Root number {row.seq} was signed." if row else "Nothing is new: no chain moved since the newest root."
    flash(words, "good" if row else "info")
    return htmx.redirect(url_for("operator.roots"))


@access.requires_staff("finance.read")
def roots_file(seq: int) -> Response:
    """The file of one root, the same bytes as in the folder."""
    with services.database().reading() as session:
        try:
            row = signed_roots.get(session, seq)
        except NothingSigned:
            abort(404)
        content = root_files.render(row, signed_roots.moved_heads(session, seq))
    response = Response(content, mimetype="application/json")
    response.headers.set("Content-Disposition", "attachment", filename=root_files.name_of(seq))
    return response


def _page(refusals: tuple[str, ...]) -> str:
    before = request.args.get("before", "")
    before_seq = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
    folder = services.config().keeping().folder
    with services.database().reading() as session:
        found = integrity.state(session, folder)
        rows = signed_roots.list_roots(session, limit=_PAGE_SIZE + 1, before_seq=before_seq)
    form = KeyedForm(formdata=None)
    form.ensure_key()
    return render_template(
        "operator/integrity/roots.html",
        state=found,
        rows=rows[:_PAGE_SIZE],
        older_before=rows[_PAGE_SIZE - 1].seq if len(rows) > _PAGE_SIZE else None,
        is_first=before_seq is None,
        missing=frozenset(found.missing),
        folder=folder,
        form=form,
        refusals=refusals,
        now=services.now(),
        may_run="jobs.run" in access.current_principal().staff_permissions,
    )
