"""An address that is asked whether it wants an account's documents, and the way out that stands in each mail."""

from flask import render_template, request

from billing.accounts import recipients
from billing.accounts.errors import LinkRefused
from billing.accounts.recipients import Asked
from portal import access, services


@access.public
def recipient(token: str) -> tuple[str, int]:
    """What the link is about, and its one or two buttons; following it changes nothing by itself, as programs that look at mails do."""
    try:
        if request.method == "POST":
            return _act(token, request.form.get("act", ""))
        with services.database().reading() as session:
            asked = recipients.read(session, token, key=services.config().link_key, now=services.now())
        return _page(token, asked, "listed" if asked.is_verified else "asked"), 200
    except LinkRefused:
        return render_template("auth/recipient_refused.html"), 404


def _act(token: str, act: str) -> tuple[str, int]:
    done = {"confirm": (recipients.confirm, "confirmed"), "decline": (recipients.decline, "declined")}
    if act not in done:
        with services.database().reading() as session:
            asked = recipients.read(session, token, key=services.config().link_key, now=services.now())
        return _page(token, asked, "listed" if asked.is_verified else "asked"), 422
    change, state = done[act]
    with services.database().transaction() as session:
        asked = change(session, token, key=services.config().link_key, now=services.now())
    return _page(token, asked, state), 200


def _page(token: str, asked: Asked, state: str) -> str:
    return render_template("auth/recipient.html", asked=asked, state=state, token=token)
