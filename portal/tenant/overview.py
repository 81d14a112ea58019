"""Overview: the balance, this month so far, what runs now and what it costs, what is open, and what happened last."""

from collections.abc import Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from flask import render_template

from billing.controls import budgets
from billing.invoicing import availability
from billing.invoicing import invoices as documents
from billing.kernel import periods
from billing.kernel.rounding import half_up_fraction
from billing.ledger import statement
from billing.notices import inbox
from billing.rating import running, spending
from billing.rating.running import Part, RunningRow
from billing.rating.spending import MonthRow
from billing.storage.database import Session
from portal import access, filters, services, unit_words
from portal.tenant import balance as balance_page
from portal.tenant import blueprint, cost_charts, notices, ranges
from portal.tenant import budgets as budget_pages
from portal.tenant import invoices as invoice_pages

_ACTIVITY = 6
_NOTICES = 6
_RUNNING = 20


@blueprint.get("/")
@access.requires("billing.read")
def overview() -> str:
    """One page that says how things stand, as of now."""
    account, now = access.current_account(), services.now()
    with services.database().reading() as session:
        held = availability.of_account(session, now=now, account_id=account.id)
        months = spending.months(session, account.id)
        rows = running.list_running(session, account.id, now=now, currency=account.currency, limit=_RUNNING + 1)
        return render_template(
            "tenant/overview/index.html",
            account=account,
            now=now,
            held=held,
            lag=running.lag(session, account.id),
            may_write="billing.write" in account.permissions,
            opened=documents.list_invoices(
                session, now=now, account_id=account.id, states=invoice_pages.OPEN, kind="invoice", sort="due", limit=5
            ),
            open_count=documents.count_invoices(
                session, now=now, account_id=account.id, states=invoice_pages.OPEN, kind="invoice"
            ),
            levels=[
                budget_pages.level_of(row)
                for row in budgets.list_budgets(session, now=now, account_id=account.id)
                if row.is_active
            ],
            activity=[
                balance_page.movement_of(row)
                for row in statement.movements(session, account_id=account.id, limit=_ACTIVITY).rows
            ],
            notices=[notices.shown(one) for one in inbox.list_notices(session, account.id, limit=_NOTICES)],
            **_month(session, account.id, months, account.zone, now),
            **_running(rows),
        )


def _month(session: Session, account_id: str, months: Sequence[MonthRow], zone: str, now: datetime) -> dict[str, Any]:
    """This month's cost from the ledger beside the month before, and the newest month with usage as a chart."""
    label = periods.label_of(now, "month", zone)
    first = date.fromisoformat(f"{label}-01")
    before = ranges.month_before(first).isoformat()[:7]
    costs = spending.month_costs(session, account_id, [label, before])
    days = ranges.of_month(months[0].label if months else label, zone)
    found = spending.spend(
        session, account_id, start_at=days.start_at, end_at=days.end_at, by="day", zone=zone, group="item"
    )
    shown = found[0] if found else None
    return {
        "month_label": label,
        "month_name": filters.month_name(first),
        "before_name": filters.month_name(date.fromisoformat(f"{before}-01")),
        "costs": [cost for cost in costs if cost.label == label],
        "costs_before": {cost.currency: cost.amount_minor for cost in costs if cost.label == before},
        "has_usage": bool(months),
        "chart_name": filters.month_name(days.first_on),
        "chart_label": days.first_on.isoformat()[:7],
        "found": shown,
        "chart": cost_charts.stacked(shown, by="day", group="item", days=days, id="overview-chart") if shown else None,
    }


def _running(rows: Sequence[RunningRow]) -> dict[str, Any]:
    """What runs, with the cost of the next hour of each and of all."""
    shown = rows[:_RUNNING]
    priced = [row.per_hour_minor for row in rows if row.per_hour_minor is not None]
    return {
        "running": [
            {
                "row": row,
                "allocation": row.allocation,
                "parts": ", ".join(_held(part, row.allocation.variant) for part in row.parts),
                "per_hour_minor": None if row.per_hour_minor is None else half_up_fraction(row.per_hour_minor),
            }
            for row in shown
        ],
        "running_count": len(rows),
        "has_more_running": len(rows) > _RUNNING,
        "running_minor": half_up_fraction(sum(priced, Fraction(0))),
        "has_stopped": any(row.is_stopped for row in shown),
        "has_unpriced": len(priced) < len(rows),
    }


def _held(part: Part, variant: str) -> str:
    """What is held, from what an hour of it counts: 8 GPU-hours an hour are 8 GPUs, a seventh of one is "1/7 GPU"."""
    per_hour, held = part.units_per_hour, part.unit.removesuffix("-hour")
    if held == "GiB":
        held = "GiB of storage" if part.meter_code == "gib_hour" else "GiB"
    elif held == "GPU" and variant:
        held = f"{variant.upper()} GPU"
    is_finite = (per_hour * 10**4).denominator == 1
    shown = filters.quantity(per_hour) if is_finite else str(per_hour)
    return f"{shown} {held if held.startswith('GiB') or per_hour <= 1 else unit_words.units(held)}"
