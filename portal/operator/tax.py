"""Tax: what a seller declares of a period and its proof, where it is registered, rates entered by hand, how it is worked out."""

from dataclasses import dataclass

from flask import Response as FlaskResponse
from flask import flash, jsonify, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import DateField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length, NumberRange

from billing.accounts import countries, directory, manual_rates, registrations
from billing.accounts.manual_rates import RateFacts
from billing.accounts.registrations import RegistrationFacts
from billing.accounts.tables import Seller
from billing.exports import tax_filing
from billing.invoicing.taxes import filing
from billing.kernel.clock import get_zone
from billing.kernel.errors import Invalid, NotFound, Refusal
from billing.rendering import places
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services, tax_words
from portal.fields import KeyedForm
from portal.tenant.query import path_key

_FORMS = {"all": "All", "oss": "One stop shop", "local": "Everything else"}
_SCHEMES = {"vat": "VAT number", "oss": "Union one stop shop", "small_business": "Small business, charges no VAT"}
_PROVIDERS = {"own": "Plumbline's own table", "stripe": "Stripe Tax"}
_CHECKS = {"format": "By form and check digits alone", "vies": "Asked at VIES"}


def _choices(words: dict[str, str]) -> list[SelectChoice]:
    return [SelectChoice(value, label) for value, label in words.items()]


def _countries() -> list[SelectChoice]:
    names = sorted((places.country(code), code) for code in countries.codes())
    return [SelectChoice("", "Choose a country"), *(SelectChoice(code, name) for name, code in names)]


class RegistrationForm(FlaskForm):
    """Where the seller is registered from a day on."""

    scheme = SelectField("Registration", choices=_choices(_SCHEMES), validate_choice=False)
    country = SelectField("Country", [InputRequired("Choose a country.")], validate_choice=False)
    number = StringField("Number", [Length(max=40)])
    valid_from = DateField("First day", [InputRequired("Enter the first day.")])


class EndForm(FlaskForm):
    """The last day of a registration."""

    valid_until = DateField("Last day", [InputRequired("Enter the last day.")])


class RateForm(KeyedForm):
    """A rate of a country that the table does not hold."""

    country = SelectField("Country", [InputRequired("Choose a country.")], validate_choice=False)
    tax_name = StringField(
        "What the tax is called there", [InputRequired("Enter a name, such as GST."), Length(max=40)]
    )
    rate = StringField("Rate in percent", [Length(max=10)])
    registration = StringField("The seller's number there", [InputRequired("Enter the number."), Length(max=40)])
    valid_from = DateField("First day", [InputRequired("Enter the first day.")])
    reason = TextAreaField("Why, and where it is published", [InputRequired("Say where the rate is published.")])


