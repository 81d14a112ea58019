"""Payments of all accounts: the list, one payment with everything that hangs on it, and both sides beside each other."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from flask import flash, g, url_for
from werkzeug.wrappers import Response

from billing.accounts import directory, listing, people
from billing.assurance import timeline
from billing.exports import payments as export
from billing.invoicing import invoices
from billing.kernel.errors import Refusal
from billing.payments import inbox
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.recovery import cases, following, session_list, unmatched
from billing.payments.recovery.comparison import Comparison
from billing.payments.recovery.session_list import Filters, ListedSession
from billing.storage.database import Session
from portal import access, htmx, sentences, services
from portal.operator import payment_words, words
from portal.tenant.query import Query, chip, option, path_key

_SIZE = 50


@access.requires_staff("finance.read")
def payments() -> Response:
    """All payment sessions, newest first, by state, provider, account, amount and day."""
    query = Query()
    page = query.page()
    with services.database().reading() as session:
        providers = session_list.list_providers(session)
        filters, chips = _filters(session, query, providers)
        total = session_list.count_sessions(session, filters)
        rows = session_list.list_sessions(session, filters, limit=_SIZE, offset=(page - 1) * _SIZE)
        open_count, _ = unmatched.count_rows(session)
    options = [option("All", filters.state is None, state=None)]
    options += [option(label, name == filters.state, state=name) for name, label in payment_words.STATES.items()]
    return htmx.render(
        "operator/payments/index.html",
        "operator/payments/_list.html",
        rows=rows,
        total=total,
        is_more=total >= session_list.COUNTED_MAX,
        page=page,
        size=_SIZE,
        options=options,
        filters=filters,
        typed={name: query.text(name) or "" for name in ("account", "amount", "from", "to")},
        provider_choices=[("", "All"), *((name, payment_words.provider(name)) for name in providers)],
        channel_choices=[("", "All"), ("checkout", "By a person"), ("off_session", "Saved method")],
        chips=chips,
        notices=query.notices,
        words=payment_words,
        unmatched_count=open_count,
    )


@access.requires_staff("finance.read")
def payments_csv() -> Response:
    """The sessions of the list with the same address, streamed."""
    query = Query()
    with services.database().reading() as session:
        filters, _ = _filters(session, query, session_list.list_providers(session))
        query.choice("state", session_list.STATES, "")
    query.refuse_unusable()
    rows = services.streamed(lambda session: export.payments_csv(session, filters))
    response = Response(rows, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename="payments.csv")
    return response


@access.requires_staff("finance.read")
def payments_detail(session_id: str) -> Response:
    """One payment session; with ?compare=yes the provider is asked and stands beside it."""
    key = path_key(session_id)
    query = Query()
    compares = query.choice("compare", ("yes",), "") == "yes"
    with services.database().reading() as session:
        row = session_list.get_session(session, key)
    compared, trouble = _look(row) if compares else (None, None)
    return _page(row.id, compared, trouble)


@access.requires_staff("payments.manage")
def payments_recover(session_id: str) -> Response:
    """Fetch from the provider again and take over what it says: credited at most once."""
    key = path_key(session_id)
    with services.database().reading() as session:
        row = session_list.get_session(session, key)
    here = url_for("operator.payments_detail", session_id=row.id, compare="yes", _anchor="compare")
    provider = services.services().providers.get(row.provider)
    if provider is None:
        flash(f"{payment_words.provider(row.provider)} is not configured here: it cannot be asked.", "bad")
        return htmx.redirect(here)
    try:
        done = cases.recover(
            services.database(),
            provider,
            now=services.now(),
            session_id=row.id,
            actor=access.current_principal().id,
        )
    except (OutcomeUnknown, ProviderRefused):
        flash("The provider did not give a clear answer. Nothing was changed; try again in a minute.", "bad")
    except Refusal as refusal:
        flash(sentences.of(refusal), "bad")
    else:
        changed = "The session was brought to what the provider says." if done.has_changed else "Nothing had to change."
        flash(changed, "good")
    return htmx.redirect(here)


def _look(row: ListedSession) -> tuple[Comparison | None, str | None]:
    provider = services.services().providers.get(row.provider)
    if provider is None:
        return None, f"{payment_words.provider(row.provider)} is not configured here: it cannot be asked."
    try:
        return cases.look(services.database(), provider, session_id=row.id), None
    except (OutcomeUnknown, ProviderRefused) as error:
        refused = isinstance(error, ProviderRefused)
        return None, "The provider does not know this object." if refused else "The provider did not answer clearly."
    except Refusal as refusal:
        return None, sentences.of(refusal)


def _page(session_id: str, compared: Comparison | None, trouble: str | None) -> Response:
    with services.database().reading() as session:
        row = session_list.get_session(session, session_id)
        account = listing.get_account(session, row.account_id)
        g.zone = account.zone
        invoice = None
        if row.invoice_id is not None:
            invoice = invoices.get_invoice(session, now=services.now(), key=row.invoice_id).row
        events = inbox.list_of_payment(session, session_id=row.id, payment_ids=(row.object_id, row.provider_payment_id))
        follows = (
            following.of_payment(session, payment_id=row.payment_id, transaction_id=row.transaction_id)
            if row.payment_id
            else following.NOTHING
        )
        findings = unmatched.list_of_session(session, row.id)
        named = people.names_of(session, [row.created_by])
        history = _history(session, row, events)
    return htmx.render(
        "operator/payments/detail.html",
        "operator/payments/detail.html",
        row=row,
        account=account,
        invoice=invoice,
        events=events,
        follows=follows,
        findings=findings,
        begun_by=words.actor(row.created_by, named),
        history=history,
        compared=compared,
        verdict=payment_words.verdict(compared) if compared else None,
        trouble=trouble,
        words=payment_words,
        may_manage="payments.manage" in access.current_principal().staff_permissions,
    )


def _history(session: Session, row: ListedSession, events: Sequence[inbox.EventRow]) -> list[dict[str, Any]]:
    """Intent, acts, what the provider told and the credit, newest first."""
    happened = timeline.of_subject(session, row.id, subject_type="payment_session")
    if row.payment_id:
        happened += timeline.of_subject(session, row.payment_id, subject_type="payment")
    told = payment_words.event_history(
        list(events), lambda event_id: url_for("operator.webhook_inbox_event", event_id=event_id)
    )
    return payment_words.by_time([*words.timeline_of(happened, own_id=row.id), *told])


def _filters(session: Session, query: Query, providers: Sequence[str]) -> tuple[Filters, list[dict[str, str]]]:
    """The filters of the address, and a chip for each one in force."""
    state = query.choice("state", session_list.STATES, "")
    provider = query.choice("provider", providers, "")
    channel = query.choice("channel", tuple(payment_words.CHANNELS), "")
    code, amount_text = query.text("account"), query.text("amount")
    from_on, to_on = query.day("from"), query.day("to")
    account = directory.find_account_by_code(session, code) if code else None
    if code and account is None:
        query.notices.append(f"There is no billing account “{code}”: the filter was left out.")
    amount = _amount(query, amount_text)
    filters = Filters(
        state=state or None,
        provider=provider or None,
        channel=channel or None,
        account_id=account.id if account else None,
        amount=amount,
        from_at=datetime.combine(from_on, time(), UTC) if from_on else None,
        to_at=datetime.combine(to_on + timedelta(days=1), time(), UTC) if to_on else None,
    )
    chips = [
        chip(label, shown, name)
        for label, shown, name in (
            ("State", payment_words.STATES.get(state, ""), "state"),
            ("Provider", payment_words.provider(provider) if provider else "", "provider"),
            ("How", {"checkout": "By a person", "off_session": "Saved method"}.get(channel, ""), "channel"),
            ("Account", account.code if account else "", "account"),
            ("Amount", str(amount) if amount is not None else "", "amount"),
            ("From", from_on.isoformat() if from_on else "", "from"),
            ("To", to_on.isoformat() if to_on else "", "to"),
        )
        if shown
    ]
    return filters, chips


def _amount(query: Query, text: str | None) -> Decimal | None:
    """A plain decimal in major units."""
    if text is None:
        return None
    plain = text.replace(",", "") if text.count(".") <= 1 else text
    whole, _, rest = plain.partition(".")
    if not (
        whole.isascii()
        and whole.isdigit()
        and len(whole) <= 12
        and (rest == "" or (rest.isascii() and rest.isdigit() and len(rest) <= 4))
    ):
        query.notices.append("The amount is not a number such as 50.00: it was left out.")
        return None
    return Decimal(f"{whole}.{rest or 0}")
