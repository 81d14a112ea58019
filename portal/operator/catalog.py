"""The catalog: price books with their versions and where each stands, one version with its prices, two beside each other, plans."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

from flask import current_app, render_template, url_for
from werkzeug.wrappers import Response

from billing.accounts import people
from billing.catalog import activations, books, comparison, plans, prices
from billing.catalog.activations import Gate
from billing.catalog.comparison import Change
from billing.catalog.plans import PlanRow
from billing.catalog.prices import Price
from billing.catalog.tables import PriceBook
from billing.rendering import formats
from billing.storage.database import Session
from portal import access, htmx, price_words, services
from portal.filters import reader_locale
from portal.operator import words
from portal.tenant.query import Query, option, path_key

GATES = {
    "bootstrap": "with the installation",
    "trial": "by a shadow rating",
    "second_person": "by a second person",
    "override": "as an account's own",
}
FAULTS = {
    "no_trial": "No shadow rating of it was made.",
    "not_fresh": "Its newest shadow rating is older than 24 hours.",
    "not_whole": "Its newest shadow rating stopped before it had seen all usage.",
    "some_accounts_only": "Its newest shadow rating looked at some accounts only.",
    "looked_at_nothing": "Its newest shadow rating met no usage.",
    "outside_limits": "Its newest shadow rating moves charges beyond the limits.",
}


@dataclass(frozen=True, kw_only=True)
class BookRow:
    """One version of a book: where it stands, how much it says."""

    book: PriceBook
    gate: Gate
    price_count: int


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One line of a comparison, in words."""

    change: Change
    old: tuple[price_words.PriceLine, ...]
    new: tuple[price_words.PriceLine, ...]
    percents: tuple[tuple[str, str], ...]  # (figure, tone)


@access.requires_staff("finance.read")
def catalog() -> str:
    """All price books with their versions, newest first, and all plans."""
    now = services.now()
    with services.database().reading() as session:
        counts = books.price_counts(session)
        rows = [
            BookRow(book=book, gate=activations.gate_of(session, book, now=now), price_count=counts.get(book.id, 0))
            for book in reversed(books.list_books(session))
        ]
        found = plans.list_versions(session)
        return render_template(
            "operator/catalog/index.html",
            groups=[(code, list(of_code)) for code, of_code in groupby(rows, key=lambda row: row.book.code)][::-1],
            plans=_newest(found),
            gates=GATES,
            now=now,
            may_change=may_change(),
        )


@access.requires_staff("finance.read")
def catalog_book(book_id: str) -> str:
    """One version with its prices, each tier readable, and its gate."""
    now = services.now()
    with services.database().reading() as session:
        book = books.get_book(session, path_key(book_id))
        gate = activations.gate_of(session, book, now=now)
        actor = gate.activation.actor if gate.activation else None
        return render_template(
            "operator/catalog/book.html",
            book=book,
            gate=gate,
            gate_words=GATES,
            fault=FAULTS.get(gate.fault or ""),
            price_model=price_words.model,
            actor=words.actor(actor, people.names_of(session, [actor])) if actor else None,
            families=by_family(session, books.prices_of(session, book.id)),
            versions=list(books.list_books(session, book.code)),
            trial_url=find_url("operator.shadow_ratings_trial", trial_id=gate.trial.id) if gate.trial else None,
            try_url=find_url("operator.shadow_ratings_new", book=book.id),
            may_change=may_change(),
        )


