"""Usage records: everything that was taken in, and for one of them its attribution, its corrections, and its line or why it waits."""

from typing import Any

from flask import Response, render_template, url_for

from billing.accounts import directory
from billing.kernel.errors import NotFound
from billing.metering import usage
from billing.metering.usage import UsageDetail, UsageFilter
from billing.rating import choices as choice_lists
from billing.rating import evidence, lines, spending
from billing.storage.database import Session
from portal import access, htmx, services
from portal.tenant import blueprint, evidence_words, query, ranges, spending_asked
from portal.tenant.query import Query
from portal.tenant.usage import records_filter

PAGE_SIZE = 50
# URL parameter -> the words of its chip; each names records by something of theirs
_IDS = {
    "allocation": "Allocation",
    "source": "Source",
    "source_id": "Id at the source",
    "correlation": "Correlation id",
}


@blueprint.get("/usage/records")
@access.requires("billing.read")
def usage_records() -> Response:
    """Records that begin in the days asked for, newest first; htmx gets the list alone."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        months = spending.months(session, account.id)
        asked = spending_asked.read(session, url, ranges.read(url, months, zone=account.zone, now=services.now()))
        ids = {name: value for name in _IDS if (value := url.text(name)) is not None}
        wanted = _narrowed(records_filter(session, asked), ids, has_days=asked.days.is_chosen)
        choices = choice_lists.used(session, account.id, asked.days.start_at, asked.days.end_at)
        place = url.page()
        page = usage.list_usage(session, account.id, wanted, limit=PAGE_SIZE, offset=(place - 1) * PAGE_SIZE)
        last = query.last_page(place, PAGE_SIZE, page.total)
        if last != place:
            page = usage.list_usage(session, account.id, wanted, limit=PAGE_SIZE, offset=(last - 1) * PAGE_SIZE)
    return htmx.render(
        "tenant/usage/records.html",
        "tenant/usage/_records.html",
        found=page,
        page=last,
        page_size=PAGE_SIZE,
        asked=asked,
        ids=ids,
        days=None if ids and not asked.days.is_chosen else asked.days,
        options=spending_asked.options(choices),
        chip_rows=[
            *spending_asked.chips(asked.wanted, choices, asked.days if asked.days.is_chosen else None),
            *(query.chip(_IDS[name], value, name) for name, value in ids.items()),
        ],
        notices=url.notices,
    )


@blueprint.get("/usage/records/<record_id>")
@access.requires("billing.read")
def usage_records_detail(record_id: str) -> str:
    """One record: what was used by whom, which price it met, and everything that corrects it."""
    account, key = access.current_account(), query.path_key(record_id)
    with services.database().reading() as session:
        found = usage.get_detail(session, account.id, key)
        line_id = lines.find_line_of_usage(session, account.id, key)
        return render_template(
            "tenant/usage/record.html",
            found=found,
            row=found.row,
            line=lines.find_row(session, account.id, line_id) if line_id else None,
            waits=None if line_id else evidence_words.waiting(evidence.waits_for(session, account.id, key)),
            corrected=_find(session, account.id, found.corrects_id),
            corrections=evidence.corrections_of(session, account.id, key),
            kind=evidence.kind_of(found.row.source, found.row.meter_code, found.row.mode, found.corrects_id),
            explained=evidence_words.of_record(found),
            question_url=evidence_words.question_url(
                directory.billing_email(session, account.id),
                f"usage record {found.row.id}",
                url_for("tenant.usage_records_detail", record_id=key, _external=True),
            ),
        )


def _narrowed(wanted: UsageFilter, ids: dict[str, str], *, has_days: bool) -> UsageFilter:
    """Records named by an id are looked for at all times, unless days are named too."""
    changes: dict[str, Any] = {
        "allocation_id": ids.get("allocation"),
        "source": ids.get("source"),
        "source_id": ids.get("source_id"),
        "correlation_id": ids.get("correlation"),
    }
    if ids and not has_days:
        changes |= {"from_at": None, "to_at": None}
    return UsageFilter(**{name: getattr(wanted, name) for name in wanted.__dataclass_fields__} | changes)


def _find(session: Session, account_id: str, record_id: str | None) -> UsageDetail | None:
    try:
        return usage.get_detail(session, account_id, record_id) if record_id else None
    except NotFound:
        return None
