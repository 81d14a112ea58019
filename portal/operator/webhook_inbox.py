"""The inbox of provider events: what came, what became of it, each one with its body and tries; trying again, and closing."""

from datetime import UTC, datetime, time, timedelta

from flask import flash, request, url_for
from werkzeug.wrappers import Response
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

from billing.accounts import people
from billing.assurance import timeline
from billing.kernel.errors import NotFound, Refusal
from billing.payments import inbox
from billing.payments.inbox import EventRow, Filters
from billing.payments.recovery import redaction, session_list
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import payment_words, words
from portal.tenant.query import Query, chip, option, path_key

_SIZE = 50


class CloseForm(KeyedForm):
    """Why nothing needs to be done about a failed event."""

    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: it is kept with the event."),
            Length(max=inbox.REASON_MAX, message=f"At most {inbox.REASON_MAX} characters."),
        ],
    )


@access.requires_staff("finance.read")
def webhook_inbox() -> Response:
    """The newest events, by state, provider, type or id, and day; above them how many wait and since when."""
    query, now = Query(), services.now()
    state = query.choice("state", inbox.STATES, "")
    text, page = query.text("q"), query.page()
    from_on, to_on = query.day("from"), query.day("to")
    with services.database().reading() as session:
        providers = session_list.list_providers(session)
        provider = query.choice("provider", providers, "")
        filters = Filters(
            states=(state,) if state else (),
            provider=provider or None,
            text=text,
            from_at=datetime.combine(from_on, time(), UTC) if from_on else None,
            to_at=datetime.combine(to_on + timedelta(days=1), time(), UTC) if to_on else None,
        )
        counts = {count.state: count for count in inbox.count_states(session)}
        total = inbox.count_events(session, filters)
        rows = inbox.list_events(session, filters, limit=_SIZE, offset=(page - 1) * _SIZE)
    options = [option("All", not state, state=None)]
    options += [option(label, name == state, state=name) for name, label in payment_words.EVENT_STATES.items()]
    chips = [
        chip(label, shown, name)
        for label, shown, name in (
            ("State", payment_words.EVENT_STATES.get(state, ""), "state"),
            ("Provider", payment_words.provider(provider) if provider else "", "provider"),
            ("Type or id", text or "", "q"),
            ("From", from_on.isoformat() if from_on else "", "from"),
            ("To", to_on.isoformat() if to_on else "", "to"),
        )
        if shown
    ]
    return htmx.render(
        "operator/webhook_inbox/index.html",
        "operator/webhook_inbox/_list.html",
        rows=rows,
        counts=counts,
        total=total,
        is_more=total >= inbox.COUNTED_MAX,
        page=page,
        size=_SIZE,
        options=options,
        chips=chips,
        typed={"q": text or "", "from": query.text("from") or "", "to": query.text("to") or ""},
        provider=provider,
        provider_choices=[("", "All"), *((name, payment_words.provider(name)) for name in providers)],
        notices=query.notices,
        words=payment_words,
        now=now,
        may_manage=_may_manage(),
        here=request.full_path.rstrip("?"),
    )


@access.requires_staff("finance.read")
def webhook_inbox_event(event_id: str) -> Response:
    """One event: what it speaks of, each try, and its body without what identifies people."""
    with services.database().reading() as session:
        row = inbox.get_event(session, path_key(event_id))
        tries = inbox.list_tries(session, row.id)
        body = redaction.body(inbox.body_of(session, row.id))
        session_id = _session_of(session, row)
        happened = timeline.of_subject(session, row.id, subject_type="provider_event")
        named = people.names_of(session, [row.closed_by])
    return htmx.render(
        "operator/webhook_inbox/event.html",
        "operator/webhook_inbox/event.html",
        row=row,
        tries=tries,
        body=body,
        session_id=session_id,
        history=words.timeline_of(happened, own_id=row.id),
        closed_by=words.actor(row.closed_by, named) if row.closed_by else None,
        words=payment_words,
        now=services.now(),
        may_manage=_may_manage(),
    )


@access.requires_staff("payments.manage")
def webhook_inbox_retry(event_id: str) -> Response:
    """Let one event wait for its effect once more; harmless when the effect is there already."""
    key = path_key(event_id)
    try:
        with services.database().transaction() as session:
            inbox.reopen(session, now=services.now(), key=key, actor=access.current_principal().id)
    except NotFound:
        raise
    except Refusal as refusal:
        flash(sentences.of(refusal), "bad")
    else:
        flash("The event will be applied again within seconds.", "good")
    return htmx.redirect(url_for("operator.webhook_inbox_event", event_id=key))


@access.requires_staff("payments.manage")
def webhook_inbox_again() -> Response:
    """Let the ticked events wait for their effect once more, at most a page of them; those that cannot are left as they are."""
    keys = [path_key(key) for key in dict.fromkeys(request.form.getlist("event"))][: inbox.BULK_MAX]
    done = refused = 0
    with services.database().transaction() as session:
        for key in keys:
            try:
                inbox.reopen(session, now=services.now(), key=key, actor=access.current_principal().id)
                done += 1
            except Refusal:
                refused += 1
    if not keys:
        flash("Tick the events to be tried again.", "info")
    elif done:
        rest = f" {refused} could not be." if refused else ""
        flash(f"{done} {'event' if done == 1 else 'events'} will be applied again within seconds.{rest}", "good")
    else:
        flash("None of these events can be tried again.", "bad")
    return htmx.redirect(url_for("operator.webhook_inbox", state=request.form.get("state") or None))


@access.requires_staff("payments.manage")
def webhook_inbox_close(event_id: str) -> Response:
    """Take a failed event off the list, with a reason."""
    key, form = path_key(event_id), CloseForm()
    with services.database().reading() as session:
        row = inbox.get_event(session, key)
    back = url_for("operator.webhook_inbox_event", event_id=row.id)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                inbox.close(
                    session,
                    now=services.now(),
                    key=key,
                    reason=form.reason.data or "",
                    actor=access.current_principal().id,
                )
            flash("The event is closed. It can be tried again at any time.", "good")
            return htmx.redirect(back)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    elif row.state != "failed":
        return htmx.redirect(back)
    form.ensure_key()
    return htmx.render(
        "operator/webhook_inbox/close.html",
        "operator/webhook_inbox/close.html",
        status=status,
        row=row,
        form=form,
        refusals=refusals,
        back=back,
        words=payment_words,
    )


def _session_of(session: Session, row: EventRow) -> str | None:
    """The payment session that the event is about, where there is one."""
    for found in (
        session_list.find_session(session, row.reference),
        session_list.find_session_of_payment(session, row.payment_id),
        session_list.find_session_of_object(session, row.provider, row.object_id),
    ):
        if found is not None:
            return found
    return None


def _may_manage() -> bool:
    return "payments.manage" in access.current_principal().staff_permissions
