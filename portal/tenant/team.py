"""The team of a tenant: who belongs to it and with which role, inviting, changing, removing, leaving."""

from flask import Response, flash, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length

from billing.accounts import invitations, permissions
from billing.accounts import team as room
from billing.accounts.team import Member
from billing.kernel.errors import NotFound, Refusal
from billing.storage import limits
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.tenant import blueprint
from portal.tenant.query import path_key

_TOO_MANY = "Your team has sent many invitations today. Try again tomorrow."
_ROLES = [SelectChoice(role.name, f"{role.label}: {role.words}") for role in permissions.MEMBER_TABLE]


class InviteForm(KeyedForm):
    """Whom to invite, as what."""

    login = StringField(
        "E-mail address",
        [InputRequired("Enter an e-mail address."), Length(max=254, message="That is too long.")],
    )
    role = RadioField("Role", choices=_ROLES, default="viewer", validate_choice=False)


class RoleForm(FlaskForm):
    """Another role for a member."""

    role = RadioField("Role", choices=_ROLES, validate_choice=False)


@blueprint.get("/team")
@access.requires("billing.read")
def team() -> str:
    """Everybody with their role; for owners also how they sign in, and the invitations that wait."""
    account, now = access.current_account(), services.now()
    may_manage = "team.manage" in account.permissions
    with services.database().reading() as session:
        members = room.list_members(session, account.tenant_id)
        waiting = invitations.list_open(session, now=now, tenant_id=account.tenant_id) if may_manage else []
    return render_template(
        "tenant/team/index.html",
        members=members,
        invitations=waiting,
        may_manage=may_manage,
        own_id=access.current_principal().id,
        labels={role.name: role.label for role in permissions.MEMBER_TABLE},
        roles=permissions.MEMBER_TABLE,
        permissions=permissions.MEMBER_PERMISSIONS,
        now=now,
        zone=account.zone,
    )


@blueprint.route("/team/invite", methods=["GET", "POST"])
@access.requires("team.manage", fresh=True)
def team_invite() -> Response:
    """Invite an address with a role."""
    form = InviteForm()
    form.ensure_key()
    if not form.validate_on_submit():
        return _invite_page(form, 422 if form.is_submitted() else 200)
    account = access.current_account()
    policy = invitations.PER_TENANT
    if not limits.take(services.database(), bucket=account.tenant_id, policy=policy, now=services.now()).is_allowed:
        return _invite_page(form, 429, [_TOO_MANY])
    try:
        with services.database().transaction() as session:
            invitations.invite(
                session,
                now=services.now(),
                login=form.login.data or "",
                tenant_id=account.tenant_id,
                role=form.role.data or "",
                actor=access.current_principal().id,
                form_key=form.form_key.data,
            )
    except Refusal as refusal:
        return _invite_page(form, errors.status_of(refusal), _attached(form, refusal))
    flash("The invitation is on its way. It is good for seven days.", "good")
    return htmx.redirect(url_for("tenant.team"))


@blueprint.route("/team/<user_id>/role", methods=["GET", "POST"])
@access.requires("team.manage", fresh=True)
def team_role(user_id: str) -> Response:
    """Give a member another role."""
    member, form = _member(user_id), RoleForm()
    if not form.validate_on_submit():
        form.role.data = form.role.data or member.role
        return _role_page(form, member, 422 if form.is_submitted() else 200)
    try:
        with services.database().transaction() as session:
            is_changed = room.change_role(
                session,
                now=services.now(),
                tenant_id=access.current_account().tenant_id,
                user_id=member.user_id,
                role=form.role.data or "",
                actor=access.current_principal().id,
            )
    except NotFound:
        raise
    except Refusal as refusal:
        return _role_page(form, member, errors.status_of(refusal), _attached(form, refusal))
    if is_changed:
        flash(f"{member.name} has the role {permissions.member_label(form.role.data)} now.", "good")
    return htmx.redirect(url_for("tenant.team"))


@blueprint.route("/team/<user_id>/remove", methods=["GET", "POST"])
@access.requires("team.manage", fresh=True)
def team_remove(user_id: str) -> Response:
    """Ask, then take a member out of the team."""
    member, form = _member(user_id), FlaskForm()
    if member.user_id == access.current_principal().id:
        return htmx.redirect(url_for("tenant.team_leave"))
    if not form.validate_on_submit():
        return _end_page(member, is_leaving=False)
    try:
        _end(member)
    except NotFound:
        raise
    except Refusal as refusal:
        return _end_page(member, is_leaving=False, refusal=refusal)
    flash(f"{member.name} is no longer part of the team.", "good")
    return htmx.redirect(url_for("tenant.team"))