@access.requires_staff("finance.read")
def catalog_compare(book_id: str) -> Response:
    """One version beside what is in force, or beside another version; each price with its change."""
    url = Query()
    with services.database().reading() as session:
        book = books.get_book(session, path_key(book_id))
        others = [one for one in reversed(books.list_books(session, book.code)) if one.id != book.id]
        against = url.choice("with", ("in-force", *(str(one.version) for one in others)), "in-force")
        own = books.prices_of(session, book.id)
        if against == "in-force":
            before = [
                price for price in prices.list_prices(session, book.code) if price.id not in {one.id for one in own}
            ]
            changes = comparison.compare(before, [*before, *own])
        else:
            before = books.prices_of(session, books.get_version(session, book.code, int(against)).id)
            changes = comparison.compare(before, own)
        state = url.choice("show", ("all", "changes"), "changes")
    shown = [change for change in changes if state == "all" or change.state != comparison.SAME]
    options = [option("What is in force", against == "in-force", **{"with": None})]
    options += [
        option(f"Version {one.version}", str(one.version) == against, **{"with": one.version}) for one in others
    ]
    return htmx.render(
        "operator/catalog/compare.html",
        "operator/catalog/_comparison.html",
        book=book,
        against="what is in force" if against == "in-force" else f"version {against}",
        options=options,
        states=[
            option(
                f"Changes {sum(change.state != comparison.SAME for change in changes)}", state == "changes", show=None
            ),
            option(f"All {len(changes)}", state == "all", show="all"),
        ],
        rows=[compared(change) for change in shown],
        notices=url.notices,
    )


@access.requires_staff("finance.read")
def catalog_plan(plan_id: str) -> str:
    """A plan's versions with their books and terms, newest first."""
    with services.database().reading() as session:
        plan = plans.get_plan_by_id(session, path_key(plan_id))
        rows = list(reversed(plans.list_versions(session, plan.code)))
        in_force = {
            price.item.variant: price
            for price in prices.list_prices(session, rows[0].book_code)
            if price.meter_code == "plan_fee"
        }
        return render_template(
            "operator/catalog/plan.html",
            plan=plan,
            rows=[(row, _terms(row, in_force)) for row in rows],
            now=services.now(),
            book_ids={book.code: book.id for book in books.list_books(session)},
            may_change=may_change(),
        )


def compared(change: Change) -> Compared:
    """A change in words; a rise is told by its tone and by its plus."""
    return Compared(
        change=change,
        old=price_words.lines(change.old) if change.old else (),
        new=price_words.lines(change.new) if change.new else (),
        percents=tuple(_percent(one) for one in change.percents),
    )


@dataclass(frozen=True, kw_only=True)
class Named:
    """A price with the name of what is sold, in words."""

    price: Price
    name: str
    lines: tuple[price_words.PriceLine, ...]


def by_family(session: Session, found: Iterable[Price]) -> list[tuple[str, list[Named]]]:
    """Prices with their names and lines, grouped by family in words."""
    names = books.names_of(session)
    ordered = sorted(
        found, key=lambda price: (price_words.family_order(price.family), price.sku_code, price.valid_from)
    )
    rows = [Named(price=price, name=names[price.sku_code], lines=price_words.lines(price)) for price in ordered]
    return [
        (price_words.family(family), list(of_family))
        for family, of_family in groupby(rows, key=lambda row: row.price.family)
    ]


def may_change() -> bool:
    """Whether the viewer may load prices and ask for them to come into force."""
    return "prices.change" in access.current_principal().staff_permissions


def find_url(endpoint: str, **values: Any) -> str | None:
    """The address of a page of another room, None where this portal has none."""
    return url_for(endpoint, **values) if endpoint in current_app.view_functions else None


def _newest(found: Sequence[PlanRow]) -> list[tuple[PlanRow, int]]:
    """Each plan by its newest version, and how many it has."""
    grouped = [list(rows) for _, rows in groupby(found, key=lambda row: row.code)]
    return [(rows[-1], len(rows)) for rows in grouped]


def _terms(row: PlanRow, fees: dict[str, Price]) -> list[str]:
    currencies = sorted({price.currency for price in fees.values()} | {one.currency for one in row.terms.minimums}) or [
        "USD"
    ]
    said: list[str] = []
    for currency in currencies:
        said += [
            sentence for sentence in price_words.terms(row.terms, currency=currency, fees=fees) if sentence not in said
        ]
    return said


def _percent(change: Fraction) -> tuple[str, str]:
    figure = formats.decimal(abs(change), places=2, mark=False, locale=reader_locale())
    sign = "+" if change > 0 else "−" if change < 0 else ""
    return f"{sign}{figure}%", "warn" if change > 0 else "good" if change < 0 else ""
