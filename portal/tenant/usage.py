"""Usage: what was used in some days, what it cost by service, project or resource, and the same as CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from flask import Response, jsonify, url_for

from billing.accounts.principals import AccountAccess
from billing.catalog.skus import SKUS
from billing.exports.usage import usage_csv as export_usage
from billing.kernel.periods import Grain
from billing.metering.usage import UsageFilter
from billing.rating import running, spending
from billing.rating.spending import MAX_BUCKETS, Group, MonthRow, SpendFilter, Spending
from portal import access, filters, htmx, services
from portal.navigation import url_with
from portal.tenant import blueprint, cost_charts, query, ranges
from portal.tenant.query import Query
from portal.tenant.ranges import Range

_GRAIN_WORDS: dict[Grain, str] = {"hour": "Hour", "day": "Day", "month": "Month"}
_SORTS = ("name", "lines", "amount")
_PAGE_SIZE = 50
_MONTHS_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the URL asks for."""

    days: Range
    by: Grain
    group: Group
    wanted: SpendFilter
    sort: str


@blueprint.get("/usage")
@access.requires("billing.read")
def usage() -> Response:
    """Figures, chart and table; htmx gets the report alone."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        months = spending.months(session, account.id)
        asked = _read(url, ranges.read(url, months, zone=account.zone, now=services.now()))
        found, before = _spend(session, asked, asked.days), _spend(session, asked, asked.days.before(account.zone))
        lag = running.lag(session, account.id)
        choices = {group: spending.choices(session, account.id, group) for group in spending.GROUPS}
    shown = _of_currency(found, url.choice("currency", [one.currency for one in found], account.currency))
    return htmx.render(
        "tenant/usage/index.html",
        "tenant/usage/_report.html",
        asked=asked,
        found=shown,
        lag=lag,
        group_word=cost_charts.GROUP_WORDS[asked.group],
        options={
            group: [("", f"All {group}s"), *((one.value, one.label) for one in choices[group])] for group in choices
        },
        chip_rows=_chips(asked, choices),
        csv_url=url_for("tenant.usage_csv", **_line_parameters(asked, None)),
        manifest_url=url_for("tenant.usage_manifest", **_line_parameters(asked, None)),
        **_switches(asked, months, found, shown),
        **_before(asked, before, shown),
        **(_report(shown, asked) if shown else {}),
        **_table(shown, url, asked),
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


def _wanted_file() -> tuple[AccountAccess, str, UsageFilter]:
    """Whose usage, the file's name, and which records the address asks for."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        months = spending.months(session, account.id)
    asked = _read(url, ranges.read(url, months, zone=account.zone, now=services.now()))
    wanted = UsageFilter(
        meter_code=SKUS[asked.wanted.sku_code].meter_code if asked.wanted.sku_code else None,
        project_code=asked.wanted.project_code,
        resource=asked.wanted.resource,
        from_at=asked.days.start_at,
        to_at=asked.days.end_at,
    )
    return account, f"usage-{filters.slug(account.code)}-{asked.days.first_on}-to-{asked.days.last_on}.csv", wanted


def _read(asked: Query, days: Range) -> Asked:
    by = cast(Grain, asked.choice("by", list(_GRAIN_WORDS), "day" if _fits("day", days) else "month", word="step"))
    if not _fits(by, days):
        asked.notices.append(f"These are too many days to show by the {by}.")
        by = "day" if _fits("day", days) else "month"
    service = asked.text("service")
    if service is not None and service not in SKUS:
        asked.notices.append("There is no such service: it was left out.")
        service = None
    return Asked(
        days=days,
        by=by,
        group=cast(Group, asked.choice("group", spending.GROUPS, "service", word="grouping")),
        wanted=SpendFilter(sku_code=service, project_code=asked.text("project"), resource=asked.text("resource")),
        sort=asked.sort(_SORTS, "-amount"),
    )


def _spend(session: Any, asked: Asked, days: Range) -> list[Spending]:
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


def _fits(grain: Grain, days: Range) -> bool:
    return {"hour": days.day_count * 25, "day": days.day_count, "month": 1}.get(grain, 1) <= MAX_BUCKETS


def _of_currency(found: Sequence[Spending], currency: str) -> Spending | None:
    """The spending in that currency, else the first there is."""
    return next((one for one in found if one.currency == currency), found[0] if found else None)


