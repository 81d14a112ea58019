"""Business: who is active, what came in, what was earned by family and month, and how far billing is; the same as CSV."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from flask import url_for
from werkzeug.wrappers import Response

from billing.assurance import business as figures
from billing.assurance.business import Business
from billing.exports import csv
from billing.kernel import money
from billing.rating import dimensions
from billing.rendering import charts
from portal import access, filters, htmx, services
from portal.tenant import cost_charts, query
from portal.tenant.query import Query


@access.requires_staff("finance.read")
def business() -> Response:
    """The twelve months up to this one; htmx gets the revenue alone."""
    url, now = Query(), services.now()
    with services.database().reading() as session:
        found = figures.of(session, now=now)
    currencies = sorted({row.currency for row in found.revenue} | {tie.currency for tie in found.ties})
    currency = url.choice("currency", currencies, currencies[0] if currencies else "")
    return htmx.render(
        "operator/business/index.html",
        "operator/business/_revenue.html",
        found=found,
        now=now,
        currency=currency,
        currencies=[query.option(one, one == currency, currency=one) for one in currencies],
        tie=next((tie for tie in found.ties if tie.currency == currency), None),
        months=[
            {"name": filters.month_name(_first(one.label)), "activity": one, "cycle": cycle}
            for one, cycle in zip(reversed(found.activity), reversed(found.cycle), strict=True)
            if one.tenant_count or one.record_count or one is found.activity[-1]
        ],
        csv_url=url_for("operator.business_csv"),
        **_revenue(found, currency),
        notices=url.notices,
    )


@access.requires_staff("finance.read")
def business_csv() -> Response:
    """One row for each figure: month, what it is, currency and family where it has them, the value."""
    with services.database().reading() as session:
        found = figures.of(session, now=services.now())
    export = csv.Export(columns=("month", "figure", "currency", "family", "value"), rows=_rows(found))
    response = Response(export, mimetype="text/csv")
    response.headers.set(
        "Content-Disposition", "attachment", filename=f"business-{found.labels[0]}-to-{found.labels[-1]}.csv"
    )
    return response


def _rows(found: Business) -> Iterator[Sequence[csv.Cell]]:
    for activity, cycle in zip(found.activity, found.cycle, strict=True):
        for figure, count in (
            ("active tenants", activity.tenant_count),
            ("usage records", activity.record_count),
            ("periods open", cycle.open_count),
            ("periods ended", cycle.ended_count),
            ("periods drafted", cycle.drafted_count),
            ("periods invoiced", cycle.issued_count),
        ):
            yield activity.label, figure, None, None, count
    for row in found.revenue:
        value = Decimal(row.amount_minor).scaleb(-money.exponent(row.currency))
        yield row.label, "revenue", row.currency, row.family, value


def _revenue(found: Business, currency: str) -> dict[str, Any]:
    """A row for each family with its twelve months, the largest first, and their sums."""
    held: dict[str, list[int]] = {}
    for row in found.revenue:
        if row.currency == currency:
            held.setdefault(row.family, [0] * len(found.labels))[found.labels.index(row.label)] += row.amount_minor
    rows = sorted(held.items(), key=lambda item: (-sum(item[1]), item[0]))
    return {
        "heads": [{"label": cost_charts.short_month(label), "kind": "num"} for label in reversed(found.labels)],
        "families": [
            {"name": dimensions.family_name(name), "values": values, "total": sum(values)} for name, values in rows
        ],
        "totals": [sum(column) for column in zip(*held.values(), strict=True)] if held else [],
        "chart": _chart(found, currency, rows) if rows else None,
    }


def _chart(found: Business, currency: str, rows: Sequence[tuple[str, list[int]]]) -> object:
    def tick(value: Fraction) -> str:
        return filters.money(int(value), currency)

    def axis(value: Fraction) -> str:
        return filters.axis_money(value, currency)

    total = filters.money(sum(sum(values) for _, values in rows), currency)
    return charts.stacked_bars(
        charts.Chart(
            id="business-chart",
            title=f"Revenue by family and month, {currency}",
            description=f"One bar for each accounting month, stacked by family. In all {total}.",
            labels=cost_charts.bars(found.labels, "month"),
            series=charts.fold(
                [charts.Series(name=dimensions.family_name(name), values=tuple(values)) for name, values in rows]
            ),
            tick=tick,
            axis=axis,
            is_whole=True,
        )
    )


def _first(label: str) -> date:
    return date.fromisoformat(f"{label}-01")
