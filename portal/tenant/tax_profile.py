"""Tax profile: business or consumer, the VAT id and what was found about it, and how the next invoice would be taxed."""

from flask import Response, flash, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import Length

from billing.accounts import directory, profiles, tax_profiles, vat_consultations
from billing.invoicing.taxes import service as taxes
from billing.kernel.clock import get_zone
from billing.kernel.errors import Refusal
from billing.rendering import places
from portal import access, errors, htmx, sentences, services, tax_words
from portal.tenant import blueprint


class TaxProfileForm(FlaskForm):
    """Who the customer is to the tax office."""

    customer_kind = RadioField(
        "You buy as",
        choices=[SelectChoice("business", "A business"), SelectChoice("consumer", "A private person")],
        validate_choice=False,
    )
    vat_id = StringField("VAT id", [Length(max=40)])


@blueprint.get("/settings/tax")
@access.requires("billing.read")
def tax_profile() -> Response:
    """What is known, what was found out, and what follows from it."""
    account = access.current_account()
    with services.database().reading() as session:
        billed = directory.get_account(session, account.id)
        profile = profiles.get_profile(session, account.id)
        seller = directory.get_seller(session, billed.seller_id)
        said = tax_profiles.find(session, account.id)
        today = services.now().astimezone(get_zone(seller.zone)).date()
        consultations = vat_consultations.list_of(session, account.id, limit=10)
        try:
            decision = taxes.treat(session, account=billed, seller=seller, profile=profile, on=today)
            why = tax_words.of_decision(decision)
        except Refusal as refusal:  # no rate is held for that day
            why, decision = None, None
            flash(sentences.of(refusal), "warn")
        versions = tax_profiles.versions(session, account.id)
    return make_response(
        render_template(
            "tenant/tax_profile/index.html",
            profile=profile,
            kind=tax_words.KINDS[tax_profiles.kind_of(said, profile.vat_id)],
            country=places.country(profile.country),
            override=said if said is not None and said.override_category else None,
            overrides=tax_words.OVERRIDES,
            why=why,
            consultations=consultations,
            methods=tax_words.METHODS,
            outcomes=tax_words.OUTCOMES,
            versions=versions,
            kinds=tax_words.KINDS,
            prices_include_tax=billed.prices_include_tax,
            may_write="billing.write" in account.permissions,
            zone=account.zone,
        )
    )


@blueprint.route("/settings/tax/edit", methods=["GET", "POST"])
@access.requires("billing.write")
def tax_profile_edit() -> Response:
    """Change the kind of customer and the VAT id, from the next draft on."""
    account, form, refusals = access.current_account(), TaxProfileForm(), []
    with services.database().reading() as session:
        profile = profiles.get_profile(session, account.id)
        said = tax_profiles.find(session, account.id)
    if request.method == "GET":
        form.customer_kind.data = tax_profiles.kind_of(said, profile.vat_id)
        form.vat_id.data = profile.vat_id or ""
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                tax_profiles.change(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    customer_kind=form.customer_kind.data or "",
                    vat_id=form.vat_id.data,
                    actor=access.current_principal().id,
                )
            flash(
                "The tax profile is changed. Drafts that are open keep what they say until they are made again.", "good"
            )
            return htmx.redirect(url_for("tenant.tax_profile"))
        except Refusal as refusal:
            status, field = errors.status_of(refusal), str(refusal.fields.get("field", ""))
            if field in form:
                form[field].errors = [sentences.of(refusal)]
            else:
                refusals = [sentences.of(refusal)]
    return make_response(
        render_template(
            "tenant/tax_profile/edit.html", form=form, refusals=refusals, country=places.country(profile.country)
        ),
        status,
    )