def _switches(
    asked: Asked, months: Sequence[MonthRow], found: Sequence[Spending], shown: Spending | None
) -> dict[str, Any]:
    words = cost_charts.GROUP_WORDS
    return {
        "months": [
            query.option(
                filters.month_name(date.fromisoformat(f"{month.label}-01")),
                asked.days.month_label == month.label,
                **_period(month.label),
            )
            for month in months[:_MONTHS_SHOWN]
        ],
        "currencies": [query.option(one.currency, one is shown, currency=one.currency) for one in found],
        "grains": [
            query.option(words, grain == asked.by, by=grain)
            for grain, words in _GRAIN_WORDS.items()
            if _fits(grain, asked.days)
        ],
        "groups": [query.option(words[group], group == asked.group, group=group) for group in spending.GROUPS],
    }


def _before(asked: Asked, before: Sequence[Spending], shown: Spending | None) -> dict[str, Any]:
    """The same question about the days before, to compare with."""
    days = asked.days.before(access.current_account().zone)
    same = next((one for one in before if shown and one.currency == shown.currency), None)
    url = url_with(**{"period": None, "from": days.first_on.isoformat(), "to": days.last_on.isoformat(), "page": None})
    return {"before_minor": same.total_minor if same else 0, "days_before": days, "before_url": url}


def _report(shown: Spending, asked: Asked) -> dict[str, Any]:
    columns = cost_charts.columns(shown, by=asked.by, group=asked.group)
    return {
        "chart": cost_charts.stacked(shown, by=asked.by, group=asked.group, days=asked.days),
        "columns": columns
        | {"heads": [{"label": f"{name}, {shown.currency}", "kind": "num"} for name in columns["names"]]},
    }


def _period(label: str) -> dict[str, Any]:
    return {"period": label, "from": None, "to": None}


def _chips(asked: Asked, choices: dict[Group, list[spending.Choice]]) -> list[dict[str, str]]:
    chips = []
    if asked.days.is_chosen:
        chips.append(query.chip("Dates", filters.days(asked.days.first_on, asked.days.last_on), "period", "from", "to"))
    for group, value in (
        ("service", asked.wanted.sku_code),
        ("project", asked.wanted.project_code),
        ("resource", asked.wanted.resource),
    ):
        if value is not None:
            labels = {choice.value: choice.label for choice in choices[cast(Group, group)]}
            chips.append(query.chip(cost_charts.GROUP_WORDS[cast(Group, group)], labels.get(value, value), group))
    return chips


def _table(found: Spending | None, url: Query, asked: Asked) -> dict[str, Any]:
    groups = list(found.groups) if found else []
    keys = {
        "name": lambda group: cost_charts.name_of(group, asked.group).casefold(),
        "lines": lambda group: group.line_count,
        "amount": lambda group: group.amount_minor,
    }
    groups.sort(key=keys[asked.sort.removeprefix("-")], reverse=asked.sort.startswith("-"))
    page = query.last_page(url.page(), _PAGE_SIZE, len(groups))
    return {
        "rows": [
            {
                "name": cost_charts.name_of(group, asked.group),
                "group": group,
                "url": url_with(**{asked.group: group.key, "page": None}) if group.key else None,
                "lines_url": url_for("tenant.rated_lines", **_line_parameters(asked, group.key)),
            }
            for group in groups[(page - 1) * _PAGE_SIZE : page * _PAGE_SIZE]
        ],
        "page": page,
        "page_size": _PAGE_SIZE,
        "group_count": len(groups),
        "sort": asked.sort,
        "lines_url": url_for("tenant.rated_lines", **_line_parameters(asked, None)),
    }


def _line_parameters(asked: Asked, key: str | None) -> dict[str, Any]:
    wanted = {"service": asked.wanted.sku_code, "project": asked.wanted.project_code, "resource": asked.wanted.resource}
    if key:
        wanted[asked.group] = key
    days = {"from": asked.days.first_on.isoformat(), "to": asked.days.last_on.isoformat()}
    return days | {name: value for name, value in wanted.items() if value}


def _csv_parameters(asked: Asked) -> dict[str, str]:
    return _line_parameters(asked, None)
