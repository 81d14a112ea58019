"""Usage: what was used in some days and what it cost, by any dimension, beside the days before; the same as CSV."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from flask import Response, jsonify, url_for

from billing.accounts.principals import AccountAccess
from billing.exports import spending as spending_export
from billing.exports.usage import usage_csv as export_usage
from billing.metering.usage import UsageFilter
from billing.rating import catalogue, running, spending
from billing.rating import choices as choice_lists
from billing.rating.spending import MonthRow, SpendGroup, Spending
from billing.storage.database import Session
from portal import access, filters, htmx, services
from portal.navigation import url_with
from portal.tenant import blueprint, cost_charts, query, ranges, spending_asked
from portal.tenant.query import Query
from portal.tenant.ranges import Range
from portal.tenant.spending_asked import GRAIN_WORDS, Asked

_PAGE_SIZE = 50
_MONTHS_SHOWN = 6


@blueprint.get("/usage")
@access.requires("billing.read")
def usage() -> Response:
    """Figures, chart and table; htmx gets the report alone."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        months = spending.months(session, account.id)
        asked = spending_asked.read(session, url, ranges.read(url, months, zone=account.zone, now=services.now()))
        found, before = _spend(session, asked, asked.days), _spend(session, asked, asked.days.before(account.zone))
        lag = running.lag(session, account.id)
        choices = choice_lists.used(session, account.id, asked.days.start_at, asked.days.end_at)
    shown = _of_currency(found, url.choice("currency", [one.currency for one in found], account.currency))
    same = next((one for one in before if shown and one.currency == shown.currency), None)
    return htmx.render(
        "tenant/usage/index.html",
        "tenant/usage/_report.html",
        asked=asked,
        found=shown,
        lag=lag,
        group_word=asked.group_word,
        options=spending_asked.options(choices),
        chip_rows=spending_asked.chips(asked.wanted, choices, asked.days if asked.days.is_chosen else None),
        groups=spending_asked.switches(asked.group, choices),
        **_files(asked),
        **_switches(asked, months, found, shown),
        **_before(asked, same),
        **(_report(shown, asked) if shown else {}),
        **_table(shown, same, url, asked),
        notices=url.notices,
    )


