"""Forgotten passwords: asking for a link, and the new password. The same answer whether or not somebody signs in with that address."""

from flask import flash, render_template, request, url_for
from werkzeug.wrappers import Response

from billing.accounts import attempts, passwords, resets
from billing.accounts.errors import LinkRefused
from billing.kernel.errors import Invalid
from billing.storage import limits
from portal import access, htmx, sentences, services
from portal.auth.forms import ForgotForm, ResetForm

_SLOWED = "A link was asked for too often. Look into your mailbox, its junk folder too, or try again in an hour."


@access.public
def forgot() -> Response | tuple[str, int]:
    """The address; then, for anybody, that a link is on its way if the address is somebody's."""
    if request.method == "GET" and "sent" in request.args:
        return render_template("auth/forgot_sent.html", minutes=int(resets.LIFE.total_seconds()) // 60), 200
    form, status, refusals = ForgotForm(), 200, []
    if form.validate_on_submit():
        if _may_ask(form.login.data or ""):
            with services.database().transaction() as session:
                resets.ask(session, login=form.login.data or "", now=services.now())
            return htmx.redirect(url_for("auth.forgot", sent=1))
        status = 429
        refusals.append(_SLOWED)
    elif form.is_submitted():
        status = 422
    return render_template("auth/forgot.html", form=form, refusals=refusals), status


@access.public
def reset(token: str) -> Response | tuple[str, int]:
    """The new password, by the link; then signing in with it, in both steps where there are two."""
    form = ResetForm()
    try:
        with services.database().reading() as reading:
            login = resets.read(reading, token, key=services.config().link_key, now=services.now())
    except LinkRefused:
        return _refused()
    try:
        if form.validate_on_submit():
            return _change(token, form)
    except LinkRefused:
        return _refused()
    except Invalid as refusal:
        form.password.errors = [sentences.of(refusal)]
    return _reset_page(token, form, login), 422 if form.is_submitted() else 200


def _change(token: str, form: ResetForm) -> Response:
    with services.database().transaction() as session:
        resets.use(
            session, token, key=services.config().link_key, now=services.now(), password=form.password.data or ""
        )
    flash("Your password is changed. Sign in with it.", "good")
    return htmx.redirect(url_for("auth.sign_in"))


def _refused() -> tuple[str, int]:
    return render_template("auth/link_refused.html", is_reset=True), 404


def _reset_page(token: str, form: ResetForm, login: str) -> str:
    return render_template(
        "auth/reset.html",
        form=form,
        login=login,
        least=passwords.LENGTH_MIN,
        action=url_for("auth.reset", token=token),
    )


def _may_ask(login: str) -> bool:
    """Counted for any address that is typed, somebody's or not: by its hash, and by the network that asks."""
    by_login, by_address = attempts.buckets(login.strip().lower(), request.remote_addr or "")
    return all(
        limits.take(services.database(), bucket=bucket, policy=policy, now=services.now()).is_allowed
        for bucket, policy in ((by_address, resets.PER_ADDRESS), (by_login, resets.PER_LOGIN))
    )
