"""Twelve months of cost by any dimension: how each grew, as a chart and a table."""

from datetime import date
from typing import Any

from flask import Response, request, url_for

from billing.kernel import periods
from billing.rating import choices as choice_lists
from billing.rating import spending
from billing.rating.spending import SpendGroup, Spending
from portal import access, htmx, services
from portal.navigation import url_with
from portal.tenant import blueprint, cost_charts, query, ranges, spending_asked
from portal.tenant.query import Query
from portal.tenant.ranges import Range

MONTHS = 12
_SHOWN = 50


@blueprint.get("/usage/trends")
@access.requires("billing.read")
def usage_trends() -> Response:
    """The twelve months up to the present one; htmx gets the report alone."""
    account, url = access.current_account(), Query()
    days = _twelve_months(periods.label_of(services.now(), "month", account.zone), account.zone)
    with services.database().reading() as session:
        group, wanted = spending_asked.read_group(url), spending_asked.read_filter(session, url)
        found = spending.spend(
            session,
            account.id,
            start_at=days.start_at,
            end_at=days.end_at,
            by="month",
            zone=account.zone,
            group=group,
            wanted=wanted,
        )
        choices = choice_lists.used(session, account.id, days.start_at, days.end_at)
    currency = url.choice("currency", [one.currency for one in found], account.currency)
    shown = next((one for one in found if one.currency == currency), found[0] if found else None)
    return htmx.render(
        "tenant/usage/trends.html",
        "tenant/usage/_trends.html",
        days=days,
        group=group,
        group_word=spending_asked.word_of(group),
        wanted=wanted,
        found=shown,
        currencies=[query.option(one.currency, one is shown, currency=one.currency) for one in found],
        groups=spending_asked.switches(group, choices),
        options=spending_asked.options(choices),
        chip_rows=spending_asked.chips(wanted, choices, None),
        **(_report(shown, group, days) if shown else {}),
        notices=url.notices,
    )


def _twelve_months(label: str, zone: str) -> Range:
    first_on = date.fromisoformat(f"{label}-01")
    last_on = ranges.of_month(label, zone).last_on
    for _ in range(MONTHS - 1):
        first_on = ranges.month_before(first_on)
    return ranges.of_days(first_on, last_on, zone)


def _report(shown: Spending, group: str, days: Range) -> dict[str, Any]:
    labels = [
        {
            "name": cost_charts.label_of(label, "month"),
            "short": cost_charts.short_month(label),
            "url": _month_url(label),
        }
        for label in shown.labels
    ]
    rows = [_row(one, group) for one in shown.groups[:_SHOWN]]
    return {
        "chart": cost_charts.stacked(shown, by="month", group=group, days=days, id="trend-chart"),
        "labels": labels,
        "heads": [{"label": one["short"], "kind": "num"} for one in reversed(labels)],
        "rows": rows,
        "more_count": len(shown.groups) - len(rows),
    }


def _row(one: SpendGroup, group: str) -> dict[str, Any]:
    narrowing = spending_asked.narrowing(group, one.key)
    return {
        "name": cost_charts.name_of(one, group),
        "group": one,
        "url": url_with(**narrowing) if narrowing else None,
    }


def _month_url(label: str) -> str:
    return url_for("tenant.usage", period=label, **_kept())


def _kept() -> dict[str, Any]:
    return {
        name: request.args[name]
        for name in ("group", "service", "item", "project", "resource", "route", "submitter", "tag", "currency")
        if request.args.get(name)
    }
