"""Plan and prices: what the account is on, in words; its price list with its own prices marked; what is coming."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from flask import render_template

from billing.catalog import price_list, subscriptions
from billing.catalog.price_list import Coming, Entry
from billing.invoicing import contracts
from billing.invoicing.contracts import ContractRow
from portal import access, price_words, reservation_words, services
from portal.price_words import PriceLine
from portal.tenant import blueprint

_AHEAD = timedelta(days=366)
_COMMITMENTS = {
    "upcoming": ("Upcoming", "info"),
    "active": ("Running", "good"),
    "used_up": ("Used up", "neutral"),
    "ended": ("Ended, last bills open", "warn"),
    "lapsed": ("Ended", "neutral"),
}


@blueprint.get("/plan")
@access.requires("billing.read")
def plan() -> str:
    """The plan version in force with its terms, the price list, changes that are known for the next year."""
    account, now = access.current_account(), services.now()
    with services.database().reading() as session:
        current = subscriptions.plan_at(session, account.id, now)
        terms = current.plan.terms if current else None
        fees = price_list.fees_of(session, account.id, terms.fees, at=now) if terms else {}
        entries = price_list.of_account(session, account.id, at=now, until_at=now + _AHEAD)
        coming = [one for one in subscriptions.stretches(session, account.id) if now < one.from_at < now + _AHEAD]
        paid = contracts.list_rows(session, now=now, account_id=account.id)
        reserved = reservation_words.rows(session, account.id, now)
        past = [
            one
            for one in subscriptions.stretches(session, account.id)
            if one.until_at is not None and one.until_at <= now
        ]
    return render_template(
        "tenant/plan/index.html",
        account=account,
        current=current,
        terms=price_words.terms(terms, currency=account.currency, fees=fees) if terms else [],
        families=listed(one for one in entries if one.price is not None),
        own_count=sum(one.is_own for one in entries),
        changes=changes(entries),
        coming=coming,
        past=list(reversed(past)),
        reserved=reserved,
        commitments=[_commitment(row) for row in paid if row.sale_number is not None],
    )


def _commitment(row: ContractRow) -> dict[str, Any]:
    """A commitment with its state and charges in words."""
    families = ", ".join(price_words.family(family) for family in row.families) if row.families else "All charges"
    state, tone = _COMMITMENTS[row.state]
    return {"row": row, "families": families, "state": state, "tone": tone}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One line of a price list in words; `instead_of` is the plan's price where the account has its own."""

    entry: Entry
    lines: tuple[PriceLine, ...]
    instead_of: str | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """A price that is known to change, in words."""

    entry: Entry
    coming: Coming
    lines: tuple[PriceLine, ...]


def listed(entries: Iterable[Entry]) -> list[tuple[str, str, list[Listed]]]:
    """The entries of a price list by family: (code, words, rows with their prices in words)."""
    rows = [
        Listed(
            entry=one,
            lines=price_words.lines(one.price) if one.price else (),
            instead_of=price_words.short(one.of_plan) if one.of_plan else None,
        )
        for one in sorted(entries, key=lambda one: (price_words.family_order(one.family), one.sku_code))
    ]
    return [
        (family, price_words.family(family), list(of_family))
        for family, of_family in groupby(rows, key=lambda row: row.entry.family)
    ]


def changes(entries: Iterable[Entry]) -> list[Change]:
    """Prices that are known to change, by the instant at which they do."""
    rows = [
        Change(entry=entry, coming=coming, lines=price_words.lines(coming.price) if coming.price else ())
        for entry in entries
        for coming in entry.coming
    ]
    return sorted(rows, key=lambda row: (row.coming.from_at, row.entry.sku_code))
