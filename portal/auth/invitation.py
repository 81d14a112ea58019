"""Taking up an invitation: whoever is new sets a name and a password; whoever exists signs in first and only gains the role."""

from flask import flash, render_template, request, session, url_for
from werkzeug.wrappers import Response

from billing.accounts import invitations, listing, passwords, permissions, sessions
from billing.accounts.errors import LinkForOther, LinkRefused, LoginTaken
from billing.accounts.invitations import InvitationRow
from billing.kernel.errors import Invalid
from portal import access, htmx, sentences, services
from portal.auth.forms import JoinForm

_FIELDS = ("name", "password")


@access.public
def invitation(token: str) -> Response | tuple[str, int]:
    """What the invitation is to, and the one step that takes it up. A link that cannot be used gets one page, whatever the cause."""
    try:
        with services.database().reading() as reading:
            found = invitations.read(reading, token, key=services.config().link_key, now=services.now())
        principal = access.find_principal()
        if principal is None:
            return _sign_in_first(token, found) if found.is_known else _join(token, found)
        if principal.login != found.login:
            return _page("other", token, found), 403
        return _accept(token, found, principal.id) if request.method == "POST" else (_page("accept", token, found), 200)
    except LinkRefused:
        return render_template("auth/link_refused.html", is_reset=False), 404


def _sign_in_first(token: str, found: InvitationRow) -> Response | tuple[str, int]:
    if request.method == "POST":
        return htmx.redirect(url_for("auth.invitation", token=token))
    return _page("known", token, found, sign_in_url=access.sign_in_url()), 200


def _join(token: str, found: InvitationRow) -> Response | tuple[str, int]:
    form, status, refusals = JoinForm(), 200, []
    if form.validate_on_submit():
        try:
            return _made(token, found, form)
        except LoginTaken:
            return htmx.redirect(url_for("auth.invitation", token=token))
        except Invalid as refusal:
            status, field = 422, refusal.fields.get("field")
            if field in _FIELDS:
                form[field].errors = [sentences.of(refusal)]
            else:
                refusals.append(sentences.of(refusal))
    elif form.is_submitted():
        status = 422
    return _page("new", token, found, form=form, refusals=refusals, least=passwords.LENGTH_MIN), status


def _made(token: str, found: InvitationRow, form: JoinForm) -> Response:
    with services.database().transaction() as writing:
        user_id = invitations.accept_as_new(
            writing,
            token,
            key=services.config().link_key,
            now=services.now(),
            name=form.name.data or "",
            password=form.password.data or "",
        )
        signed_in = sessions.start(
            writing,
            user_id=user_id,
            method="password",
            now=services.now(),
            address=request.remote_addr or "",
            agent=request.user_agent.string,
        )
    access.sign_in(signed_in)
    return _welcome(found)


def _accept(token: str, found: InvitationRow, user_id: str) -> Response | tuple[str, int]:
    try:
        with services.database().transaction() as writing:
            invitations.accept_as_known(
                writing, token, key=services.config().link_key, now=services.now(), user_id=user_id
            )
    except LinkForOther:
        return _page("other", token, found), 403
    return _welcome(found)


def _welcome(found: InvitationRow) -> Response:
    """To the pages that the role opens, of that tenant's first billing account."""
    if found.tenant_id is None:
        flash("Welcome to the staff.", "good")
        return htmx.redirect(url_for("operator.workbench"))
    with services.database().reading() as reading:
        accounts = listing.of_tenant(reading, found.tenant_id)
    if accounts:
        session["account_id"] = accounts[0].id  # checked against the memberships at every request
    flash(f"You are part of {found.tenant_name} now.", "good")
    return htmx.redirect(url_for("tenant.overview"))


def _page(state: str, token: str, found: InvitationRow, **more: object) -> str:
    role = permissions.member_label(found.role) if found.role else permissions.staff_label(found.staff_role or "")
    tables = permissions.MEMBER_PERMISSIONS if found.role else permissions.STAFF_PERMISSIONS
    name = found.role or found.staff_role
    return render_template(
        "auth/invitation.html",
        state=state,
        invitation=found,
        role=role,
        inviter="Whoever runs this portal" if found.invited_by.startswith("cli:") else found.invited_by,
        allowed=[permission.words for permission in tables if name in permission.roles],
        action=url_for("auth.invitation", token=token),
        **more,
    )
