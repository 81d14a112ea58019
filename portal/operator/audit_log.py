"""The audit log: who did what, newest first, and how far the chain over it reaches."""

from flask import abort, render_template, url_for
from werkzeug.wrappers import Response

from billing.assurance import audit_log as log
from portal import access, htmx, services
from portal.navigation import url_with
from portal.operator import subjects, words
from portal.tenant.query import Query, chip, path_key

_SIZE = 50


@access.requires_staff("audit.read")
def audit_log() -> Response:
    """The rows that match; older ones are reached by a link, because a log is never counted."""
    query = Query()
    with services.database().reading() as session:
        acts = log.list_acts(session)
        room = query.choice("act", acts, "", word="act")
        actor, subject, account, before = (query.text(name) for name in ("actor", "subject", "account", "before"))
        rows = log.list_rows(
            session,
            act=room or None,
            actor=actor,
            subject_id=subject,
            account_id=account,
            before_id=before,
            limit=_SIZE + 1,
        )
        chain = log.chain_state(session)
    shown = rows[:_SIZE]
    chips = [chip("Act", room, "act")] if room else []
    chips += [
        chip(word, value, name)
        for word, value, name in (
            ("Actor", actor, "actor"),
            ("Subject", subject, "subject"),
            ("Account", account, "account"),
        )
        if value
    ]
    return htmx.render(
        "operator/audit_log/index.html",
        "operator/audit_log/_rows.html",
        rows=[(row, words.act_title(row.act), subjects.word(row.subject_type)) for row in shown],
        chain=chain,
        act_choices=[("", "All acts"), *((name, name.replace("_", " ").capitalize()) for name in acts)],
        act=room,
        subject=subject or "",
        chips=chips,
        older_url=url_with(before=shown[-1].id) if len(rows) > _SIZE else None,
        newest_url=url_with(before=None) if before else None,
        notices=query.notices,
    )


@access.requires_staff("audit.read")
def audit_log_row(audit_id: str) -> str:
    """One row with everything it says, and its place in the chain."""
    with services.database().reading() as session:
        row = log.get_row(session, path_key(audit_id))
    if row is None:
        abort(404)
    return render_template(
        "operator/audit_log/row.html",
        row=row,
        title=words.act_title(row.act),
        subject_word=subjects.word(row.subject_type),
        subject_url=subjects.find_url(row.subject_type, row.subject_id),
        trace_url=url_for("operator.diagnostics", id=row.correlation_id) if row.correlation_id else None,
    )
