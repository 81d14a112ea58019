"""GET /billing/usage: usage records as they were taken in, page by page or as one CSV file."""

from flask import Response

from billing.catalog.items import MODES
from billing.exports.csv import decimal_text
from billing.exports.usage import usage_csv
from billing.kernel.errors import Invalid
from billing.metering import usage
from billing.metering.usage import UsageFilter, UsageRow
from portal import services
from portal.api import answers, cursors, keys, parameters
from portal.api.usage_schemas import UsageRecordPage, UsageRecordRow

FILTERS = ("meter", "variant", "mode", "project", "route", "allocation_id", "app_instance", "from", "to")


@keys.needs("billing.read")
def list_usage() -> Response:
    """Oldest first; the last page's cursor finds what is taken in later, so a reader can come back with it."""
    parameters.refuse_unknown("account", "limit", "cursor", *FILTERS)
    limit, wanted = cursors.limit(), _wanted()
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        after = cursors.read(account.id)
        if after is not None and not isinstance(after, int):
            raise Invalid(field="cursor", reason="bad_cursor")
        rows = usage.list_after(session, account.id, wanted, after_seq=after or 0, limit=limit + 1)
    page = rows[:limit]
    return answers.of(
        UsageRecordPage(
            data=[_row(row) for row in page],
            next_cursor=cursors.write(account.id, page[-1].usage_seq) if len(rows) > limit else None,
        )
    )


@keys.needs("billing.read")
def download_usage() -> Response:
    """The same records as a file, streamed from one snapshot."""
    parameters.refuse_unknown("account", *FILTERS)
    wanted = _wanted()
    with services.database().reading() as session:
        account_id = keys.account_of(session, parameters.text("account")).id
    rows = services.streamed(lambda session: usage_csv(session, account_id, wanted))
    response = Response(rows, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename="usage.csv")
    return response


def _wanted() -> UsageFilter:
    """What the parameters narrow to. An app instance is the resource of its records."""
    return UsageFilter(
        meter_code=parameters.text("meter"),
        variant=parameters.text("variant"),
        mode=parameters.choice("mode", MODES, None),
        project_code=parameters.text("project"),
        route=parameters.text("route"),
        allocation_id=parameters.text("allocation_id"),
        resource=parameters.text("app_instance"),
        from_at=parameters.instant("from"),
        to_at=parameters.instant("to"),
    )


def _row(row: UsageRow) -> UsageRecordRow:
    return UsageRecordRow(
        id=row.id,
        sequence=row.usage_seq,
        source=row.source,
        source_id=row.source_id,
        meter=row.meter_code,
        variant=row.variant,
        mode=row.mode,
        unit=row.unit,
        quantity=decimal_text(row.quantity),
        start=row.start_at,
        end=row.end_at,
        project=row.project_code,
        submitter=row.submitter,
        allocation=row.allocation_id,
        resource=row.resource,
        route=row.route,
        tags={key: str(value) for key, value in row.tags.items()},
        record_hash=row.record_hash,
    )
