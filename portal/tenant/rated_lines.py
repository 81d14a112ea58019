"""Rated lines: what each usage record added to its counter, and for one line how its amount came about, with all its evidence."""

from dataclasses import dataclass
from decimal import Decimal

from flask import Response, render_template, url_for

from billing.catalog.skus import SKUS
from billing.invoicing import invoices as documents
from billing.invoicing.invoices import InvoiceDetail
from billing.rating import lines, spending
from billing.rating.lines import LineDetail, LineFilters
from billing.storage.database import Session
from portal import access, filters, htmx, services
from portal.tenant import blueprint, derivations, query, ranges
from portal.tenant.query import Query
from portal.tenant.ranges import Range

_SORTS = ("start", "quantity", "amount")
# URL parameter -> the words of its chip; each names one thing by id
_IDS = {
    "charge": "Charge",
    "transaction": "Ledger transaction",
    "allocation": "Allocation",
    "usage": "Usage record",
    "invoice": "Invoice",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the URL asks for; `days` is None where no days are named."""

    wanted: LineFilters
    ids: dict[str, str]
    days: Range | None


@blueprint.get("/rated-lines")
@access.requires("billing.read")
def rated_lines() -> Response:
    """All lines, newest first, with filters; htmx gets the list alone."""
    account, url = access.current_account(), Query()
    sort = url.sort(_SORTS, "-start")
    with services.database().reading() as session:
        choices = {group: spending.choices(session, account.id, group) for group in spending.GROUPS}
        asked = _read(url)
        page = lines.list_lines(session, account.id, asked.wanted, sort=sort, page=url.page())
        last = query.last_page(page.page, page.page_size, page.total)
        if last != page.page:
            page = lines.list_lines(session, account.id, asked.wanted, sort=sort, page=last)
    return htmx.render(
        "tenant/rated_lines/index.html",
        "tenant/rated_lines/_list.html",
        found=page,
        sort=sort,
        asked=asked,
        options={
            group: [("", f"All {group}s"), *((one.value, one.label) for one in choices[group])] for group in choices
        },
        chip_rows=_chips(asked, choices),
        notices=url.notices,
    )


@blueprint.get("/rated-lines/<line_id>")
@access.requires("billing.read")
def rated_lines_detail(line_id: str) -> str:
    """One line: the worked formula, its rounding, and links to everything before and behind it."""
    account = access.current_account()
    with services.database().reading() as session:
        line = lines.get_line(session, account.id, query.path_key(line_id))
        invoice = _find_invoice(session, line)
    return render_template(
        "tenant/rated_lines/detail.html",
        line=line,
        row=line.row,
        price_words=price_words(line),
        price_since=_since(line),
        summary=derivations.summary(line),
        steps=derivations.worked(line),
        cent=derivations.smallest_unit(line.row.currency),
        invoice=invoice,
        invoice_line=_line_of(invoice, line.row.charge_id),
    )


def price_words(line: LineDetail) -> str:
    """A price version in words: "USD 0.10 per core-hour"."""
    price = line.price
    terms, unit = price.parameters, price.unit

    def major(text: str) -> str:
        return filters.unit_price(Decimal(text), price.currency)

    if price.model == "per_unit":
        return f"{major(terms['unit_price'])} per {unit}"
    if price.model in ("graduated", "volume"):
        steps = [
            f"up to {tier['up_to']} at {major(tier['unit_price'])}"
            if "up_to" in tier
            else f"then {major(tier['unit_price'])}"
            for tier in terms["tiers"]
        ]
        return f"per {unit}, {', '.join(steps)}{', for all of it' if price.model == 'volume' else ''}"
    if price.model == "allowance":
        return f"{terms['free']} {unit}s free, then {major(terms['unit_price'])} per {unit}"
    if price.model == "package":
        return f"{major(terms['package_price'])} per {terms['package_size']} {unit}s"
    return f"{major(terms['amount'])} in all"


def _since(line: LineDetail) -> str:
    """From when the price version holds; the first prices hold from 1970, which is to say from the beginning."""
    at = line.price.valid_from
    return "in force from the beginning" if at.year <= 1970 else f"in force from {filters.instant(at)}"


def _read(url: Query) -> Asked:
    account = access.current_account()
    service = url.text("service")
    if service is not None and service not in SKUS:
        url.notices.append("There is no such service: it was left out.")
        service = None
    has_days = any(url.text(name) for name in ("period", "from", "to"))
    days = ranges.read(url, (), zone=account.zone, now=services.now()) if has_days else None
    days = days if days is not None and days.is_chosen else None
    ids = {name: value for name in _IDS if (value := url.text(name)) is not None}
    wanted = LineFilters(
        sku_code=service,
        project_code=url.text("project"),
        resource=url.text("resource"),
        from_at=days.start_at if days else None,
        to_at=days.end_at if days else None,
        charge_id=ids.get("charge"),
        transaction_id=ids.get("transaction"),
        allocation_id=ids.get("allocation"),
        usage_record_id=ids.get("usage"),
        draft_id=ids.get("invoice"),
    )
    return Asked(wanted=wanted, ids=ids, days=days)


def _chips(asked: Asked, choices: dict[spending.Group, list[spending.Choice]]) -> list[dict[str, str]]:
    chips = []
    if asked.days is not None:
        chips.append(query.chip("Dates", filters.days(asked.days.first_on, asked.days.last_on), "period", "from", "to"))
    values: dict[spending.Group, str | None] = {
        "service": asked.wanted.sku_code,
        "project": asked.wanted.project_code,
        "resource": asked.wanted.resource,
    }
    for group, value in values.items():
        if value is not None:
            labels = {choice.value: choice.label for choice in choices[group]}
            chips.append(query.chip(group.capitalize(), labels.get(value, value), group))
    return chips + [query.chip(_IDS[name], value, name) for name, value in asked.ids.items()]


def _find_invoice(session: Session, line: LineDetail) -> InvoiceDetail | None:
    """The issued invoice that bills the line; a draft is not shown to tenants."""
    if line.row.draft_id is None:
        return None
    found = documents.get_invoice(
        session, now=services.now(), key=line.row.draft_id, account_id=line.billing_account_id
    )
    return found if found.row.number is not None else None


def _line_of(invoice: InvoiceDetail | None, charge_id: str) -> dict[str, object] | None:
    """The invoice line of a charge, with the URL at which it stands."""
    if invoice is None:
        return None
    found = next((line for line in invoice.document.lines if line.charge_id == charge_id), None)
    url = url_for("tenant.invoices_detail", key=invoice.row.number)
    return {"url": f"{url}#{found.id}", "line": found} if found else {"url": url, "line": None}
