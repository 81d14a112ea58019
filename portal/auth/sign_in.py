"""Signing in, with a second step for those who have set one up, and signing out."""

from typing import Any

from flask import render_template, request, session, url_for
from itsdangerous import BadSignature
from werkzeug.wrappers import Response

from billing.accounts import second_factor, sessions, users
from billing.storage.database import Session
from portal import access, htmx, kept, services
from portal.auth.forms import CodeForm, SignInForm
from portal.auth.keys import sealer

REFUSED = "E-mail address and password do not match."
SLOWED = "Too many tries. Wait a few minutes, then try again."
CODE_REFUSED = "The code is not right, or was used already. Take the one your app shows now."
RECOVERY_REFUSED = "The recovery code is not right, or was used already."
_TOO_LATE = "The second step waits five minutes. Sign in again."
_PENDING = "pending"
_PENDING_MAX_AGE_S = 300


@access.public
def sign_in() -> Response | tuple[str, int]:
    """The form; on success on to the second step, or back to the page that asked for it."""
    if request.method != "POST" and access.find_principal() is not None:
        return htmx.redirect(access.next_url(request.args.get("next")))
    form = SignInForm()
    status, refusals = 200, []
    if form.validate_on_submit():
        with services.database().transaction() as database_session:
            attempt = users.try_sign_in(
                database_session,
                form.login.data or "",
                form.password.data or "",
                now=services.now(),
                address=request.remote_addr or "",
            )
            pending = _pending_of(database_session, attempt.user_id)
            token = _start(database_session, attempt.user_id, "password") if attempt.user_id and not pending else None
        if token is not None:
            return welcome(token)
        if pending is not None:
            return _ask_for_code(pending)
        status = 429 if attempt.is_slowed else 422
        refusals.append(SLOWED if attempt.is_slowed else REFUSED)
    elif form.is_submitted():
        status = 422
    return _page("auth/sign_in.html", form, refusals), status


@access.public
def second_step() -> Response | tuple[str, int]:
    """The code of the app or a recovery code; until it is right the browser has no sign-in, only five minutes."""
    pending = _find_pending()
    if pending is None:
        if access.find_principal() is not None:
            return htmx.redirect(access.next_url(request.args.get("next")))
        status = 422 if request.method == "POST" else 200
        return _page("auth/sign_in.html", SignInForm(formdata=None), [_TOO_LATE]), status
    form = CodeForm()
    status, refusals = 200, []
    if form.validate_on_submit():
        with services.database().transaction() as database_session:
            attempt = second_factor.try_code(
                database_session,
                user_id=pending,
                code=form.code.data or "",
                sealer=sealer(),
                now=services.now(),
                address=request.remote_addr or "",
            )
            token = _start(database_session, pending, f"password+{attempt.kind}") if attempt.kind else None
        if token is not None:
            return welcome(token)
        status = 429 if attempt.is_slowed else 422
        refusals.append(SLOWED if attempt.is_slowed else RECOVERY_REFUSED if by_recovery_code() else CODE_REFUSED)
    elif form.is_submitted():
        status = 422
    return _code_page(form, refusals), status


@access.public
def sign_out() -> Response:
    """End the sign-in; caches of the browser are cleared with it."""
    access.sign_out()
    response = htmx.redirect(url_for("auth.sign_in"))
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@access.public
def choose_account() -> Response:
    """Change the billing account in force to another of one's own."""
    if access.find_principal() is None:
        return htmx.unauthorised(access.sign_in_url())
    access.choose_account(request.form.get("account_id", ""))
    return htmx.redirect(access.home_url())


def welcome(token: str) -> Response:
    """Take up the sign-in that has begun: to what was typed when the last one ended, else to the page that asked."""
    access.sign_in(token)
    found = kept.unpack(request.form.get(kept.FIELD), access.current_principal().id, now=services.now())
    return kept.offer(found) if found else htmx.redirect(access.next_url(request.args.get("next")))


def by_recovery_code() -> bool:
    """Whether the person has no app at hand and asked to use a recovery code."""
    return "recovery" in request.args


def _start(database_session: Session, user_id: str, method: str) -> str:
    """Begin the sign-in, in place of one that this browser may still have."""
    sessions.end(database_session, access.held_token(), now=services.now())
    return sessions.start(
        database_session,
        user_id=user_id,
        method=method,
        now=services.now(),
        address=request.remote_addr or "",
        agent=request.user_agent.string,
    )


def _ask_for_code(pending: str) -> Response | tuple[str, int]:
    """Drop all that the browser held, give it five minutes, and ask; what was typed before goes on in the form itself."""
    access.forget_browser()
    session[_PENDING] = pending
    if kept.FIELD in request.form:
        return _code_page(CodeForm(formdata=None), []), 200
    return htmx.redirect(url_for("auth.second_step", next=request.args.get("next")))


def _pending_of(database_session: Session, user_id: str | None) -> str | None:
    """What the browser holds between the two steps; a change of the password voids it."""
    if user_id is None or not second_factor.is_enrolled(database_session, user_id):
        return None
    user = users.find_user(database_session, user_id)
    return access.signer(_PENDING).dumps([user_id, users.mark_of_password(user)]) if user else None


def _find_pending() -> str | None:
    """Whose second step it is, or None: too late, forged, or the password was changed or the person disabled meanwhile."""
    try:
        user_id, mark = access.signer(_PENDING).loads(str(session.get(_PENDING, "")), max_age=_PENDING_MAX_AGE_S)
    except BadSignature:
        return None
    with services.database().reading() as database_session:
        user = users.find_user(database_session, user_id)
    return user_id if user and not user.is_disabled and users.mark_of_password(user) == mark else None


def _code_page(form: CodeForm, refusals: list[str]) -> str:
    is_recovery, back = by_recovery_code(), request.args.get("next")
    return _page(
        "auth/second_step.html",
        form,
        refusals,
        by_recovery=is_recovery,
        action=url_for("auth.second_step", recovery=1 if is_recovery else None, next=back),
        other_url=url_for("auth.second_step", recovery=None if is_recovery else 1, next=back),
    )


def _page(template: str, form: Any, refusals: list[str], **more: object) -> str:
    context = {"action": url_for("auth.sign_in", next=request.args.get("next")), **more}
    return render_template(template, form=form, refusals=refusals, token=request.form.get(kept.FIELD), **context)
