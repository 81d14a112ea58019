"""Your account: two-step sign-in. Setting it up, its recovery codes, turning it off."""

from flask import flash, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from billing.accounts import recovery_codes, sessions
from billing.accounts import second_factor as room
from billing.kernel.errors import Conflict
from portal import access, htmx, services
from portal.auth.forms import CodeForm
from portal.auth.keys import sealer

_WRONG = "The code is not right. Check that your telephone's clock is, and take the code it shows now."
_FILE = "plumbline-recovery-codes.txt"


@access.requires_sign_in()
def two_step() -> str:
    """Whether it is on, since when, and how many recovery codes are left."""
    return _state_page()


@access.requires_sign_in(fresh=True)
def two_step_begin() -> Response:
    """Make a secret; the next page shows it."""
    with services.database().transaction() as session:
        room.begin(session, user_id=access.current_principal().id, sealer=sealer(), now=services.now())
    return htmx.redirect(url_for("you.two_step_set_up"))


@access.requires_sign_in(fresh=True)
def two_step_set_up() -> Response | tuple[str, int]:
    """The secret as a picture and as text; its first code puts it in force, and the recovery codes are shown, once."""
    principal, own_id = access.current_principal(), access.current_standing().id
    with services.database().reading() as session:
        secret = room.find_waiting_secret(session, user_id=principal.id, sealer=sealer())
    if secret is None:
        return htmx.redirect(url_for("you.two_step")) if request.method == "POST" else (_state_page(), 200)
    form = CodeForm()
    status, refusals = 200, []
    if form.validate_on_submit():
        with services.database().transaction() as session:
            codes = room.confirm(
                session,
                user_id=principal.id,
                code=form.code.data or "",
                sealer=sealer(),
                now=services.now(),
                session_id=own_id,
            )
            token = (
                sessions.renew(session, session_id=own_id, now=services.now(), method="password+totp")
                if codes
                else None
            )
        if codes is not None and token is not None:
            access.renew(token)
            return _codes_page(codes, is_new=True)
        status = 422
        refusals.append(_WRONG)
    elif form.is_submitted():
        status = 422
    return _set_up_page(form, secret, principal.login, refusals), status


@access.requires_sign_in(fresh=True)
def two_step_codes() -> Response | tuple[str, int]:
    """Ten new recovery codes in place of the old ones."""
    form = FlaskForm()
    if not form.validate_on_submit():
        with services.database().reading() as session:
            is_on = room.is_enrolled(session, access.current_principal().id)
        return (render_template("auth/you/two_step_renew.html", form=form) if is_on else _state_page()), 200
    with services.database().transaction() as session:
        codes = room.renew_codes(session, user_id=access.current_principal().id, now=services.now())
    return _codes_page(codes, is_new=False)


@access.requires_sign_in(fresh=True)
def two_step_file() -> Response:
    """The codes that the page has just shown, as a file; only those that are in force."""
    principal, codes = access.current_principal(), request.form.get("codes", "").split()
    with services.database().transaction() as session:
        if not recovery_codes.are_unused(session, user_id=principal.id, codes=codes):
            raise Conflict(reason="recovery_codes_changed")
        room.record_download(session, user_id=principal.id, now=services.now())
    text = f"Plumbline recovery codes of {principal.login}\nEach works once.\n\n" + "\n".join(codes) + "\n"
    response = make_response(text)
    response.mimetype = "text/plain"
    response.headers.set("Content-Disposition", "attachment", filename=_FILE)
    return response


@access.requires_sign_in(fresh=True)
def two_step_off() -> Response | tuple[str, int]:
    """Ask, then turn it off."""
    form, principal, own_id = FlaskForm(), access.current_principal(), access.current_standing().id
    if form.validate_on_submit():
        with services.database().transaction() as session:
            room.remove(session, user_id=principal.id, now=services.now(), session_id=own_id)
            token = sessions.renew(session, session_id=own_id, now=services.now(), method="password")
        access.renew(token)
        flash("Two-step sign-in is off.", "good")
        return htmx.redirect(url_for("you.two_step"))
    if not principal.has_second_factor:
        return _state_page(), 200
    is_required = principal.is_staff and services.config().is_staff_mfa_required
    return render_template("auth/you/two_step_off.html", form=form, is_required=is_required), 200


def _state_page() -> str:
    principal = access.current_principal()
    with services.database().reading() as session:
        device = room.find_device(session, principal.id)
        left = recovery_codes.count_left(session, user_id=principal.id)
    return render_template(
        "auth/you/two_step.html",
        device=device,
        left=left,
        is_required=principal.is_staff and services.config().is_staff_mfa_required,
    )


def _set_up_page(form: CodeForm, secret: str, login: str, refusals: list[str]) -> str:
    import segno  # only this page draws one

    picture = segno.make(room.address_of(secret, login), error="m", micro=False)
    return render_template(
        "auth/you/two_step_set_up.html",
        form=form,
        refusals=refusals,
        # Dark on a white ground whatever the page's colours: cameras need it.
        picture=picture.svg_data_uri(scale=4, border=4, light="#fff", encode_minimal=False),
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
    )


def _codes_page(codes: list[str], *, is_new: bool) -> Response:
    """Not a redirect: the codes are nowhere to be read again."""
    return make_response(render_template("auth/you/two_step_codes.html", codes=codes, is_new=is_new))
