"""Billing details: what invoices say about the buyer, and the addresses that get them by e-mail."""

from flask import Response, flash, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length

from billing.accounts import countries, profiles, recipients
from billing.accounts.profiles import ProfileFacts
from billing.accounts.tables import BillingProfile
from billing.kernel.errors import NotFound, Refusal
from billing.rendering import places
from billing.storage import limits
from portal import access, errors, htmx, sentences, services
from portal.tenant import blueprint
from portal.tenant.query import path_key

_TOO_MANY = "Many addresses were asked to confirm today. Try again tomorrow."
_LANGUAGES = {"": "As the seller writes", "en": "English", "de": "German", "fr": "French"}
_PAGE_SIZES = {"": "As the seller prints", "A4": "A4", "letter": "US letter"}


def _choices(words: dict[str, str]) -> list[SelectChoice]:
    return [SelectChoice(value, label) for value, label in words.items()]


class DetailsForm(FlaskForm):
    """What an invoice says about the buyer; the tax ids have a page of their own."""

    legal_name = StringField("Legal name", [InputRequired("Enter the name of the company."), Length(max=200)])
    street = StringField("Street and number", [InputRequired("Enter the street and the number."), Length(max=200)])
    postcode = StringField("Postcode", [InputRequired("Enter the postcode."), Length(max=20)])
    city = StringField("City", [InputRequired("Enter the city."), Length(max=200)])
    country = SelectField("Country", [InputRequired("Choose a country.")], validate_choice=False)
    email = StringField("E-mail address on invoices", [Length(max=254)])
    purchase_order = StringField("Purchase order number", [Length(max=100)])
    buyer_reference = StringField("Your reference", [Length(max=100)])
    language = SelectField("Language of documents", choices=_choices(_LANGUAGES), validate_choice=False)
    page_size = SelectField("Paper of documents", choices=_choices(_PAGE_SIZES), validate_choice=False)


class RecipientForm(FlaskForm):
    """An address to send documents to."""

    email = StringField(
        "E-mail address",
        [InputRequired("Enter an e-mail address."), Length(max=254, message="That is too long.")],
    )


@blueprint.get("/settings/billing")
@access.requires("billing.read")
def billing_details() -> Response:
    """What invoices say about the buyer, and who gets them."""
    return _page(RecipientForm(formdata=None))


@blueprint.route("/settings/billing/edit", methods=["GET", "POST"])
@access.requires("billing.write")
def billing_details_edit() -> Response:
    """Change what invoices say about the buyer, from the next one on."""
    account, form, refusals = access.current_account(), DetailsForm(), []
    with services.database().reading() as session:
        profile = profiles.get_profile(session, account.id)
    form.country.choices = _country_choices()
    if request.method == "GET":
        _fill(form, profile)
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                profiles.update_profile(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    facts=_facts(form, profile),
                    actor=access.current_principal().id,
                )
            flash("The billing details are changed. Invoices that were issued stay as they are.", "good")
            return htmx.redirect(url_for("tenant.billing_details"))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    return make_response(
        render_template("tenant/billing_details/edit.html", form=form, refusals=refusals, vat_id=profile.vat_id), status
    )


@blueprint.post("/settings/billing/recipients")
@access.requires("billing.write")
def billing_details_add() -> Response:
    """Ask an address whether it wants the account's documents."""
    account, form = access.current_account(), RecipientForm()
    if not form.validate_on_submit():
        return _page(form, status=422)
    bucket, policy = account.tenant_id, recipients.PER_TENANT
    if not limits.take(services.database(), bucket=bucket, policy=policy, now=services.now()).is_allowed:
        return _page(form, [_TOO_MANY], status=429)
    try:
        with services.database().transaction() as session:
            recipients.add(
                session,
                now=services.now(),
                account_id=account.id,
                email=form.email.data or "",
                actor=access.current_principal().id,
            )
    except Refusal as refusal:
        return _page(form, _attached(form, refusal), status=errors.status_of(refusal))
    flash("The address is asked to confirm. Nothing else is sent there before.", "good")
    return htmx.redirect(url_for("tenant.billing_details"))


