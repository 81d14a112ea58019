"""The ledger: its accounts with their balances and the zero proof, the entries of each, and one transaction by its id."""

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from flask import g, request, url_for
from werkzeug.wrappers import Response

from billing.accounts import directory, listing, names
from billing.kernel import clock, money
from billing.kernel.errors import Invalid, NotFound
from billing.ledger import chart, entries, explorer, reversal, trial_balance
from billing.ledger.entries import KINDS
from billing.ledger.errors import EntryRefused
from billing.ledger.explorer import AccountEntryRow, EntryFilters
from billing.ledger.tables import HOUSE
from billing.ledger.trial_balance import TrialBalance
from billing.storage.database import Session
from portal import access, htmx, services
from portal.navigation import url_with
from portal.operator import corrections, subjects
from portal.tenant import words as tenant_words
from portal.tenant.query import Query, chip, path_key

_SIZE = 50


@access.requires_staff("finance.read")
def ledger() -> Response:
    """Every ledger account of the house and of all tenants, per currency, now or as of an instant; debits equal credits."""
    query = Query()
    at = _instant(query, "at")
    with services.database().reading() as session:
        seller_id, sellers = _seller(session, query)
        found = (
            trial_balance.now(session, seller_id)
            if at is None
            else trial_balance.as_of(session, at, seller_id=seller_id)
        )
    return htmx.render(
        "operator/ledger/index.html",
        "operator/ledger/_accounts.html",
        currencies=_by_currency(found, at),
        at=at,
        at_text=request.args.get("at", ""),
        sellers=sellers,
        seller=request.args.get("seller", ""),
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def ledger_holders(currency: str, name: str) -> Response:
    """What every tenant holds in the ledger account of a name."""
    query = Query()
    at = _instant(query, "at")
    with services.database().reading() as session:
        name, currency = _name(name), _currency(currency)
        rows = explorer.list_holders(session, name=name, currency=currency, at=at)
    total = len(rows)
    page = max(1, min(query.page(), -(-total // _SIZE)))
    return htmx.render(
        "operator/ledger/holders.html",
        "operator/ledger/_holders.html",
        rows=rows[(page - 1) * _SIZE : page * _SIZE],
        sum_minor=sum(row.figure_minor for row in rows),
        page=page,
        size=_SIZE,
        total=total,
        name=name,
        title=tenant_words.book_account(name),
        currency=currency,
        at=at,
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def ledger_entries(owner: str, currency: str, name: str) -> Response:
    """The entries of one ledger account, newest first."""
    query = Query()
    kind = query.choice("kind", sorted(KINDS), "")
    from_at, to_at = _day(query, "from"), _day(query, "to")
    chain, before = query.text("account"), query.text("before")
    with services.database().reading() as session:
        name = _name(name)
        account = None if owner == HOUSE else listing.get_account(session, path_key(owner))
        seller_id, _ = _seller(session, query)
        ledger_account_id = explorer.get_ledger_account(
            session,
            owner=HOUSE if account is None else account.id,
            name=name,
            currency=path_key(currency),
            seller_id=seller_id if account is None else None,
        )
        chain_id = account.id if account is not None else _chain_id(session, query, chain)
        filters = EntryFilters(
            kind=kind or None,
            chain_id=chain_id,
            from_at=from_at,
            to_at=None if to_at is None else to_at + timedelta(days=1),
        )
        rows = explorer.list_entries(
            session, ledger_account_id=ledger_account_id, filters=filters, before_id=before, limit=_SIZE + 1
        )
    shown = rows[:_SIZE]
    chips = [chip("Kind", tenant_words.kind(kind), "kind", "before")] if kind else []
    chips += [
        chip(label, value, parameter, "before")
        for label, value, parameter in (
            ("Account", chain, "account"),
            ("From", request.args.get("from") if from_at else None, "from"),
            ("To", request.args.get("to") if to_at else None, "to"),
        )
        if value and (account is None or parameter != "account")
    ]
    return htmx.render(
        "operator/ledger/entries.html",
        "operator/ledger/_entries.html",
        rows=[_entry(row) for row in shown],
        account=account,
        name=name,
        number=chart.number_of(name),
        title=tenant_words.book_account(name),
        currency=currency,
        kind=kind,
        kind_choices=[("", "All kinds"), *((code, tenant_words.kind(code)) for code in sorted(KINDS))],
        chain=chain or "",
        from_text=request.args.get("from", "") if from_at else "",
        to_text=request.args.get("to", "") if to_at else "",
        chips=chips,
        clear_url=request.path,
        older_url=url_with(before=shown[-1].id) if len(rows) > _SIZE else None,
        newest_url=url_with(before=None) if before else None,
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def ledger_transaction(transaction_id: str) -> Response:
    """A transaction by its id alone, as it stands in its account's books."""
    with services.database().reading() as session:
        account_id = reversal.account_of(session, path_key(transaction_id))
    return corrections.accounts_transaction(account_id=account_id, transaction_id=transaction_id)


def seller_choices(session: Session) -> list[tuple[str, str]]:
    """(code, name) of every seller."""
    found = {}
    for house in directory.list_accounts(session, kind=HOUSE):
        seller = directory.get_seller(session, house.seller_id)
        found[seller.code] = seller.legal_name
    return sorted(found.items())


def _seller(session: Session, query: Query) -> tuple[str | None, list[tuple[str, str]]]:
    """The seller that the address names, None for all, and the choices."""
    choices = seller_choices(session)
    code = query.choice("seller", [code for code, _ in choices], "")
    seller = directory.find_seller_by_code(session, code) if code else None
    return (seller.id if seller is not None else None), choices


def _currency(code: str) -> str:
    """A currency from the path. Raises NotFound for one that there is not."""
    if code not in money.currencies():
        raise NotFound(kind="currency", id=names.shown(code))
    return code


def _name(name: str) -> str:
    """A ledger account's name from the path. Raises NotFound for one that is none."""
    try:
        entries.base_of(path_key(name))
    except EntryRefused:
        raise NotFound(kind="ledger_account", id=name[:60]) from None
    return name


def _instant(query: Query, name: str) -> datetime | None:
    """An instant of the address: RFC 3339, or what a browser's date and time field sends, read as UTC."""
    text = query.text(name)
    if text is None:
        return None
    try:
        return clock.parse_instant(text.replace(" ", "+"), field=name, zone="UTC")
    except (Invalid, OverflowError):
        query.notices.append("The instant could not be read: these are the books as they stand now.")
        return None


def _day(query: Query, name: str) -> datetime | None:
    found = query.day(name)
    return None if found is None else datetime(found.year, found.month, found.day, tzinfo=UTC)


def _chain_id(session: Session, query: Query, code: str | None) -> str | None:
    if code is None:
        return None
    found = directory.find_account_by_code(session, code)
    if found is None:
        query.notices.append("There is no account of that code: it was left out.")
        return None
    return found.id


def _by_currency(found: TrialBalance, at: datetime | None) -> list[dict[str, Any]]:
    """The accounts of each currency, the house's and the tenants' apart, in the order of the chart."""
    shown = []
    for currency, rows in groupby(found.rows, lambda row: row.currency):
        own = sorted(rows, key=lambda row: chart.number_of(row.name))
        groups = [
            (words, [_account_row(row, at) for row in own if row.owner == owner])
            for owner, words in ((trial_balance.TENANTS, "Billing accounts"), (HOUSE, "House"))
        ]
        total = next(total for total in found.totals if total.currency == currency)
        shown.append({"currency": currency, "groups": groups, "total": total})
    return shown


def _account_row(row: trial_balance.TrialRow, at: datetime | None) -> dict[str, Any]:
    endpoint = "operator.ledger_entries" if row.owner == HOUSE else "operator.ledger_holders"
    values: dict[str, Any] = {"currency": row.currency, "name": row.name}
    if row.owner == HOUSE:
        values["owner"] = HOUSE
        if "seller" in request.args:
            values["seller"] = request.args["seller"]
    elif at is not None:
        values["at"] = clock.to_rfc3339(at)
    return {
        "row": row,
        "number": chart.number_of(row.name),
        "title": tenant_words.book_account(row.name),
        "url": url_for(endpoint, **values),
    }


def _entry(row: AccountEntryRow) -> dict[str, Any]:
    g.zone = "UTC"
    return {
        "row": row,
        "kind": tenant_words.kind(row.kind),
        "title": tenant_words.movement(row.type),
        "other": tenant_words.book_account(row.other_name),
        "url": url_for(
            "operator.accounts_transaction", account_id=row.billing_account_id, transaction_id=row.transaction_id
        ),
        "cause": row.source_type.replace("_", " "),
        "cause_url": subjects.find_url(row.source_type, row.source_id),
    }
