"""Messages: every e-mail with its state, what it says, and trying it again."""

from collections.abc import Callable

from flask import Response, flash, make_response, url_for

from billing.kernel.errors import Refusal
from billing.notices import deliveries, letters, mail, topics
from billing.notices.deliveries import DeliveryRow
from billing.rendering.emails import Rendered
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.sentences import notices as words
from portal.tenant.query import Query, chip, path_key

_SIZE = 50
_STATES = {"waiting": "Waiting", "sent": "Sent", "failed": "Given up"}
# What the HTML of a mail may do on our pages: be looked at. No script, nothing fetched from anywhere, a frame of ours around it.
PREVIEW_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"


@access.requires_staff("finance.read")
def messages() -> Response:
    """All messages, newest first; by state, topic and part of the address."""
    query, now = Query(), services.now()
    state, topic = query.choice("state", _STATES, ""), query.choice("topic", list(topics.TOPICS), "")
    text, page = query.text("q"), query.page()
    with services.database().reading() as session:
        rows, total = deliveries.list_deliveries(
            session,
            state=state or None,
            topic=topic or None,
            recipient=text,
            limit=_SIZE,
            offset=(page - 1) * _SIZE,
        )
    mailed = [one for one in topics.TOPICS.values() if one.template is not None]
    chips = [chip("State", _STATES[state], "state")] if state else []
    chips += [chip("Message", topics.get_topic(topic).words, "topic")] if topic else []
    chips += [chip("Address", text, "q")] if text else []
    return htmx.render(
        "operator/messages/index.html",
        "operator/messages/_list.html",
        rows=[(row, topics.get_topic(row.topic).words, _error(row, is_short=True), state_of(row)) for row in rows],
        total=total,
        page=page,
        size=_SIZE,
        state=state,
        topic=topic,
        text=text or "",
        states=[("", "All states"), *_STATES.items()],
        topic_choices=[
            ("", "All messages"),
            *sorted(((one.name, one.words) for one in mailed), key=lambda pair: pair[1]),
        ],
        chips=chips,
        notices=query.notices,
        is_mailing=services.services().mail is not None,
        now=now,
    )


@access.requires_staff("finance.read")
def messages_detail(delivery_id: str) -> Response:
    """One message: how it stands, and its words as they would leave now, without the secret of a link."""
    with services.database().reading() as session:
        row = deliveries.get_delivery(session, delivery_id=path_key(delivery_id))
        rendered = _preview(session, row)
    return _page(row, rendered)


@access.requires_staff("finance.read")
def messages_preview(delivery_id: str) -> Response:
    """The HTML of a message alone, for the frame on its page."""
    with services.database().reading() as session:
        row = deliveries.get_delivery(session, delivery_id=path_key(delivery_id))
        rendered = _preview(session, row)
    answer = make_response(rendered.html if rendered is not None else "<!doctype html><title>No preview</title>")
    answer.headers["Content-Security-Policy"] = PREVIEW_POLICY
    return answer


@access.requires_staff("jobs.run")
def messages_again(delivery_id: str) -> Response:
    """Let a message be tried at once."""
    return _act(delivery_id, deliveries.again, "It is sent within seconds.")


@access.requires_staff("jobs.run")
def messages_set_aside(delivery_id: str) -> Response:
    """Take a message that was given up off the workbench."""
    return _act(delivery_id, deliveries.set_aside, "It is off the list. The message itself stays here.")


def _act(delivery_id: str, act: Callable[..., None], done: str) -> Response:
    try:
        with services.database().transaction() as session:
            act(session, now=services.now(), delivery_id=path_key(delivery_id), actor=access.current_principal().id)
    except Refusal as refusal:
        if errors.status_of(refusal) != 409:
            raise
        with services.database().reading() as session:
            row = deliveries.get_delivery(session, delivery_id=delivery_id)
            return _page(row, _preview(session, row), refusals=[sentences.of(refusal)], status=409)
    flash(done, "good")
    return htmx.redirect(url_for("operator.messages_detail", delivery_id=delivery_id))


def _page(
    row: DeliveryRow, rendered: Rendered | None, *, refusals: list[str] | None = None, status: int = 200
) -> Response:
    now = services.now()
    is_waiting = row.state == "waiting" and row.next_attempt_at.timestamp() - now.timestamp() < 60
    mailer = services.services().mail
    return htmx.render(
        "operator/messages/detail.html",
        "operator/messages/_state.html",
        status=status,
        row=row,
        title=topics.get_topic(row.topic).words,
        error=_error(row),
        state=state_of(row),
        rendered=rendered,
        message_id=mail.message_id(row.id, mailer.sender) if mailer is not None else None,
        most=deliveries.MAX_ATTEMPTS,
        is_busy=state_of(row) == "sending",
        every=htmx.poll_pace((now - row.created_at).total_seconds()) if is_waiting and mailer is not None else None,
        refusals=refusals or [],
        may_act="jobs.run" in access.current_principal().staff_permissions,
        now=now,
    )


def _preview(session: Session, row: DeliveryRow) -> Rendered | None:
    """The words of a message, None when they cannot be made (its error says why)."""
    try:
        letter = letters.get_letter(session, now=services.now(), delivery_id=row.id, is_preview=True)
        return letters.write(letter, base_url=services.config().base_url, token_of=lambda _: letters.HIDDEN)
    except Exception:
        # Whatever kept it from being sent keeps it from being shown.
        return None


def state_of(row: DeliveryRow) -> str:
    """waiting, sending, sent, failed, or settled for one that was given up and taken off the list."""
    if row.state == "waiting" and row.sending_at is not None and row.next_attempt_at > services.now():
        return "sending"
    return "settled" if row.set_aside_at is not None else row.state


def _error(row: DeliveryRow, *, is_short: bool = False) -> str | None:
    return words.of_error(row.error, is_short=is_short) if row.error is not None else None
