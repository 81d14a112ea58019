"""Rated lines: what each usage record added to its counter, and for one line how its amount came about, with all its evidence."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from flask import Response, render_template, url_for

from billing.accounts import directory
from billing.invoicing import invoices as documents
from billing.invoicing.invoices import InvoiceDetail
from billing.kernel.clock import get_zone
from billing.rating import choices as choice_lists
from billing.rating import evidence, lines
from billing.rating.choices import Choices
from billing.rating.dimensions import SpendFilter
from billing.rating.evidence import LineDetail
from billing.rating.lines import LineFilters
from billing.storage.database import Session
from portal import access, filters, htmx, services
from portal.tenant import blueprint, derivations, evidence_words, invoice_words, query, ranges, spending_asked
from portal.tenant.query import Query
from portal.tenant.ranges import Range

_LATELY = timedelta(days=92)
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
    spend: SpendFilter
    ids: dict[str, str]
    days: Range | None


@blueprint.get("/rated-lines")
@access.requires("billing.read")
def rated_lines() -> Response:
    """All lines, newest first, with filters; htmx gets the list alone."""
    account, url = access.current_account(), Query()
    sort = url.sort(_SORTS, "-start")
    with services.database().reading() as session:
        asked = _read(session, url)
        days = asked.days or _lately(account.zone)
        choices = choice_lists.used(session, account.id, days.start_at, days.end_at)
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
        options=spending_asked.options(choices),
        chip_rows=_chips(asked, choices),
        notices=url.notices,
    )


@blueprint.get("/rated-lines/<line_id>")
@access.requires("billing.read")
def rated_lines_detail(line_id: str) -> str:
    """One line: the worked formula, its rounding, and links to everything before and behind it."""
    account = access.current_account()
    with services.database().reading() as session:
        line = evidence.get_line(session, account.id, query.path_key(line_id))
        invoice = _find_invoice(session, line)
        email = directory.billing_email(session, account.id)
    return render_template(
        "tenant/rated_lines/detail.html",
        line=line,
        row=line.row,
        price_words=price_words(line),
        price_since=_since(line),
        summary=derivations.summary(line),
        steps=derivations.worked(line),
        cent=derivations.smallest_unit(line.row.currency),
        explained=evidence_words.of_line(line),
        kind_word=evidence_words.KINDS[line.kind],
        mode_word=evidence_words.MODES.get(line.usage.mode, line.usage.mode),
        question_url=evidence_words.question_url(
            email,
            f"line {line.row.line_seq} of {account.code}",
            url_for("tenant.rated_lines_detail", line_id=line.row.id, _external=True),
        ),
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


def _read(session: Session, url: Query) -> Asked:
    account = access.current_account()
    has_days = any(url.text(name) for name in ("period", "from", "to"))
    days = ranges.read(url, (), zone=account.zone, now=services.now()) if has_days else None
    days = days if days is not None and days.is_chosen else None
    ids = {name: value for name in _IDS if (value := url.text(name)) is not None}
    spend = spending_asked.read_filter(session, url)
    wanted = LineFilters(
        service=spend.service,
        sku_code=spend.sku_code,
        project_code=spend.project_code,
        resource=spend.resource,
        route=spend.route,
        member_id=spend.member_id,
        tag=spending_asked.parameters(spend).get("tag"),
        from_at=days.start_at if days else None,
        to_at=days.end_at if days else None,
        charge_id=ids.get("charge"),
        transaction_id=ids.get("transaction"),
        allocation_id=ids.get("allocation"),
        usage_record_id=ids.get("usage"),
        draft_id=ids.get("invoice"),
    )
    return Asked(wanted=wanted, spend=spend, ids=ids, days=days)


def _lately(zone: str) -> Range:
    """The days whose values the filters offer where none are named."""
    today = services.now().astimezone(get_zone(zone)).date()
    return ranges.of_days(today - _LATELY, today, zone)


def _chips(asked: Asked, choices: Choices) -> list[dict[str, str]]:
    found = spending_asked.chips(asked.spend, choices, asked.days)
    return found + [query.chip(_IDS[name], value, name) for name, value in asked.ids.items()]


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
    if found is None:
        return {"url": url, "line": None, "converted": None}
    of, currency = found.converted, invoice.document.currency
    converted = (
        f"{invoice_words.converted_words(of, currency)}: {filters.money(found.amount_minor, currency)}" if of else None
    )
    return {"url": f"{url}#{found.id}", "line": found, "converted": converted}
