"""What a request meets that may not pass yet: sign in first, or prove once more who you are. What was typed is kept for the same person."""

from flask import Response, make_response, render_template, request
from flask_wtf import FlaskForm

from portal import access, htmx, kept, services
from portal.auth.forms import CodeForm, SignInForm, VerifyPasswordForm


def sign_in_first() -> Response:
    """A page leads to sign-in and back; a form that was sent gets the sign-in form at once (401), with its entries sealed in it."""
    if request.method in ("GET", "HEAD"):
        return htmx.unauthorised(access.sign_in_url())
    return kept.signed_out(SignInForm(formdata=None), access.sign_in_url(), _sealed(access.ended_owner()))


def verify_first() -> Response:
    """A page leads to /verify and back; a form that was sent gets that question at once (401), with its entries sealed in it."""
    if request.method in ("GET", "HEAD"):
        return htmx.unauthorised(access.verify_url())
    principal = access.current_principal()
    return verify_page(
        verify_form(is_blank=True), action=access.verify_url(), token=_sealed(principal.id), status=401, is_sent=True
    )


def verify_form(*, is_blank: bool = False) -> FlaskForm:
    """What this person proves themselves with: a code when they have a second factor, else their password."""
    form = CodeForm if access.current_principal().has_second_factor else VerifyPasswordForm
    return form(formdata=None) if is_blank else form()


def verify_page(
    form: FlaskForm,
    *,
    action: str,
    token: str | None,
    status: int,
    refusals: tuple[str, ...] = (),
    is_sent: bool = False,
) -> Response:
    """The question, as a page or for htmx inside the page that stays. `is_sent`: it stands in the way of a form just sent."""
    is_part = is_sent and htmx.is_partial_request()
    page = render_template(
        "auth/_verify.html" if is_part else "auth/verify.html",
        form=form,
        action=action,
        token=token,
        refusals=refusals,
        is_sent=is_sent,
        is_part=is_part,
    )
    response = make_response(page, status)
    return htmx.error(response) if is_part else response


def _sealed(user_id: str | None) -> str | None:
    return kept.pack(request.form, request.full_path.rstrip("?"), user_id, now=services.now())
