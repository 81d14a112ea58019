"""Sellers: what each says about itself on documents, its logo, and the numbers its documents take."""

from dataclasses import replace
from typing import Any

from flask import Response, flash, request, url_for
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import HiddenField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length, NumberRange

from billing.accounts import countries, logos, printing
from billing.accounts.directory import SellerFacts
from billing.invoicing import seller_profiles
from billing.invoicing.documents import page
from billing.invoicing.seller_profiles import SellerDetail
from billing.kernel.errors import Refusal
from billing.rendering import places
from portal import access, errors, htmx, sentences, services
from portal.tenant.query import path_key

LANGUAGES = {"en": "English", "de": "German", "fr": "French"}
PAGE_SIZES = {"A4": "A4", "letter": "US letter"}
_OPTIONAL = (
    *("vat_id", "tax_number", "legal_id", "phone", "website"),
    *("bank_name", "bank_account", "bic", "footer"),
)


def _needed(label: str, words: str, length: int = 200) -> StringField:
    return StringField(label, [InputRequired(words), Length(max=length, message=f"At most {length} characters.")])


def _optional(label: str, length: int) -> StringField:
    return StringField(label, [Length(max=length, message=f"At most {length} characters.")])


class SellerForm(FlaskForm):
    """What documents say about the seller; `version` is what the person read."""

    version = HiddenField()
    legal_name = _needed("Legal name", "Enter the name of the company.")
    street = _needed("Street and number", "Enter the street and the number.")
    postcode = _needed("Postcode", "Enter the postcode.", 20)
    city = _needed("City", "Enter the city.")
    country = SelectField("Country", [InputRequired("Choose a country.")], validate_choice=False)
    email = _needed("E-mail address", "Enter the address that tenants write to.", 254)
    phone = _optional("Telephone", 30)
    website = _optional("Website", 100)
    vat_id = _optional("VAT ID", 40)
    tax_number = _optional("Tax number", 30)
    legal_id = _optional("Number in the register of companies", 60)
    bank_name = _optional("Bank", 100)
    bank_account = _optional("IBAN", 42)
    bic = _optional("BIC", 20)
    footer = TextAreaField("Foot of documents", [Length(max=printing.FOOTER_MAX, message="At most 500 characters.")])
    language = SelectField("Language of documents", [InputRequired("Choose a language.")], validate_choice=False)
    page_size = SelectField("Paper", [InputRequired("Choose a paper.")], validate_choice=False)
    invoice_prefix = _needed("Prefix of invoices", "Enter what invoice numbers begin with.", 16)
    credit_note_prefix = _needed("Prefix of credit notes", "Enter what credit note numbers begin with.", 16)
    receipt_prefix = _needed("Prefix of receipts", "Enter what receipt numbers begin with.", 16)
    payment_terms_days = IntegerField(
        "Days to pay",
        [InputRequired("Enter a whole number of days."), NumberRange(min=0, max=365, message="From 0 to 365 days.")],
    )


class LogoForm(FlaskForm):
    """A new logo."""

    version = HiddenField()
    logo = FileField("Logo")


@access.requires_staff("finance.read")
def sellers() -> Response:
    """All sellers."""
    template = "operator/sellers/index.html"
    with services.database().reading() as session:
        rows = seller_profiles.list_sellers(session)
    return htmx.render(template, template, rows=rows, country=places.country, languages=LANGUAGES)


@access.requires_staff("finance.read")
def sellers_detail(seller_id: str) -> Response:
    """One seller: how its documents begin and end, its numbers."""
    return _detail_page(_read(seller_id))


@access.requires_staff("finance.read")
def sellers_logo(seller_id: str, sha256: str) -> Response:
    """The logo's bytes, under the name of its hash: it can be kept for ever."""
    with services.database().reading() as session:
        logo = logos.find(session, path_key(sha256))
    if logo is None:
        return Response(status=404)
    response = Response(logo.content, mimetype=logo.media_type)
    response.headers["Content-Disposition"] = "inline"
    return response


