"""Your account: name, formats, password. For tenants and staff alike."""

from datetime import date

from flask import flash, render_template, request, url_for
from werkzeug.wrappers import Response
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]

from billing.accounts import passwords, sessions, users
from billing.kernel.errors import Invalid
from billing.rendering import formats
from portal import access, htmx, sentences, services
from portal.auth import sign_in
from portal.auth.forms import PasswordForm, ProfileForm

_LANGUAGES = {"en": "English", "de": "German", "fr": "French", "ja": "Japanese"}
_BROWSER = "browser"
_WRONG = "This is not the password you have now."


@access.requires_sign_in()
def profile() -> Response | tuple[str, int]:
    """Name, and how numbers and dates are written."""
    principal, form = access.current_principal(), ProfileForm()
    form.locale.choices = _locale_choices()
    status = 200
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                users.change_profile(
                    session,
                    user_id=principal.id,
                    name=form.name.data or "",
                    locale=None if form.locale.data == _BROWSER else form.locale.data,
                    now=services.now(),
                )
        except Invalid as refusal:
            status = 422
            form.name.errors = [sentences.of(refusal)]
        else:
            flash("Your profile is saved.", "good")
            return htmx.redirect(url_for("you.profile"))
    elif form.is_submitted():
        status = 422
    else:
        form.name.data, form.locale.data = principal.name, principal.locale or _BROWSER
    return render_template("auth/you/profile.html", form=form, login=principal.login), status


@access.requires_sign_in(fresh=True)
def password() -> Response | tuple[str, int]:
    """The old password, then the new one; every other sign-in ends."""
    form, principal = PasswordForm(), access.current_principal()
    status, refusals = 200, []
    if form.validate_on_submit():
        outcome = _change(form)
        if outcome is None:
            flash("Your password is changed. You are signed out everywhere else.", "good")
            return htmx.redirect(url_for("you.password"))
        status, field, sentence = outcome
        if field is None:
            refusals.append(sentence)
        else:
            form[field].errors = [sentence]
    elif form.is_submitted():
        status = 422
    return (
        render_template(
            "auth/you/password.html",
            form=form,
            refusals=refusals,
            least=passwords.LENGTH_MIN,
            login=principal.login,
        ),
        status,
    )


def _change(form: PasswordForm) -> tuple[int, str | None, str] | None:
    """None when it is done, else (status, the field it is about, the sentence). A wrong old password is counted."""
    principal, now = access.current_principal(), services.now()
    with services.database().transaction() as session:
        attempt = users.try_password(
            session,
            user_id=principal.id,
            password=form.current.data or "",
            now=now,
            address=request.remote_addr or "",
        )
    if attempt.user_id is None:
        return (429, None, sign_in.SLOWED) if attempt.is_slowed else (422, "current", _WRONG)
    try:
        with services.database().transaction() as session:
            users.change_password(
                session,
                user_id=principal.id,
                password=form.password.data or "",
                now=now,
                except_session_id=access.current_standing().id,
            )
            token = sessions.renew(session, session_id=access.current_standing().id, now=now)
    except Invalid as refusal:
        return 422, "password", sentences.of(refusal)
    access.renew(token)
    return None


def _locale_choices() -> list[SelectChoice]:
    shown = date(2026, 11, 21)
    return [
        SelectChoice(_BROWSER, "As the browser asks"),
        *(
            SelectChoice(code, f"{name}: {formats.integer(1_234_567, locale=code)}, {formats.day(shown, locale=code)}")
            for code, name in _LANGUAGES.items()
        ),
    ]
