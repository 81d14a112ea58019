"""The operator's own people: their roles, whether they may sign in, who is invited, and what each role may do."""

from flask import Response, abort, flash, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length

from billing.accounts import invitations, permissions
from billing.accounts import staff as room
from billing.accounts.staff import StaffMember
from billing.kernel.errors import NotFound, Refusal
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.tenant.query import path_key

_ROLES = [SelectChoice(role.name, f"{role.label}: {role.words}") for role in permissions.STAFF_TABLE]
_NONE = "none"
# act of the address -> (heading, button, what happens, what is said afterwards)
_ACTS: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "disable": (
        "Keep {name} from signing in",
        "Disable this person",
        ("They are signed out everywhere, at once, and cannot sign in again.", "What they did stays on record."),
        "{name} cannot sign in any more.",
    ),
    "enable": (
        "Let {name} sign in again",
        "Enable this person",
        ("They sign in with the password and second step they had, and have the same role as before.",),
        "{name} may sign in again.",
    ),
    "sign-out": (
        "Sign {name} out everywhere",
        "End all sign-ins",
        ("Every browser of theirs has to sign in again.", "They are told by e-mail."),
        "{name} is signed out everywhere.",
    ),
}


class InviteForm(KeyedForm):
    """Whom to invite to the staff, as what."""

    login = StringField(
        "E-mail address", [InputRequired("Enter an e-mail address."), Length(max=254, message="That is too long.")]
    )
    role = RadioField("Role", choices=_ROLES, default="viewer", validate_choice=False)


class RoleForm(FlaskForm):
    """Another role for an operator, or none."""

    role = RadioField(
        "Role", choices=[*_ROLES, SelectChoice(_NONE, "None: take them off the staff.")], validate_choice=False
    )


@access.requires_staff("admin")
def staff() -> str:
    """Everybody with a staff role, the invitations that wait, and the table of what each role may do."""
    now = services.now()
    with services.database().reading() as session:
        people = room.list_staff(session, now=now)
        waiting = invitations.list_open(session, now=now, tenant_id=None)
    return render_template(
        "operator/staff/index.html",
        people=people,
        invitations=waiting,
        own_id=access.current_principal().id,
        labels={role.name: role.label for role in permissions.STAFF_TABLE},
        staff_roles=permissions.STAFF_TABLE,
        staff_permissions=permissions.STAFF_PERMISSIONS,
        member_roles=permissions.MEMBER_TABLE,
        member_permissions=permissions.MEMBER_PERMISSIONS,
        now=now,
    )


@access.requires_staff("admin", fresh=True)
def staff_invite() -> Response:
    """Invite an address to the staff."""
    form = InviteForm()
    form.ensure_key()
    if not form.validate_on_submit():
        return _invite_page(form, 422 if form.is_submitted() else 200)
    try:
        with services.database().transaction() as session:
            invitations.invite(
                session,
                now=services.now(),
                login=form.login.data or "",
                staff_role=form.role.data or "",
                actor=access.current_principal().id,
                form_key=form.form_key.data,
            )
    except Refusal as refusal:
        return _invite_page(form, errors.status_of(refusal), _attached(form, refusal))
    flash("The invitation is on its way. It is good for seven days.", "good")
    return htmx.redirect(url_for("operator.staff"))


@access.requires_staff("admin", fresh=True)
def staff_invitation(invitation_id: str, act: str) -> Response:
    """Send an invitation again, with a new link, or withdraw it."""
    change = invitations.send_again if act == "again" else invitations.revoke
    with services.database().transaction() as session:
        change(
            session,
            now=services.now(),
            invitation_id=path_key(invitation_id),
            tenant_id=None,
            actor=access.current_principal().id,
        )
    said = "A new link is on its way. The older one no longer works." if act == "again" else "It is withdrawn."
    flash(said, "good")
    return htmx.redirect(url_for("operator.staff"))


