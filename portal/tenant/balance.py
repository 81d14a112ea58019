"""Balance and statement: what is owed per currency, every movement with its cause, and one movement with its entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import Response, current_app, render_template, request, url_for

from billing.accounts.principals import AccountAccess
from billing.exports import statement as export
from billing.kernel import periods
from billing.ledger import balances, explanation, promos, statement
from billing.ledger.balances import Balance
from billing.ledger.entries import KINDS
from billing.ledger.explanation import Summary
from billing.ledger.statement import MovementDetail, MovementRow
from billing.rating import running
from billing.storage.database import Session
from portal import access, filters, htmx, services
from portal.tenant import blueprint, query, ranges, words
from portal.tenant.query import Query

_PAGE_SIZE = 50
_EXPLAINED_MAX = 200
_TICK = timedelta(microseconds=1)
# Parts of a balance in the order in which they are shown; those that never moved are left out, the first three never.
_PARTS = ("wallet", "unbilled", "receivable", "promo", "disputed", "deferred")
_ALWAYS = 3
_HINTS = {
    "wallet": "Paid in and not used yet",
    "unbilled": "Not invoiced yet, before tax",
    "receivable": "Invoiced and not paid yet, with tax",
    "promo": "Used before the wallet",
    "disputed": "Held by the bank",
    "deferred": "Bought ahead",
}


@blueprint.get("/balance")
@access.requires("billing.read")
def balance() -> Response:
    """Balance per currency, now or as of a day's end, and the statement below it; htmx gets the statement alone."""
    account, url = access.current_account(), Query()
    before_seq, as_of = _before(url), url.day("as_of")
    ends_at = ranges.of_days(as_of, as_of, account.zone).end_at if as_of is not None else None
    with services.database().reading() as session:
        held = (
            balances.of_account(session, account.id)
            if ends_at is None
            else balances.as_of(session, account.id, ends_at - _TICK)
        )
        asked = _read(session, account, url, [one.currency for one in held], ends_at)
        page = statement.movements(
            session,
            account_id=account.id,
            currency=asked.summary.currency,
            kind=asked.kind,
            after_seq=asked.summary.first_seq,
            before_seq=min(before_seq or asked.summary.last_seq + 1, asked.summary.last_seq + 1),
            limit=_PAGE_SIZE,
        )
        gifts = (
            [row for row in promos.list_grants(session, account.id) if row.remaining_minor > 0] if as_of is None else []
        )
        lag = running.lag(session, account.id)
    currency = asked.summary.currency
    shown = next((one for one in held if one.currency == currency), None)
    return htmx.render(
        "tenant/balance/index.html",
        "tenant/balance/_statement.html",
        held=[{"balance": one, "parts": _parts(one)} for one in held],
        shown=shown,
        as_of=as_of,
        currency=currency,
        currencies=[query.option(one.currency, one is shown, currency=one.currency, before=None) for one in held],
        rows=[movement_of(row) for row in page.rows],
        older_before=page.next_before_seq,
        is_first=before_seq is None,
        asked=asked,
        kind_choices=[("", "All movements"), *((code, words.kind(code)) for code in asked.kinds)],
        chips=_chips(asked),
        csv_url=url_for("tenant.balance_csv", **asked.parameters),
        verify_url=url_for("tenant.balance_verify") if "tenant.balance_verify" in current_app.view_functions else None,
        gifts=gifts,
        lag=lag,
        notices=url.notices,
    )


