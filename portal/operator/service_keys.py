"""Service keys: keys of the operator's own machines, which speak for the tenants that they list."""

from flask import Response, flash, make_response, render_template, url_for
from flask_wtf import FlaskForm
from wtforms import TextAreaField

from billing.accounts import directory, keys, permissions
from billing.kernel.errors import NotFound, Refusal
from portal import access, errors, htmx, key_forms, services
from portal.key_forms import KeyForm
from portal.tenant.query import path_key

_MAX_TENANTS = 500


class ServiceKeyForm(KeyForm):
    """The same with the tenants that the key may name."""

    tenants = TextAreaField("Tenants")


@access.requires_staff("admin")
def service_keys() -> str:
    """All service keys, those in force first."""
    now = services.now()
    with services.database().reading() as session:
        rows = keys.list_keys(session, now=now, tenant_id=None)
    return render_template("operator/service_keys/index.html", rows=rows, words=permissions.SCOPE_WORDS, now=now)


@access.requires_staff("admin", fresh=True)
def service_keys_new() -> Response:
    """The form; its answer is the page with the key, which reloading does not show again."""
    form, actor = ServiceKeyForm(), access.current_principal().id
    key_forms.prepare(form, permissions.SERVICE_SCOPES | permissions.STAFF_SCOPES)
    if not form.validate_on_submit():
        return _form_page(form, 422 if form.is_submitted() else 200)
    tenant_ids = _tenant_ids(form)
    if tenant_ids is None:
        return _form_page(form, 422)
    try:
        with services.database().transaction() as session:
            made = keys.find_made(session, actor=actor, tenant_id=None, form_key=form.form_key.data or "")
            if made is not None:
                key_id, plaintext = made.id, None
            else:
                key, plaintext = keys.create_key(
                    session,
                    now=services.now(),
                    tenant_id=None,
                    actor=actor,
                    tenant_ids=tenant_ids,
                    **key_forms.wanted(form),
                )
                key_id = key.id
    except NotFound:
        raise
    except Refusal as refusal:
        return _form_page(form, errors.status_of(refusal), key_forms.attached(form, refusal))
    page = render_template("operator/service_keys/made.html", label=form.label.data, plaintext=plaintext, key_id=key_id)
    return make_response(page, 200 if plaintext else 409)


@access.requires_staff("admin")
def service_keys_revoke(key_id: str) -> Response:
    """Ask, then end a service key."""
    form = FlaskForm()
    with services.database().reading() as session:
        row = keys.get_key(session, now=services.now(), key_id=path_key(key_id), tenant_id=None)
    if not form.validate_on_submit():
        page = render_template("operator/service_keys/revoke.html", row=row, now=services.now())
        return make_response(page, 200)
    with services.database().transaction() as session:
        keys.revoke_own(session, now=services.now(), key_id=row.id, tenant_id=None, actor=access.current_principal().id)
    flash(f"The key {row.label} is revoked: requests with it are refused from now on.", "good")
    return htmx.redirect(url_for("operator.service_keys"))


def _tenant_ids(form: ServiceKeyForm) -> list[str] | None:
    """The tenants that were named, one a line; None after saying at the field which are none. The operator's own keys need none."""
    named = [line.strip() for line in (form.tenants.data or "").splitlines() if line.strip()]
    if not named and permissions.STAFF_SCOPES.issuperset(form.scopes.data or []):
        return []
    if not 0 < len(named) <= _MAX_TENANTS:
        form.tenants.errors = [f"Name at most {_MAX_TENANTS} tenants." if named else "Name at least one tenant."]
        return None
    with services.database().reading() as session:
        found = {name: directory.find_tenant(session, name) for name in named}
    missing = [name for name, tenant in found.items() if tenant is None]
    if missing:
        shown = ", ".join(name[:40] for name in missing[:5])
        form.tenants.errors = [f"There is no tenant {shown}{' and others' if len(missing) > 5 else ''}."]
        return None
    return [tenant.id for tenant in found.values() if tenant is not None]


def _form_page(form: ServiceKeyForm, status: int, refusals: list[str] | None = None) -> Response:
    page = render_template("operator/service_keys/new.html", form=form, refusals=refusals or [])
    return make_response(page, status)