@access.requires_staff("seller.manage", fresh=True)
def sellers_edit(seller_id: str) -> Response:
    """Change what documents say from now on; sent with `step=preview` the head of a document as it would be."""
    found, form, refusals = _read(seller_id), SellerForm(), []
    _offer(form)
    if not form.is_submitted():
        _fill(form, found)
        return _edit_page(form, found, found.facts)
    status, shown = 422, found.facts
    if form.validate():
        try:
            shown = _facts(form, found)
            if request.form.get("step") == "preview":
                return _edit_page(form, found, shown, is_preview=True)
            changed = _update(found, shown, form.version.data or "")
            flash("Documents issued from now on say so." if changed else "Nothing was changed.", "good")
            return htmx.redirect(url_for("operator.sellers_detail", seller_id=found.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    return _edit_page(form, found, shown, refusals=refusals, status=status)


@access.requires_staff("seller.manage", fresh=True)
def sellers_new_logo(seller_id: str) -> Response:
    """Print another logo from now on, or none."""
    found, form, refusals = _read(seller_id), LogoForm(), []
    status = 200
    if form.validate_on_submit():
        try:
            is_removed = request.form.get("step") == "remove"
            logo = None if is_removed else logos.of_upload(_sent(form))
            with services.database().transaction() as session:
                seller_profiles.set_logo(
                    session,
                    now=services.now(),
                    seller_id=found.id,
                    logo=logo,
                    version=form.version.data or "",
                    actor=access.current_principal().id,
                )
            flash("Documents are printed without a logo." if is_removed else "Documents carry the new logo.", "good")
            return htmx.redirect(url_for("operator.sellers_detail", seller_id=found.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    form.version.data = form.version.data or found.version
    template = "operator/sellers/logo.html"
    return htmx.render(template, template, status=status, found=found, form=form, refusals=refusals)


def _read(seller_id: str) -> SellerDetail:
    with services.database().reading() as session:
        return seller_profiles.get_detail(session, path_key(seller_id))


def _update(found: SellerDetail, facts: SellerFacts, version: str) -> tuple[str, ...]:
    with services.database().transaction() as session:
        return seller_profiles.update(
            session,
            now=services.now(),
            seller_id=found.id,
            facts=facts,
            version=version,
            actor=access.current_principal().id,
        )


def _facts(form: SellerForm, found: SellerDetail) -> SellerFacts:
    """The seller with what was typed; an emptied field holds nothing. Raises Invalid naming the field."""
    typed = {name: value for name, value in form.data.items() if hasattr(found.facts, name)}
    return replace(found.facts, **typed | {name: typed[name] or None for name in _OPTIONAL})


def _sent(form: LogoForm) -> bytes:
    """The file, and one byte more than is allowed, so that a larger one is told apart."""
    upload = form.logo.data
    return bytes(upload.read(logos.BYTES_MAX + 1)) if upload else b""


def _offer(form: SellerForm) -> None:
    named = sorted((places.country(code), code) for code in countries.codes())
    form.country.choices = [SelectChoice(code, name) for name, code in named]
    form.language.choices = [SelectChoice(code, name) for code, name in LANGUAGES.items()]
    form.page_size.choices = [SelectChoice(code, name) for code, name in PAGE_SIZES.items()]


def _fill(form: SellerForm, found: SellerDetail) -> None:
    for field in form:
        if hasattr(found.facts, field.short_name):
            field.data = getattr(found.facts, field.short_name)
    form.version.data = found.version


def _attached(form: FlaskForm, refusal: Refusal) -> list[str]:
    """The refusal's sentence at the field it is about, else above the form."""
    name = str(refusal.fields.get("field"))
    if name not in form:
        return [sentences.of(refusal)]
    form[name].errors = [sentences.of(refusal)]
    return []


def _edit_page(
    form: SellerForm,
    found: SellerDetail,
    shown: SellerFacts,
    *,
    is_preview: bool = False,
    refusals: list[str] | None = None,
    status: int = 200,
) -> Response:
    template = "operator/sellers/edit.html"
    return htmx.render(
        template,
        template,
        status=status,
        form=form,
        found=found,
        is_preview=is_preview,
        refusals=refusals or [],
        **_printed(shown),
    )


def _detail_page(found: SellerDetail) -> Response:
    template = "operator/sellers/detail.html"
    may = "seller.manage" in access.current_principal().staff_permissions
    return htmx.render(template, template, found=found, may_edit=may, **_printed(found.facts))


def _printed(facts: SellerFacts) -> dict[str, Any]:
    """What a preview of a document's head shows."""
    return {
        "facts": facts,
        "iban": page.spaced(facts.bank_account or ""),
        "country": places.country,
        "languages": LANGUAGES,
        "page_sizes": PAGE_SIZES,
        "example": f"{facts.invoice_prefix}{services.now().year}-000001",
    }
