"""Your account: where you are signed in, and ending that."""

from flask import flash, render_template, request, url_for
from werkzeug.wrappers import Response

from billing.accounts import sessions as room
from billing.kernel.errors import NotFound
from portal import access, htmx, services
from portal.auth import devices
from portal.tenant.query import path_key

_METHODS = {
    "password": "Password",
    "password+totp": "Password and code",
    "password+recovery_code": "Password and recovery code",
}
_OTHERS = "others"


@access.requires_sign_in()
def sessions() -> str:
    """Every sign-in in force, this one first."""
    own_id, now = access.current_standing().id, services.now()
    with services.database().reading() as session:
        found = room.list_standing(session, user_id=access.current_principal().id, now=now)
    found.sort(key=lambda one: one.id != own_id)
    return render_template(
        "auth/you/sessions.html",
        rows=[(one, devices.in_words(one.agent), _METHODS.get(one.method, one.method)) for one in found],
        own_id=own_id,
        now=now,
        others=_OTHERS,
    )


@access.requires_sign_in(fresh=True)
def sessions_end() -> Response:
    """End one sign-in, or with `end=others` all but this one."""
    user_id, own_id, wanted = access.current_principal().id, access.current_standing().id, request.form.get("end", "")
    with services.database().transaction() as session:
        if wanted == _OTHERS:
            room.revoke_others(session, user_id=user_id, now=services.now(), except_id=own_id)
        elif wanted:
            room.end_one(session, user_id=user_id, session_id=path_key(wanted), now=services.now())
        else:
            raise NotFound(session_id=wanted)
    flash("You are signed out everywhere else." if wanted == _OTHERS else "That sign-in is ended.", "good")
    return htmx.redirect(url_for("you.sessions"))