@blueprint.get("/usage.csv")
@access.requires("billing.read")
def usage_csv() -> Response:
    """The usage records that begin in the days asked for, streamed in the order they were taken in."""
    account, name, wanted = _wanted_file()
    rows = services.streamed(lambda session: export_usage(session, account.id, wanted))
    response = Response(rows, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@blueprint.get("/usage.manifest.json")
@access.requires("billing.read")
def usage_manifest() -> Response:
    """How many rows the file of the same address has now, the exact sum of its quantities, and the SHA-256 of its bytes."""
    account, name, wanted = _wanted_file()
    with services.database().reading() as session:
        export = export_usage(session, account.id, wanted)
        for _chunk in export:
            pass
    response = jsonify({"file": name, **export.manifest.to_json()})
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.manifest.json")
    return response


@blueprint.get("/usage/cost.csv")
@access.requires("billing.read")
def usage_cost() -> Response:
    """The table of the page with the same address, a row for each step and group that cost something, every currency by itself."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        months = spending.months(session, account.id)
        asked = spending_asked.read(session, url, ranges.read(url, months, zone=account.zone, now=services.now()))
        url.refuse_unusable()
        found = _spend(session, asked, asked.days)
    rows = spending_export.cost_csv(found, group_word=asked.group_word.lower())
    response = Response(rows, mimetype="text/csv")
    name = f"cost-{filters.slug(account.code)}-{asked.days.first_on}-to-{asked.days.last_on}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _wanted_file() -> tuple[AccountAccess, str, UsageFilter]:
    """Whose usage, the file's name, and which records the address asks for."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        months = spending.months(session, account.id)
        asked = spending_asked.read(session, url, ranges.read(url, months, zone=account.zone, now=services.now()))
        url.refuse_unusable()
        wanted = records_filter(session, asked)
    return account, f"usage-{filters.slug(account.code)}-{asked.days.first_on}-to-{asked.days.last_on}.csv", wanted


def records_filter(session: Session, asked: Asked) -> UsageFilter:
    """The usage records that stand behind what a cost page shows."""
    item = catalogue.find_item(session, asked.wanted.sku_code) if asked.wanted.sku_code else None
    return UsageFilter(
        meter_code=item.meter_code if item else None,
        variant=(item.variant or None) if item else None,
        mode=item.mode if item else None,
        meter_codes=catalogue.meters_of(session, asked.wanted.service) if asked.wanted.service else None,
        project_code=asked.wanted.project_code,
        resource=asked.wanted.resource,
        route=asked.wanted.route,
        member_id=asked.wanted.member_id,
        tag_key=asked.wanted.tag_key,
        tag_value=asked.wanted.tag_value,
        from_at=asked.days.start_at,
        to_at=asked.days.end_at,
    )


def _spend(session: Session, asked: Asked, days: Range) -> list[Spending]:
    account = access.current_account()
    return spending.spend(
        session,
        account.id,
        start_at=days.start_at,
        end_at=days.end_at,
        by=asked.by if days is asked.days else "month",
        zone=account.zone,
        group=asked.group,
        wanted=asked.wanted,
    )


def _of_currency(found: Sequence[Spending], currency: str) -> Spending | None:
    """The spending in that currency, else the first there is."""
    return next((one for one in found if one.currency == currency), found[0] if found else None)


def _files(asked: Asked) -> dict[str, Any]:
    same = _line_parameters(asked, None)
    return {
        "csv_url": url_for("tenant.usage_csv", **same),
        "manifest_url": url_for("tenant.usage_manifest", **same),
        "cost_url": url_for("tenant.usage_cost", **same, by=asked.by, group=asked.group),
        "records_url": url_for("tenant.usage_records", **same),
        "trends_url": url_for("tenant.usage_trends", group=asked.group, **spending_asked.parameters(asked.wanted)),
    }


def _switches(
    asked: Asked, months: Sequence[MonthRow], found: Sequence[Spending], shown: Spending | None
) -> dict[str, Any]:
    return {
        "months": [
            query.option(
                filters.month_name(date.fromisoformat(f"{month.label}-01")),
                asked.days.month_label == month.label,
                **{"period": month.label, "from": None, "to": None},
            )
            for month in months[:_MONTHS_SHOWN]
        ],
        "currencies": [query.option(one.currency, one is shown, currency=one.currency) for one in found],
        "grains": [
            query.option(words, grain == asked.by, by=grain)
            for grain, words in GRAIN_WORDS.items()
            if spending_asked.fits(grain, asked.days)
        ],
    }


def _before(asked: Asked, same: Spending | None) -> dict[str, Any]:
    """The same question about the days before, to compare with."""
    days = asked.days.before(access.current_account().zone)
    url = url_with(**{"period": None, "from": days.first_on.isoformat(), "to": days.last_on.isoformat(), "page": None})
    return {"before_minor": same.total_minor if same else 0, "days_before": days, "before_url": url}


def _report(shown: Spending, asked: Asked) -> dict[str, Any]:
    columns = cost_charts.columns(shown, by=asked.by, group=asked.group)
    return {
        "chart": cost_charts.stacked(shown, by=asked.by, group=asked.group, days=asked.days),
        "columns": columns
        | {"heads": [{"label": f"{name}, {shown.currency}", "kind": "num"} for name in columns["names"]]},
    }


def _table(found: Spending | None, before: Spending | None, url: Query, asked: Asked) -> dict[str, Any]:
    groups = list(found.groups) if found else []
    earlier = {group.key: group.amount_minor for group in before.groups} if before else {}
    keys: dict[str, Callable[[SpendGroup], Any]] = {
        "name": lambda group: cost_charts.name_of(group, asked.group).casefold(),
        "lines": lambda group: group.line_count,
        "amount": lambda group: group.amount_minor,
        "before": lambda group: earlier.get(group.key, 0),
    }
    groups.sort(key=keys[asked.sort.removeprefix("-")], reverse=asked.sort.startswith("-"))
    page = query.last_page(url.page(), _PAGE_SIZE, len(groups))
    return {
        "rows": [
            _row(group, asked, earlier.get(group.key, 0))
            for group in groups[(page - 1) * _PAGE_SIZE : page * _PAGE_SIZE]
        ],
        "page": page,
        "page_size": _PAGE_SIZE,
        "group_count": len(groups),
        "sort": asked.sort,
        "lines_url": url_for("tenant.rated_lines", **_line_parameters(asked, None)),
    }


def _row(group: SpendGroup, asked: Asked, before_minor: int) -> dict[str, Any]:
    narrowing = spending_asked.narrowing(asked.group, group.key)
    return {
        "name": cost_charts.name_of(group, asked.group),
        "group": group,
        "before_minor": before_minor,
        "url": url_with(**narrowing, page=None) if narrowing else None,
        "lines_url": url_for("tenant.rated_lines", **_line_parameters(asked, narrowing)),
    }


def _line_parameters(asked: Asked, narrowing: dict[str, str] | None) -> dict[str, Any]:
    days = {"from": asked.days.first_on.isoformat(), "to": asked.days.last_on.isoformat()}
    return days | spending_asked.parameters(asked.wanted) | (narrowing or {})
