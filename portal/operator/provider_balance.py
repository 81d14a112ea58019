"""The balance at the provider: ours beside theirs, every movement of it, payouts and what they contain."""

from flask import flash, request, url_for
from werkzeug.wrappers import Response
from wtforms import SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import approvals, directory
from billing.exports import provider_balance as export
from billing.kernel.errors import Refusal
from billing.payments.cash import booking, holdings, meanings, movement_list, payout_list
from billing.payments.cash.movement_list import Filters, MovementRow
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import effects
from portal.tenant.query import Query, chip, last_page, option, path_key

_SIZE = 50
_STATE_WORDS = {"waiting": "Waiting", "explained": "Explained", "booked": "Booked", "finding": "To be looked at"}
_PAYOUT_WORDS = {
    "pending": "Pending",
    "in_transit": "On its way",
    "paid": "Paid",
    "failed": "Failed",
    "canceled": "Canceled",
}


class BookForm(KeyedForm):
    """Whose movement it is, and why it is booked."""

    seller = SelectField("Seller", [InputRequired("Choose the seller whose money it is.")])
    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say what it is: whoever approves it reads it."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )


@access.requires_staff("finance.read")
def provider_balance() -> Response:
    """Ours beside the provider's in each currency, and the movements, newest first."""
    query = Query()
    page = query.page()
    with services.database().reading() as session:
        filters, chips, choices = _filters(session, query)
        total = movement_list.count_movements(session, filters)
        page = last_page(page, _SIZE, total)
        rows = movement_list.list_movements(session, filters, limit=_SIZE, offset=(page - 1) * _SIZE)
        held = holdings.list_holdings(session)
        asked_at = holdings.last_asked_at(session)
    options = [option("All", filters.state is None, state=None)]
    options += [option(_STATE_WORDS[name], name == filters.state, state=name) for name in movement_list.STATES]
    return htmx.render(
        "operator/provider_balance/index.html",
        "operator/provider_balance/_movements.html",
        held=held,
        asked_at=asked_at,
        now=services.now(),
        rows=rows,
        total=total,
        page=page,
        size=_SIZE,
        options=options,
        chips=chips,
        filters=filters,
        choices=choices,
        why=_why,
        state_words=_STATE_WORDS,
        may_pay_out="sandbox" in services.services().providers,
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def provider_balance_csv() -> Response:
    """The movements of the list with the same address, streamed."""
    query = Query()
    with services.database().reading() as session:
        filters, _, _ = _filters(session, query)
    query.refuse_unusable()
    rows = services.streamed(lambda session: export.movements_csv(session, filters))
    response = Response(rows, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename="provider-balance.csv")
    return response


@access.requires_staff("finance.read")
def provider_balance_movement(movement_id: str) -> Response:
    """One movement: its sum, where it comes from, what explains it."""
    with services.database().reading() as session:
        row = movement_list.get_movement(session, path_key(movement_id))
        parts = movement_list.list_explanations(session, row.id)
        pair = _pair(session, row)
        asked = approvals.find_open(session, act=booking.ACT, subject_id=row.id)
    return htmx.render(
        "operator/provider_balance/movement.html",
        "operator/provider_balance/movement.html",
        row=row,
        parts=parts,
        pair=pair,
        asked=asked,
        why=_why,
        state_words=_STATE_WORDS,
        may_book=row.is_bookable and asked is None and "ledger.correct" in access.current_principal().staff_permissions,
    )


@access.requires_staff("ledger.correct", fresh=True)
def provider_balance_book(movement_id: str) -> Response:
    """Ask for a movement to be booked as its kind means; somebody else decides."""
    form = BookForm()
    with services.database().reading() as session:
        row = movement_list.get_movement(session, path_key(movement_id))
        sellers = directory.list_sellers(session)
        form.seller.choices = [SelectChoice(seller.code, seller.legal_name) for seller in sellers]
        if not form.is_submitted() and len(sellers) == 1:
            form.seller.data = sellers[0].code
        try:
            content = booking.content_of(session, row.id, sellers[0].code)
        except Refusal as refusal:
            flash(sentences.of(refusal), "bad")
            return htmx.redirect(url_for("operator.provider_balance_movement", movement_id=row.id))
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                asked = booking.request(
                    session,
                    now=services.now(),
                    movement_id=row.id,
                    seller_code=str(form.seller.data),
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or None,
                )
            flash("The booking is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/provider_balance/book.html",
        "operator/provider_balance/book.html",
        status=status,
        row=row,
        meaning=meanings.BY_TYPE[row.type],
        postings=effects.postings_of(content["entries"]),
        form=form,
        refusals=refusals,
        is_posted=request.method == "POST",
    )


@access.requires_staff("finance.read")
def provider_balance_payouts() -> Response:
    """Payouts to the bank, newest first, by state and currency."""
    query = Query()
    state = query.choice("state", payout_list.STATES, "")
    page = query.page()
    with services.database().reading() as session:
        currencies = payout_list.list_currencies(session)
        currency = query.choice("currency", currencies, "")
        filters = payout_list.Filters(state=state or None, currency=currency or None)
        total = payout_list.count_payouts(session, filters)
        page = last_page(page, _SIZE, total)
        rows = payout_list.list_payouts(session, filters, limit=_SIZE, offset=(page - 1) * _SIZE)
    options = [option("All", not state, state=None)]
    options += [option(_PAYOUT_WORDS[name], name == state, state=name) for name in payout_list.STATES]
    return htmx.render(
        "operator/provider_balance/payouts.html",
        "operator/provider_balance/_payouts.html",
        rows=rows,
        total=total,
        page=page,
        size=_SIZE,
        options=options,
        state=state,
        currency=currency,
        currency_choices=[("", "All"), *((code, code) for code in currencies)],
        chips=[chip("Currency", currency, "currency")] if currency else [],
        words=_PAYOUT_WORDS,
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def provider_balance_payout(payout_id: str) -> Response:
    """One payout: how its sum comes about, and every movement in it."""
    query = Query()
    page = query.page()
    with services.database().reading() as session:
        payout = payout_list.get_payout(session, path_key(payout_id))
        contents = payout_list.list_contents(session, payout)
        fee_minor = payout_list.fee_minor(session, payout)
        filters = Filters(payout=payout.id)
        total = movement_list.count_movements(session, filters)
        page = last_page(page, _SIZE, total)
        rows = movement_list.list_movements(session, filters, limit=_SIZE, offset=(page - 1) * _SIZE)
    return htmx.render(
        "operator/provider_balance/payout.html",
        "operator/provider_balance/_payout_movements.html",
        payout=payout,
        contents=contents,
        fee_minor=fee_minor,
        sum_minor=sum(part.net_minor for part in contents) - fee_minor,
        rows=rows,
        total=total,
        page=page,
        size=_SIZE,
        words=_PAYOUT_WORDS,
        why=_why,
        state_words=_STATE_WORDS,
        notices=query.notices,
    )


def _why(row: MovementRow) -> str:
    """Why a movement is not explained, in words."""
    if row.reason is None:
        return "It was read just now"
    if row.reason.startswith("unreadable"):
        return "It could not be read"
    words = meanings.WHY.get(row.reason, row.reason.replace("_", " "))
    return words[0].upper() + words[1:]


def _filters(session: Session, query: Query) -> tuple[Filters, list[dict[str, str]], dict[str, list[tuple[str, str]]]]:
    """The filters of the address, their chips, and what may be chosen."""
    types, currencies = movement_list.list_types(session), movement_list.list_currencies(session)
    filters = Filters(
        state=query.choice("state", movement_list.STATES, "") or None,
        type=query.choice("type", [type for type, _ in types], "") or None,
        currency=query.choice("currency", currencies, "") or None,
        text=query.text("id"),
    )
    chips = [chip("Kind", dict(types)[filters.type], "type")] if filters.type else []
    chips += [chip("Currency", filters.currency, "currency")] if filters.currency else []
    chips += [chip("Id", filters.text, "id")] if filters.text else []
    choices = {
        "type": [("", "All"), *types],
        "currency": [("", "All"), *((code, code) for code in currencies)],
    }
    return filters, chips, choices


def _pair(session: Session, row: MovementRow) -> MovementRow | None:
    """The movement that took this one back, or that it took back."""
    if row.pair_id is None:
        return None
    if row.pair_id != row.id:
        return movement_list.get_movement(session, row.pair_id)
    return movement_list.find_partner(session, row.id)