@blueprint.route("/team/leave", methods=["GET", "POST"])
@access.requires("billing.read")
def team_leave() -> Response:
    """Ask, then leave the team oneself."""
    principal, tenant_id = access.current_principal(), access.current_account().tenant_id
    member, form = _member(principal.id), FlaskForm()
    if not form.validate_on_submit():
        return _end_page(member, is_leaving=True)
    try:
        _end(member)
    except NotFound:
        raise
    except Refusal as refusal:
        return _end_page(member, is_leaving=True, refusal=refusal)
    flash("You have left the team.", "good")
    if any(account.tenant_id != tenant_id for account in principal.accounts):
        return htmx.redirect(url_for("tenant.overview"))
    return htmx.redirect(url_for("operator.workbench" if principal.is_staff else "you.profile"))


@blueprint.post("/team/invitations/<invitation_id>/again")
@access.requires("team.manage", fresh=True)
def team_invitation_again(invitation_id: str) -> Response:
    """A new link in place of the old one."""
    account = access.current_account()
    policy = invitations.PER_TENANT
    if not limits.take(services.database(), bucket=account.tenant_id, policy=policy, now=services.now()).is_allowed:
        flash(_TOO_MANY, "warn")
        return htmx.redirect(url_for("tenant.team"))
    with services.database().transaction() as session:
        invitations.send_again(
            session,
            now=services.now(),
            invitation_id=path_key(invitation_id),
            tenant_id=account.tenant_id,
            actor=access.current_principal().id,
        )
    flash("A new link is on its way. The older one no longer works.", "good")
    return htmx.redirect(url_for("tenant.team"))


@blueprint.post("/team/invitations/<invitation_id>/withdraw")
@access.requires("team.manage")
def team_invitation_withdraw(invitation_id: str) -> Response:
    """Withdraw an invitation: nobody is told, its link stops working."""
    with services.database().transaction() as session:
        invitations.revoke(
            session,
            now=services.now(),
            invitation_id=path_key(invitation_id),
            tenant_id=access.current_account().tenant_id,
            actor=access.current_principal().id,
        )
    flash("The invitation is withdrawn: its link no longer works.", "good")
    return htmx.redirect(url_for("tenant.team"))


def _member(user_id: str) -> Member:
    with services.database().reading() as session:
        return room.get_member(session, tenant_id=access.current_account().tenant_id, user_id=path_key(user_id))


def _end(member: Member) -> None:
    with services.database().transaction() as session:
        room.remove(
            session,
            now=services.now(),
            tenant_id=access.current_account().tenant_id,
            user_id=member.user_id,
            actor=access.current_principal().id,
        )


def _attached(form: FlaskForm, refusal: Refusal) -> list[str]:
    """The refusal's sentence at the field it is about, else above the form."""
    field = refusal.fields.get("field")
    if field in ("login", "role") and field in form:
        form[field].errors = [sentences.of(refusal)]
        return []
    return [sentences.of(refusal)]


def _invite_page(form: InviteForm, status: int, refusals: list[str] | None = None) -> Response:
    page = render_template("tenant/team/invite.html", form=form, refusals=refusals or [])
    return make_response(page, status)


def _role_page(form: RoleForm, member: Member, status: int, refusals: list[str] | None = None) -> Response:
    page = render_template(
        "tenant/team/role.html",
        form=form,
        member=member,
        is_self=member.user_id == access.current_principal().id,
        refusals=refusals or [],
    )
    return make_response(page, status)


def _end_page(member: Member, *, is_leaving: bool, refusal: Refusal | None = None) -> Response:
    account = access.current_account()
    with services.database().reading() as session:
        keys = room.count_keys_of(session, tenant_id=account.tenant_id, user_id=member.user_id)
    page = render_template(
        "tenant/team/end.html",
        member=member,
        is_leaving=is_leaving,
        keys=keys,
        label=permissions.member_label(member.role),
        refusals=[sentences.of(refusal)] if refusal else [],
        action=request.path,
    )
    return make_response(page, errors.status_of(refusal) if refusal else 200)
