"""Which customer at the payment provider is whose: ours beside the provider's, and the tool that repairs the link."""

from collections.abc import Callable

from flask import flash, url_for
from werkzeug.wrappers import Response
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import people
from billing.kernel.errors import NotFound, Refusal
from billing.payments.customers import acts, checking, links, listing
from billing.payments.customers.checking import Comparison
from billing.payments.customers.links import ActRow
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import payment_words
from portal.tenant.query import Query, chip, option, path_key

_SIZE = 50
_SILENT = "The payment provider did not answer clearly. Look at the link as it is now, then try again."
_STATES = {"linked": "Linked", "gone": "Gone at the provider", "legacy": "From an older system"}
_ACTS = {
    "create": "Made for the account",
    "adopt": "Adopted from the older system",
    "relink": "Linked by an operator",
    "renew": "Made anew",
}
# A difference between the two sides in words.
DIFFERENCES = {
    "customer_missing": "The provider has no such customer in this mode.",
    "customer_deleted": "The customer was deleted at the provider.",
    "customer_other_mode": "The customer belongs to the other mode, test or live.",
    "customer_of_another_account": "At the provider the customer names another billing account.",
    "customer_unmarked": "At the provider the customer does not say whose it is.",
    "methods_differ": "The saved methods are not the ones that the provider has.",
    "default_differs": "The default method is not the one that the provider has.",
}


class ReasonForm(KeyedForm):
    """Why: it stays with the link."""

    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: it stays with the link."),
            Length(max=links.REASON_MAX, message=f"At most {links.REASON_MAX} characters."),
        ],
    )


class RelinkForm(ReasonForm):
    """Which customer, and why."""

    customer_id = StringField(
        "Customer at the provider",
        [
            InputRequired("Enter the customer's id, such as cus_NffrFeUfNV2Hib."),
            Length(max=255, message="Use at most 255 characters."),
        ],
    )


@access.requires_staff("finance.read")
def provider_customers() -> Response:
    """Accounts with a customer, or with an older system's id, by code."""
    query, provider = Query(), services.default_provider()
    state = query.choice("state", listing.STATES, "") or None
    text = query.text("text")
    page = query.page()
    with services.database().reading() as session:
        total = listing.count_links(session, provider=provider.name, state=state, text=text)
        rows = listing.list_links(
            session, provider=provider.name, state=state, text=text, limit=_SIZE, offset=(page - 1) * _SIZE
        )
    return htmx.render(
        "operator/provider_customers/index.html",
        "operator/provider_customers/_list.html",
        rows=rows,
        total=total,
        page=page,
        size=_SIZE,
        text=text or "",
        state=state,
        options=[option("All", state is None, state=None)]
        + [option(label, name == state, state=name) for name, label in _STATES.items()],
        chips=[chip("Text", text, "text")] if text else [],
        notices=query.notices,
        provider=payment_words.provider(provider.name),
    )


@access.requires_staff("finance.read")
def provider_customers_detail(account_id: str) -> Response:
    """One account: our side, the provider's side as it is now, what differs, and everything that was done."""
    provider = services.default_provider()
    found = checking.compare(services.database(), provider, account_id=path_key(account_id))
    with services.database().reading() as session:
        rows = listing.list_acts(session, account_id=found.link.account_id, provider=provider.name)
        names = people.names_of(session, [row.actor for row in rows])
    template = "operator/provider_customers/detail.html"
    return htmx.render(
        template,
        template,
        found=found,
        link=found.link,
        differences=[DIFFERENCES[word] for word in found.differences],
        history=[_event(row, names) for row in rows],
        is_gone=_is_gone(found),
        is_live=provider.is_live,
        may_manage="payments.manage" in access.current_principal().staff_permissions,
        provider=payment_words.provider(provider.name),
    )


@access.requires_staff("payments.manage")
def provider_customers_refresh(account_id: str) -> Response:
    """Fetch the saved methods from the provider once more."""
    key = _account(account_id)
    try:
        acts.refresh(services.database(), services.default_provider(), now=services.now(), account_id=key)
        flash("The saved methods are as the provider has them now.", "good")
    except (OutcomeUnknown, ProviderRefused):
        flash(_SILENT, "bad")
    except Refusal as refusal:
        flash(sentences.of(refusal), "bad")
    return htmx.redirect(url_for("operator.provider_customers_detail", account_id=key))


@access.requires_staff("payments.manage")
def provider_customers_relink(account_id: str) -> Response:
    """Link another customer: it is verified at the provider first."""
    form = RelinkForm()

    def act(key: str) -> str:
        return acts.relink(
            services.database(),
            services.default_provider(),
            now=services.now(),
            account_id=key,
            customer_id=form.customer_id.data or "",
            reason=form.reason.data or "",
            actor=access.current_principal().id,
        )

    return _form_page(account_id, form, act, template="operator/provider_customers/relink.html")


@access.requires_staff("payments.manage")
def provider_customers_renew(account_id: str) -> Response:
    """Make a customer anew where the provider has the linked one no more."""
    form = ReasonForm()

    def act(key: str) -> str:
        return acts.renew(
            services.database(),
            services.default_provider(),
            now=services.now(),
            account_id=key,
            reason=form.reason.data or "",
            actor=access.current_principal().id,
        )

    return _form_page(account_id, form, act, template="operator/provider_customers/renew.html")


def _form_page(account_id: str, form: ReasonForm, act: Callable[[str], str], *, template: str) -> Response:
    """The form, with what was typed after a refusal; carried out, back to both sides."""
    key = _account(account_id)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            customer_id = act(key)
        except NotFound:
            raise
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
        except (OutcomeUnknown, ProviderRefused):
            status, refusals = 503, [_SILENT]
        else:
            flash(f"The account's customer is {customer_id} now.", "good")
            return htmx.redirect(url_for("operator.provider_customers_detail", account_id=key))
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    with services.database().reading() as session:
        link = listing.get_link(session, account_id=key, provider=services.default_provider().name)
    return htmx.render(
        template,
        template,
        status=status,
        form=form,
        refusals=refusals,
        link=link,
        provider=payment_words.provider(services.default_provider().name),
    )


def _account(account_id: str) -> str:
    """The id of an account that is billed. Raises NotFound."""
    with services.database().reading() as session:
        key = path_key(account_id)
        return listing.get_link(session, account_id=key, provider=services.default_provider().name).account_id


def _is_gone(found: Comparison) -> bool:
    return found.link.gone_at is not None or bool({"customer_missing", "customer_deleted"} & set(found.differences))


def _event(row: ActRow, names: dict[str, str]) -> dict[str, object]:
    who = names.get(row.actor, row.actor)
    words = {"begun": "under way", "failed": f"failed: {(row.failure or '').replace('_', ' ')}"}.get(row.state)
    detail = f"{row.customer_id or 'No customer yet'}, by {who}"
    if row.previous_id:
        detail += f", in place of {row.previous_id}"
    return {
        "at": row.created_at,
        "title": _ACTS[row.act] + (f" ({words})" if words else ""),
        "detail": detail + (f". {row.reason}" if row.reason else ""),
        "tone": {"done": "good", "failed": "bad"}.get(row.state, "warn"),
    }
