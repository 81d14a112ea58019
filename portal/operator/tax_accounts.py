"""The tax side of one billing account: who it is, what proves its VAT id, and what finance decided about it."""

from flask import flash, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import DateField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length, Optional

from billing.accounts import countries, directory, profiles, tax_profiles, vat_consultations
from billing.accounts.tables import BillingAccount, BillingProfile
from billing.accounts.tax_profiles import OverrideFacts
from billing.invoicing.taxes import service as taxes
from billing.kernel.clock import get_zone
from billing.kernel.errors import Invalid, Refusal
from billing.reference import vatex
from billing.rendering import places
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services, tax_words
from portal.tenant.query import path_key


class OverrideForm(FlaskForm):
    """What finance decides about an account; no category takes it away."""

    category = SelectField(
        "Treatment",
        choices=[SelectChoice("", "As its facts say")]
        + [SelectChoice(code, words) for code, words in tax_words.OVERRIDES.items()],
        validate_choice=False,
    )
    reason = StringField("Reason, as invoices print it", [Length(max=200)])
    vatex = SelectField("Reason code", validate_choice=False)
    certificate = StringField("Certificate", [Length(max=100)])
    valid_from = DateField("First day", [Optional()])
    valid_until = DateField("Last day", [Optional()])
    delivery_country = SelectField("Delivered to", validate_choice=False)


class AcceptForm(FlaskForm):
    """An operator's own look at a VAT id."""

    is_valid = RadioField(
        "What was found",
        choices=[SelectChoice("yes", "The number is valid"), SelectChoice("no", "The number is not valid")],
        default="yes",
        validate_choice=False,
    )
    reason = TextAreaField("How it was found out", [InputRequired("Say how: it is kept as evidence."), Length(max=500)])


@access.requires_staff("finance.read")
def accounts_tax(account_id: str) -> Response:
    """What is known of the account, what was found about its VAT id, how an invoice of today would be taxed."""
    with services.database().reading() as session:
        account, profile = _account(session, account_id)
        seller = directory.get_seller(session, account.seller_id)
        said = tax_profiles.find(session, account.id)
        today = services.now().astimezone(get_zone(seller.zone)).date()
        why = tax_words.of_decision(taxes.treat(session, account=account, seller=seller, profile=profile, on=today))
        consultations = vat_consultations.list_of(session, account.id)
        versions = tax_profiles.versions(session, account.id)
    return make_response(
        render_template(
            "operator/tax/account.html",
            account=account,
            profile=profile,
            country=places.country(profile.country),
            kind=tax_words.KINDS[tax_profiles.kind_of(said, profile.vat_id)],
            override=said if said is not None and said.override_category else None,
            overrides=tax_words.OVERRIDES,
            why=why,
            consultations=consultations,
            methods=tax_words.METHODS,
            outcomes=tax_words.OUTCOMES,
            kinds=tax_words.KINDS,
            versions=versions,
            asks_vies=seller.vat_check == "vies",
            may_manage="tax.manage" in access.current_principal().staff_permissions,
        )
    )


@access.requires_staff("tax.manage")
def accounts_tax_override(account_id: str) -> Response:
    """Set what finance decided about the account, or take it away."""
    form, refusals, status = OverrideForm(), [], 422 if request.method == "POST" else 200
    form.vatex.choices = [SelectChoice("", "None")] + [
        SelectChoice(code, f"{code} ({vatex.words(code)})") for category in "EKGO" for code in vatex.codes(category)
    ]
    names = sorted((places.country(code), code) for code in countries.codes())
    form.delivery_country.choices = [SelectChoice("", "Not a delivery")] + [
        SelectChoice(code, of) for of, code in names
    ]
    with services.database().reading() as session:
        account, _ = _account(session, account_id)
        said = tax_profiles.find(session, account.id)
    if request.method == "GET" and said is not None and said.override_category:
        form.category.data, form.reason.data, form.vatex.data = (
            said.override_category,
            said.override_reason,
            said.override_vatex or "",
        )
        form.certificate.data, form.valid_from.data = said.certificate, said.valid_from
        form.valid_until.data, form.delivery_country.data = said.valid_until, said.delivery_country or ""
    if form.validate_on_submit():
        try:
            facts = _override(form)
            with services.database().transaction() as session:
                tax_profiles.override(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    facts=facts,
                    actor=access.current_principal().id,
                )
            flash("The treatment is changed. It counts for drafts that are made from now on.", "good")
            return htmx.redirect(url_for("operator.accounts_tax", account_id=account.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    return make_response(
        render_template("operator/tax/override.html", form=form, refusals=refusals, account=account), status
    )


@access.requires_staff("tax.manage")
def accounts_tax_accept(account_id: str) -> Response:
    """Record an operator's own look at the account's VAT id."""
    form, refusals, status = AcceptForm(), [], 422 if request.method == "POST" else 200
    with services.database().reading() as session:
        account, profile = _account(session, account_id)
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                vat_consultations.accept(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    vat_id=profile.vat_id or "",
                    is_valid=form.is_valid.data == "yes",
                    reason=form.reason.data or "",
                    actor=access.current_principal().id,
                )
            flash("What you found is kept as evidence.", "good")
            return htmx.redirect(url_for("operator.accounts_tax", account_id=account.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    return make_response(
        render_template(
            "operator/tax/accept.html", form=form, refusals=refusals, account=account, vat_id=profile.vat_id
        ),
        status,
    )


@access.requires_staff("tax.manage")
def accounts_tax_ask(account_id: str) -> Response:
    """Ask VIES about the account's VAT id now; no transaction is open while it answers."""
    form = FlaskForm()
    with services.database().reading() as session:
        account, _ = _account(session, account_id)
    if form.validate_on_submit():
        row = vat_consultations.consult(
            services.database(),
            services.config().vat_register,
            now=services.now(),
            account_id=account.id,
            actor=access.current_principal().id,
            role="web",
        )
        if row is None:
            flash("The account has no VAT id to ask about.", "warn")
        elif row.outcome == "unavailable":
            flash(
                "VIES could not answer now. It is asked again by itself; you can also accept the number by hand.",
                "warn",
            )
        else:
            flash(
                f"VIES says: {tax_words.OUTCOMES[row.outcome].lower()}.", "good" if row.outcome == "valid" else "warn"
            )
    return htmx.redirect(url_for("operator.accounts_tax", account_id=account.id))


def _account(session: Session, account_id: str) -> tuple[BillingAccount, BillingProfile]:
    account = directory.get_account(session, path_key(account_id))
    return account, profiles.get_profile(session, account.id)


def _override(form: OverrideForm) -> OverrideFacts | None:
    """What was typed. Raises Invalid."""
    if not form.category.data:
        return None
    code = form.vatex.data or None
    if code is not None:
        if form.category.data == "Z":
            raise Invalid(field="vatex", value=code, reason="vatex_of_other_category")
        vatex.require_code(code, form.category.data)
    return OverrideFacts(
        category=form.category.data,
        reason=form.reason.data or (vatex.words(code) if code else ""),
        vatex=code,
        certificate=form.certificate.data,
        valid_from=form.valid_from.data,
        valid_until=form.valid_until.data,
        delivery_country=form.delivery_country.data or None,
    )


def _attached(form: FlaskForm, refusal: Refusal) -> list[str]:
    field = str(refusal.fields.get("field", ""))
    if field in form:
        form[field].errors = [sentences.of(refusal)]
        return []
    return [sentences.of(refusal)]