@access.requires_staff("admin")
def staff_person(user_id: str) -> str:
    """One operator, and what can be done about their access."""
    person = _person(user_id)
    return render_template(
        "operator/staff/person.html",
        person=person,
        label=permissions.staff_label(person.role),
        allowed=[one.words for one in permissions.STAFF_PERMISSIONS if person.role in one.roles],
        is_self=person.user_id == access.current_principal().id,
        now=services.now(),
    )


@access.requires_staff("admin", fresh=True)
def staff_role(user_id: str) -> Response:
    """Give an operator another role, or take them off the staff."""
    person, form = _person(user_id), RoleForm()
    if not form.validate_on_submit():
        form.role.data = form.role.data or person.role
        return _role_page(form, person, 422 if form.is_submitted() else 200)
    role = None if form.role.data == _NONE else form.role.data or ""
    try:
        with services.database().transaction() as session:
            room.change_role(
                session, now=services.now(), user_id=person.user_id, role=role, actor=access.current_principal().id
            )
    except NotFound:
        raise
    except Refusal as refusal:
        return _role_page(form, person, errors.status_of(refusal), _attached(form, refusal))
    if role is None:
        flash(f"{person.name} is no longer on the staff.", "good")
        return htmx.redirect(url_for("operator.staff"))
    flash(f"{person.name} has the role {permissions.staff_label(role)} now.", "good")
    return htmx.redirect(url_for("operator.staff_person", user_id=person.user_id))


@access.requires_staff("admin", fresh=True)
def staff_act(user_id: str, act: str) -> Response:
    """Ask, then disable or enable an operator, or end their sign-ins."""
    if act not in _ACTS:
        abort(404)
    person, form = _person(user_id), FlaskForm()
    if not form.validate_on_submit():
        return _act_page(person, act)
    actor, now = access.current_principal().id, services.now()
    try:
        with services.database().transaction() as session:
            if act == "sign-out":
                room.end_sessions(session, now=now, user_id=person.user_id, actor=actor)
            elif act == "disable":
                room.disable(session, now=now, user_id=person.user_id, actor=actor)
            else:
                room.enable(session, now=now, user_id=person.user_id, actor=actor)
    except NotFound:
        raise
    except Refusal as refusal:
        return _act_page(person, act, refusal)
    flash(_ACTS[act][3].format(name=person.name), "good")
    return htmx.redirect(url_for("operator.staff_person", user_id=person.user_id))


def _person(user_id: str) -> StaffMember:
    with services.database().reading() as session:
        return room.get_staff(session, path_key(user_id), now=services.now())


def _attached(form: FlaskForm, refusal: Refusal) -> list[str]:
    """The refusal's sentence at the field it is about, else above the form."""
    field = {"login": "login", "role": "role", "staff_role": "role"}.get(str(refusal.fields.get("field")))
    if field is None or field not in form:
        return [sentences.of(refusal)]
    form[field].errors = [sentences.of(refusal)]
    return []


def _invite_page(form: InviteForm, status: int, refusals: list[str] | None = None) -> Response:
    return make_response(render_template("operator/staff/invite.html", form=form, refusals=refusals or []), status)


def _role_page(form: RoleForm, person: StaffMember, status: int, refusals: list[str] | None = None) -> Response:
    page = render_template("operator/staff/role.html", form=form, person=person, refusals=refusals or [])
    return make_response(page, status)


def _act_page(person: StaffMember, act: str, refusal: Refusal | None = None) -> Response:
    heading, button, effects, _ = _ACTS[act]
    page = render_template(
        "operator/staff/act.html",
        person=person,
        heading=heading.format(name=person.name),
        button=button,
        effects=effects,
        tone="primary" if act == "enable" else "danger",
        action=request.path,
        refusals=[sentences.of(refusal)] if refusal else [],
    )
    return make_response(page, errors.status_of(refusal) if refusal else 200)