@blueprint.get("/balance/statement.csv")
@access.requires("billing.read")
def balance_csv() -> Response:
    """The movements of the page with the same address, streamed, each with the balance after it."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        held = balances.of_account(session, account.id)
        asked = _read(session, account, url, [one.currency for one in held], None)
    url.refuse_unusable()
    rows = services.streamed(lambda session: export.statement_csv(session, account.id, asked.summary, kind=asked.kind))
    response = Response(rows, mimetype="text/csv")
    name = f"statement-{account.code}-{asked.summary.currency}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the address asks the statement for: days, kind, currency; `kinds` are those that moved the balance at all."""

    days: ranges.Range | None
    kind: str | None
    summary: Summary
    kinds: list[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """The filters in force, for another address of the same movements."""
        found: dict[str, Any] = {"currency": self.summary.currency}
        if self.kind:
            found["kind"] = self.kind
        if self.days is not None:
            found |= {"from": self.days.first_on.isoformat(), "to": self.days.last_on.isoformat()}
        return found


def _read(
    session: Session, account: AccountAccess, url: Query, currencies: Sequence[str], ends_at: datetime | None
) -> _Asked:
    """What the address asks for; without days, everything until `ends_at`."""
    main = account.currency if not currencies or account.currency in currencies else currencies[0]
    currency = url.choice("currency", currencies, main)
    kind = url.choice("kind", sorted(KINDS), "", word="kind of movement")
    has_days = bool(request.args.get("from") or request.args.get("to"))
    days = ranges.read(url, (), zone=account.zone, now=services.now()) if has_days else None
    if days is not None and not days.is_chosen:
        days = None
    summary = explanation.summarize(
        session,
        account_id=account.id,
        currency=currency,
        from_at=days.start_at if days else None,
        to_at=days.end_at if days else ends_at,
    )
    kinds = sorted({*summary.by_kind, *([kind] if kind else [])})
    return _Asked(days=days, kind=kind or None, summary=summary, kinds=kinds)


def _chips(asked: _Asked) -> list[dict[str, str]]:
    chips = [query.chip("Kind", words.kind(asked.kind), "kind", "before")] if asked.kind else []
    if asked.days is not None:
        shown = f"{asked.days.first_on.isoformat()} to {asked.days.last_on.isoformat()}"
        chips.append(query.chip("Days", shown, "from", "to", "before"))
    return chips


@blueprint.get("/balance/explain")
@access.requires("billing.read")
def balance_explain() -> Response:
    """Explain this balance: opening, what each kind of movement did to it in some days, closing; and the movements behind it."""
    account, url = access.current_account(), Query()
    now = services.now()
    days = ranges.read(url, (), zone=account.zone, now=now)
    with services.database().reading() as session:
        found = [
            _explained(session, account.id, one.currency, days)
            for one in balances.as_of(session, account.id, days.end_at - _TICK)
        ]
    this_month = periods.label_of(now, "month", account.zone)
    return htmx.render(
        "tenant/balance/explain.html",
        "tenant/balance/_explanation.html",
        days=days,
        this_month=this_month,
        months=[
            query.option(filters.month_name(first), days.month_label == first.isoformat()[:7], **_month(first))
            for first in _recent(days.first_on, this_month)
        ],
        found=found,
        notices=url.notices,
    )


@blueprint.get("/balance/<transaction_id>")
@access.requires("billing.read")
def balance_transaction(transaction_id: str) -> str:
    """One ledger transaction: what it did in words, its entries, its place in the chain."""
    account = access.current_account()
    with services.database().reading() as session:
        found = statement.get_movement(session, account_id=account.id, transaction_id=query.path_key(transaction_id))
    movements = [movement_of(row) for row in found.movements]
    return render_template(
        "tenant/balance/transaction.html",
        found=found,
        cause_url=next((one["cause_url"] for one in movements if one["cause_url"]), None),
        title=words.movement(found.type),
        movements=movements,
        entries=[
            {
                "entry": entry,
                "kind": words.kind(entry.kind),
                "debit": words.book_account(entry.debit),
                "credit": words.book_account(entry.credit),
                "links": _links(entry.detail),
            }
            for entry in found.entries
        ],
        totals=_totals(found),
        actor=words.actor(found.actor),
        lines_url=url_for("tenant.rated_lines", transaction=found.transaction_id) if found.type == "posting" else None,
    )


def _before(url: Query) -> int | None:
    value = request.args.get("before", "")
    if not value:
        return None
    if value.isascii() and value.isdigit() and len(value) <= 15 and int(value) > 0:
        return int(value)
    url.notices.append("There is no such place in the statement: these are the newest movements.")
    return None


def _parts(one: Balance) -> list[dict[str, Any]]:
    """The parts whose sum is the balance."""
    minor = {name: int(getattr(one, f"{name}_minor")) for name in _PARTS}
    return [
        {"label": words.book_account(name), "minor": minor[name], "hint": _HINTS[name]}
        for place, name in enumerate(_PARTS)
        if place < _ALWAYS or minor[name]
    ]


def movement_of(row: MovementRow) -> dict[str, Any]:
    """A movement with its words, its page and the page of its cause."""
    return {
        "row": row,
        "title": words.movement(row.type),
        "detail": row.memo[:1].upper() + row.memo[1:],
        "url": url_for("tenant.balance_transaction", transaction_id=row.transaction_id),
        "cause_url": words.cause_url(row),
        "kinds": [{"label": words.kind(kind), "minor": minor} for kind, minor in row.by_kind.items()],
        "effects": [
            {"label": words.book_account(name), "value": filters.money(minor, row.currency, signed=True)}
            for name, minor in row.effects.items()
        ],
        "before_minor": row.balance_minor - row.amount_minor,
    }


def _links(detail: dict[str, Any]) -> list[dict[str, str | None]]:
    """The ids an entry names, each with the page that shows it where there is one."""
    return [
        {"id": value, "url": words.reference_url(key, value)}
        for key, value in detail.items()
        if value and isinstance(value, str)
    ]


def _totals(found: MovementDetail) -> list[dict[str, Any]]:
    """The sum of debits, which is the sum of credits, per currency."""
    sums: dict[str, int] = {}
    for entry in found.entries:
        sums[entry.currency] = sums.get(entry.currency, 0) + entry.amount_minor
    return [{"currency": currency, "minor": minor} for currency, minor in sorted(sums.items())]


def _month(first: date) -> dict[str, object]:
    return {"period": first.isoformat()[:7], "from": None, "to": None}


def _recent(shown: date, this_month: str) -> list[date]:
    """The present month and the two before it, with the one that is shown."""
    month = date.fromisoformat(f"{this_month}-01")
    found = {shown.replace(day=1)}
    for _ in range(3):
        found.add(month)
        month = ranges.month_before(month)
    return sorted(found, reverse=True)


def _explained(session: Session, account_id: str, currency: str, days: ranges.Range) -> dict[str, Any]:
    """One currency explained: its sums are of all movements, its rows the newest of them, oldest first."""
    summary = explanation.summarize(
        session, account_id=account_id, currency=currency, from_at=days.start_at, to_at=days.end_at
    )
    page = statement.movements(
        session,
        account_id=account_id,
        currency=currency,
        after_seq=summary.first_seq,
        before_seq=summary.last_seq + 1,
        limit=_EXPLAINED_MAX,
    )
    return {
        "currency": currency,
        "opening_minor": summary.opening_minor,
        "closing_minor": summary.closing_minor,
        "kinds": [{"label": words.kind(kind), "minor": minor} for kind, minor in summary.by_kind.items()],
        "rows": [movement_of(row) for row in reversed(page.rows)],
        "all_url": url_for(
            "tenant.balance",
            currency=currency,
            **{"from": days.first_on.isoformat(), "to": days.last_on.isoformat()},  # type: ignore[arg-type]
        )
        if page.next_before_seq
        else None,
    }
