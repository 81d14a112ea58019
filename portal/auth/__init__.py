"""Sign-in and sign-out, and the choice between a person's billing accounts."""

from flask import Blueprint, render_template, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from billing.accounts import principals, users
from portal import access, htmx, services

blueprint = Blueprint("auth", __name__)

_REFUSED = "E-mail address and password do not match."
_SLOWED = "Too many tries. Wait a few minutes, then try again."


class SignInForm(FlaskForm):
    """E-mail address and password; one message for all failures."""

    login = StringField("E-mail address", [InputRequired("Enter your e-mail address."), Length(max=254)])
    password = PasswordField("Password", [InputRequired("Enter your password."), Length(max=200)])


@blueprint.route("/sign-in", methods=["GET", "POST"])
@access.public
def sign_in() -> Response | tuple[str, int]:
    """The form; on success back to the page that asked for it."""
    if request.method == "GET" and access.find_principal() is not None:
        return htmx.redirect(access.next_url(request.args.get("next")))
    form = SignInForm()
    status, refusals = 200, []
    if form.validate_on_submit():
        with services.database().transaction() as session:
            attempt = users.try_sign_in(
                session,
                form.login.data or "",
                form.password.data or "",
                now=services.now(),
                address=request.remote_addr or "",
            )
            principal = principals.find_principal(session, attempt.user_id) if attempt.user_id else None
        if principal is not None:
            access.sign_in(principal)
            return htmx.redirect(access.next_url(request.args.get("next")))
        status = 429 if attempt.is_slowed else 422
        refusals.append(_SLOWED if attempt.is_slowed else _REFUSED)
    elif form.is_submitted():
        status = 422
    return render_template("auth/sign_in.html", form=form, refusals=refusals), status


@blueprint.post("/sign-out")
@access.public
def sign_out() -> Response:
    """End the session; caches of the browser are cleared with it."""
    access.sign_out()
    response = htmx.redirect(access.sign_in_url())
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@blueprint.post("/account")
@access.public
def choose_account() -> Response:
    """Change the billing account in force to another of one's own."""
    if access.find_principal() is None:
        return htmx.unauthorised(access.sign_in_url())
    access.choose_account(request.form.get("account_id", ""))
    return htmx.redirect(access.home_url())
