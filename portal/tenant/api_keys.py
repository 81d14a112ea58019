"""API keys of a tenant: what its machines may do. A key's text is shown in the answer that makes it, and nowhere again."""

from flask import Response, flash, make_response, render_template, url_for
from flask_wtf import FlaskForm

from billing.accounts import keys, permissions
from billing.accounts.keys import KeyRow
from billing.kernel.errors import NotFound, Refusal
from portal import access, errors, htmx, key_forms, services
from portal.key_forms import KeyForm
from portal.tenant import blueprint
from portal.tenant.query import path_key


@blueprint.get("/api-keys")
@access.requires("keys.manage")
def api_keys() -> str:
    """The keys of the tenant, those in force first."""
    account, now = access.current_account(), services.now()
    with services.database().reading() as session:
        rows = keys.list_keys(session, now=now, tenant_id=account.tenant_id)
    return render_template(
        "tenant/api_keys/index.html", rows=rows, words=permissions.SCOPE_WORDS, now=now, zone=account.zone
    )


@blueprint.route("/api-keys/new", methods=["GET", "POST"])
@access.requires("keys.manage", fresh=True)
def api_keys_new() -> Response:
    """The form; its answer is the page with the key, which reloading does not show again."""
    account, principal = access.current_account(), access.current_principal()
    form = KeyForm()
    key_forms.prepare(form, permissions.SCOPES & account.permissions)
    if not form.validate_on_submit():
        return _form_page(form, 422 if form.is_submitted() else 200)
    try:
        with services.database().transaction() as session:
            made = keys.find_made(
                session, actor=principal.id, tenant_id=account.tenant_id, form_key=form.form_key.data or ""
            )
            if made is not None:
                key_id, plaintext = made.id, None
            else:
                key, plaintext = keys.create_key(
                    session,
                    now=services.now(),
                    tenant_id=account.tenant_id,
                    actor=principal.id,
                    within=account.permissions,
                    **key_forms.wanted(form),
                )
                key_id = key.id
    except NotFound:
        raise
    except Refusal as refusal:
        return _form_page(form, errors.status_of(refusal), key_forms.attached(form, refusal))
    page = render_template(
        "tenant/api_keys/made.html",
        label=form.label.data,
        plaintext=plaintext,
        key_id=key_id,
        can_read="billing.read" in (form.scopes.data or []),
        base_url=services.config().base_url,
    )
    return make_response(page, 200 if plaintext else 409)


@blueprint.route("/api-keys/<key_id>/revoke", methods=["GET", "POST"])
@access.requires("keys.manage")
def api_keys_revoke(key_id: str) -> Response:
    """Ask, then end a key."""
    row, form = _key(key_id), FlaskForm()
    if not form.validate_on_submit():
        may = "; ".join(permissions.SCOPE_WORDS.get(scope, scope) for scope in row.scopes)
        page = render_template("tenant/api_keys/revoke.html", row=row, row_words=may, now=services.now())
        return make_response(page, 200)
    account = access.current_account()
    with services.database().transaction() as session:
        keys.revoke_own(
            session,
            now=services.now(),
            key_id=row.id,
            tenant_id=account.tenant_id,
            actor=access.current_principal().id,
        )
    flash(f"The key {row.label} is revoked: requests with it are refused from now on.", "good")
    return htmx.redirect(url_for("tenant.api_keys"))


def _key(key_id: str) -> KeyRow:
    with services.database().reading() as session:
        return keys.get_key(
            session,
            now=services.now(),
            key_id=path_key(key_id),
            tenant_id=access.current_account().tenant_id,
        )


def _form_page(form: KeyForm, status: int, refusals: list[str] | None = None) -> Response:
    return make_response(render_template("tenant/api_keys/new.html", form=form, refusals=refusals or []), status)
