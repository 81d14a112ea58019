"""Step-up: who is signed in proves once more who they are before an act that moves money or changes how they sign in."""

from flask import request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from billing.accounts import second_factor, sessions, users
from billing.storage.database import Session
from portal import access, htmx, kept, services
from portal.auth import challenges, sign_in
from portal.auth.keys import sealer

_PASSWORD_REFUSED = "The password is not right."  # noqa: S105  a sentence


@access.requires_sign_in()
def verify() -> Response:
    """The question; answered, back to the page that asked, or to what was typed."""
    form, now = challenges.verify_form(), services.now()
    status, refusals = 200, []
    if request.method != "POST" and "next" in request.args and access.current_standing().is_fresh(now):
        return htmx.redirect(access.next_url(request.args.get("next")))
    if form.validate_on_submit():
        with services.database().transaction() as database_session:
            kind, is_slowed = _prove(database_session, form)
            token = (
                sessions.renew(database_session, session_id=access.current_standing().id, now=now, method=_method(kind))
                if kind
                else None
            )
        if token is not None:
            access.renew(token)
            found = kept.unpack(request.form.get(kept.FIELD), access.current_principal().id, now=now)
            return kept.offer(found) if found else htmx.redirect(access.next_url(request.args.get("next")))
        status = 429 if is_slowed else 422
        refusals.append(sign_in.SLOWED if is_slowed else _refused())
    elif form.is_submitted():
        status = 422
    return challenges.verify_page(
        form,
        action=request.full_path.rstrip("?"),
        token=request.form.get(kept.FIELD),
        status=status,
        refusals=tuple(refusals),
    )


def _prove(database_session: Session, form: FlaskForm) -> tuple[str | None, bool]:
    """(what it was proved with or None, whether it was not even looked at for too many tries)."""
    principal, now, address = access.current_principal(), services.now(), request.remote_addr or ""
    if principal.has_second_factor:
        code = second_factor.try_code(
            database_session,
            user_id=principal.id,
            code=form.code.data or "",
            sealer=sealer(),
            now=now,
            address=address,
        )
        return code.kind, code.is_slowed
    attempt = users.try_password(
        database_session, user_id=principal.id, password=form.password.data or "", now=now, address=address
    )
    return ("password" if attempt.user_id else None), attempt.is_slowed


def _method(kind: str) -> str | None:
    return None if kind == "password" else f"password+{kind}"


def _refused() -> str:
    return sign_in.CODE_REFUSED if access.current_principal().has_second_factor else _PASSWORD_REFUSED