@blueprint.post("/settings/billing/recipients/<recipient_id>/again")
@access.requires("billing.write")
def billing_details_again(recipient_id: str) -> Response:
    """Send the confirming link once more."""
    account = access.current_account()
    policy = recipients.PER_TENANT
    if not limits.take(services.database(), bucket=account.tenant_id, policy=policy, now=services.now()).is_allowed:
        return _page(RecipientForm(formdata=None), [_TOO_MANY], status=429)
    with services.database().transaction() as session:
        recipients.ask_again(
            session,
            now=services.now(),
            account_id=account.id,
            recipient_id=path_key(recipient_id),
            actor=access.current_principal().id,
        )
    flash("The link is on its way again.", "good")
    return htmx.redirect(url_for("tenant.billing_details"))


@blueprint.route("/settings/billing/recipients/<recipient_id>/remove", methods=["GET", "POST"])
@access.requires("billing.write")
def billing_details_remove(recipient_id: str) -> Response:
    """Ask, then take an address off the list."""
    account, form = access.current_account(), FlaskForm()
    with services.database().reading() as session:
        found = recipients.get_recipient(session, account_id=account.id, recipient_id=path_key(recipient_id))
    if not form.validate_on_submit():
        return make_response(
            render_template("tenant/billing_details/remove.html", recipient=found), 422 if form.is_submitted() else 200
        )
    with services.database().transaction() as session:
        recipients.remove(
            session,
            now=services.now(),
            account_id=account.id,
            recipient_id=found.id,
            actor=access.current_principal().id,
        )
    flash(f"Nothing more is sent to {found.email}.", "good")
    return htmx.redirect(url_for("tenant.billing_details"))


def _page(form: RecipientForm, refusals: list[str] | None = None, *, status: int = 200) -> Response:
    account = access.current_account()
    with services.database().reading() as session:
        profile = profiles.get_profile(session, account.id)
        listed = recipients.list_recipients(session, account.id)
    return make_response(
        render_template(
            "tenant/billing_details/index.html",
            profile=profile,
            country=places.country(profile.country),
            language=_LANGUAGES[profile.language or ""],
            page_size=_PAGE_SIZES[profile.page_size or ""],
            recipients=listed,
            form=form,
            refusals=refusals or [],
            may_write="billing.write" in account.permissions,
            now=services.now(),
            zone=account.zone,
        ),
        status,
    )


def _fill(form: DetailsForm, profile: BillingProfile) -> None:
    for field in form:
        if hasattr(profile, field.name):
            field.data = getattr(profile, field.name) or ""


def _facts(form: DetailsForm, profile: BillingProfile) -> ProfileFacts:
    """What was typed; the VAT id stays as it is."""

    def optional(field: StringField | SelectField) -> str | None:
        return (field.data or "").strip() or None

    return ProfileFacts(
        legal_name=form.legal_name.data or "",
        street=form.street.data or "",
        city=form.city.data or "",
        postcode=form.postcode.data or "",
        country=form.country.data or "",
        vat_id=profile.vat_id,
        email=optional(form.email),
        purchase_order=optional(form.purchase_order),
        buyer_reference=optional(form.buyer_reference),
        language=optional(form.language),
        page_size=optional(form.page_size),
    )


def _country_choices() -> list[SelectChoice]:
    names = sorted((places.country(code), code) for code in countries.codes())
    return [SelectChoice(code, name) for name, code in names]


def _attached(form: FlaskForm, refusal: Refusal) -> list[str]:
    """Put the sentence beside its field; what belongs to none stands at the top."""
    if isinstance(refusal, NotFound):
        raise refusal
    field = "email" if refusal.code == "already_recipient" else str(refusal.fields.get("field", ""))
    if field in form:
        form[field].errors = [sentences.of(refusal)]
        return []
    return [sentences.of(refusal)]