class PolicyForm(FlaskForm):
    """How the seller's taxes are worked out."""

    tax_provider = SelectField(
        "Worked out by", [InputRequired("Choose one.")], choices=_choices(_PROVIDERS), validate_choice=False
    )
    vat_check = SelectField(
        "VAT ids are looked at", [InputRequired("Choose one.")], choices=_choices(_CHECKS), validate_choice=False
    )
    tax_evidence_days = IntegerField(
        "Evidence is good for, in days",
        [InputRequired("Enter a number of days."), NumberRange(min=1, max=3650, message="From 1 to 3,650 days.")],
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the URL asks for: seller, period, form."""

    seller: Seller
    period: str
    form: str
    notices: list[str]


@access.requires_staff("finance.read")
def tax() -> Response:
    """A seller's declaration of a period, where it is registered, its rates by hand and its policy."""
    with services.database().reading() as session:
        asked = _asked(session)
        found = filing.file(session, asked.seller, asked.period)
        listed = registrations.list_of(session, asked.seller.id)
        rates = manual_rates.list_of(session, asked.seller.id)
        sellers = directory.list_sellers(session)
    rows = [row for row in found.rows if asked.form == "all" or (row[0].scheme == "oss") == (asked.form == "oss")]
    sums: dict[str, int] = {}
    for key, figures in rows:
        sums[key.currency] = sums.get(key.currency, 0) + figures.tax_minor
    may = access.current_principal().staff_permissions
    return htmx.render(
        "operator/tax/index.html",
        "operator/tax/_filing.html",
        seller=asked.seller,
        sellers=sellers,
        period=asked.period,
        form_code=asked.form,
        forms=_FORMS,
        found=found,
        rows=rows,
        sums=sorted(sums.items()),
        scheme=tax_words.scheme,
        country=places.country,
        registrations=listed,
        schemes=_SCHEMES,
        rates=rates,
        provider=_PROVIDERS[asked.seller.tax_provider],
        check=_CHECKS[asked.seller.vat_check],
        may_manage="tax.manage" in may,
        notices=asked.notices,
    )


@access.requires_staff("finance.read")
def tax_filing_csv() -> Response:
    """The declaration as CSV."""
    with services.database().reading() as session:
        asked = _asked(session)
        made = tax_filing.declaration(filing.file(session, asked.seller, asked.period), form=asked.form)
    response = FlaskResponse(b"".join(made.export), mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=made.file_name)
    return response


@access.requires_staff("finance.read")
def tax_filing_manifest() -> Response:
    """Lines, sums, SHA-256 of that file, and whether it ties to the ledger."""
    with services.database().reading() as session:
        asked = _asked(session)
        made = tax_filing.declaration(filing.file(session, asked.seller, asked.period), form=asked.form)
    for _chunk in made.export:
        pass
    response = jsonify({"file": made.file_name, **made.to_manifest()})
    response.headers.set("Content-Disposition", "attachment", filename=f"{made.file_name}.manifest.json")
    return response


@access.requires_staff("tax.manage")
def tax_register(seller: str) -> Response:
    """Record a registration of the seller."""
    form, refusals, status = RegistrationForm(), [], 422 if request.method == "POST" else 200
    form.country.choices = _countries()
    with services.database().reading() as session:
        found = _seller(session, seller)
    if form.validate_on_submit():
        try:
            assert form.valid_from.data is not None  # noqa: S101  the form was valid
            facts = RegistrationFacts(
                scheme=form.scheme.data or "",
                country=form.country.data or "",
                number=form.number.data,
                valid_from=form.valid_from.data,
            )
            with services.database().transaction() as session:
                registrations.add(
                    session,
                    now=services.now(),
                    seller=_seller(session, seller),
                    facts=facts,
                    actor=access.current_principal().id,
                )
            flash("The registration is recorded. It counts for drafts that are made from now on.", "good")
            return htmx.redirect(url_for("operator.tax", seller=found.code))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    return make_response(
        render_template("operator/tax/register.html", form=form, refusals=refusals, seller=found), status
    )


@access.requires_staff("tax.manage")
def tax_deregister(seller: str, registration_id: str) -> Response:
    """End a registration with its last day."""
    form, refusals, status = EndForm(), [], 422 if request.method == "POST" else 200
    with services.database().reading() as session:
        found = _seller(session, seller)
        row = next((each for each in registrations.list_of(session, found.id) if each.id == registration_id), None)
    if row is None:
        raise NotFound(registration_id=registration_id[:60])
    if form.validate_on_submit():
        try:
            assert form.valid_until.data is not None  # noqa: S101  the form was valid
            with services.database().transaction() as session:
                registrations.end(
                    session,
                    now=services.now(),
                    registration_id=row.id,
                    valid_until=form.valid_until.data,
                    actor=access.current_principal().id,
                )
            flash("The registration ends on that day.", "good")
            return htmx.redirect(url_for("operator.tax", seller=found.code))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    return make_response(
        render_template(
            "operator/tax/deregister.html",
            form=form,
            refusals=refusals,
            seller=found,
            row=row,
            words=_SCHEMES[row.scheme],
            country=places.country(row.country),
        ),
        status,
    )


@access.requires_staff("tax.manage")
def tax_rate(seller: str) -> Response:
    """Ask a second person for a rate of a country that the table does not hold."""
    form, refusals, status = RateForm(), [], 422 if request.method == "POST" else 200
    form.country.choices = _countries()
    with services.database().reading() as session:
        found = _seller(session, seller)
    if form.validate_on_submit():
        try:
            assert form.valid_from.data is not None  # noqa: S101  the form was valid
            facts = RateFacts(
                country=form.country.data or "",
                tax_name=form.tax_name.data or "",
                rate_bp=_basis_points(form.rate.data),
                registration=form.registration.data or "",
                valid_from=form.valid_from.data,
            )
            with services.database().transaction() as session:
                asked = manual_rates.request(
                    session,
                    now=services.now(),
                    seller_id=found.id,
                    facts=facts,
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or None,
                )
            flash("The rate is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    form.ensure_key()
    return make_response(render_template("operator/tax/rate.html", form=form, refusals=refusals, seller=found), status)


@access.requires_staff("tax.manage")
def tax_policy(seller: str) -> Response:
    """Change who works out the seller's taxes and how VAT ids are looked at."""
    form, refusals, status = PolicyForm(), [], 422 if request.method == "POST" else 200
    with services.database().reading() as session:
        found = _seller(session, seller)
    if request.method == "GET":
        form.tax_provider.data, form.vat_check.data = found.tax_provider, found.vat_check
        form.tax_evidence_days.data = found.tax_evidence_days
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                registrations.change_policy(
                    session,
                    now=services.now(),
                    seller=_seller(session, seller),
                    tax_provider=form.tax_provider.data or "",
                    vat_check=form.vat_check.data or "",
                    tax_evidence_days=form.tax_evidence_days.data or 0,
                    actor=access.current_principal().id,
                )
            flash("The policy is changed. It counts for drafts that are made or issued from now on.", "good")
            return htmx.redirect(url_for("operator.tax", seller=found.code))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    return make_response(
        render_template("operator/tax/policy.html", form=form, refusals=refusals, seller=found), status
    )


def _asked(session: Session) -> _Asked:
    """Seller, period and form of the URL; what is wrong falls back with a notice."""
    code = request.args.get("seller", "")
    seller, notices = None, []
    if code:
        seller = directory.find_seller_by_code(session, path_key(code))
        if seller is None:
            notices.append("There is no such seller: this is the first one.")
    seller = seller or directory.first_seller(session)
    today = services.now().astimezone(get_zone(seller.zone)).date()
    month = f"{today.year:04}-{today.month:02}"
    period = request.args.get("period", "") or month
    try:
        filing.window(period, seller.zone)
    except Invalid:
        notices.append("A period is a month such as 2026-10 or a quarter such as 2026-Q4: this is the present month.")
        period = month
    form = request.args.get("form", "all")
    return _Asked(seller=seller, period=period, form=form if form in _FORMS else "all", notices=notices)


def _seller(session: Session, code: str) -> Seller:
    found = directory.find_seller_by_code(session, path_key(code))
    if found is None:
        raise NotFound(kind="seller", id=code[:60])
    return found


def _basis_points(text: str | None) -> int | None:
    """7.7 is 770; nothing ends the tax there. Raises Invalid."""
    written = (text or "").strip().removesuffix("%").strip()
    if not written:
        return None
    whole, _, part = written.partition(".")
    if not (
        whole.isascii() and whole.isdigit() and len(whole) < 4 and (not part or (part.isascii() and part.isdigit()))
    ):
        raise Invalid(field="rate", value=written[:20], reason="rate_out_of_range")
    if len(part) > 2:
        raise Invalid(field="rate", value=written[:20], reason="rate_out_of_range")
    return int(whole) * 100 + int((part + "00")[:2])


def _attached(form: FlaskForm, refusal: Refusal) -> list[str]:
    field = str(refusal.fields.get("field", ""))
    if field in form:
        form[field].errors = [sentences.of(refusal)]
        return []
    return [sentences.of(refusal)]
