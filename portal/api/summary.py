"""GET /billing/usage/summary: exact sums by calendar bucket."""

from typing import cast

from flask import Response

from billing.catalog.items import MODES
from billing.exports import csv
from billing.kernel.errors import Invalid
from billing.kernel.periods import Grain
from billing.metering import summaries
from portal import services
from portal.api import answers, keys, parameters
from portal.api.usage_schemas import UsageBucket, UsageSummary

_MAX_ROWS = 10_000
GRAINS = ("hour", "day", "month", "year")


@keys.needs("billing.read")
def summarize_usage() -> Response:
    """Buckets in the account's zone unless `zone` names another; hours are always UTC."""
    parameters.refuse_unknown("account", "by", "group_by", "meter", "variant", "mode", "from", "to", "zone")
    by = cast(Grain, parameters.choice("by", GRAINS, "month"))
    group_by = parameters.text("group_by")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        zone = parameters.text("zone") or account.zone
        rows = summaries.summarize(
            session,
            by=by,
            meter_code=parameters.text("meter"),
            variant=parameters.text("variant"),
            mode=parameters.choice("mode", MODES, None),
            group_by=group_by,
            account_id=account.id,
            from_at=parameters.instant("from"),
            to_at=parameters.instant("to"),
            zone=zone,
            now=services.now(),
        )
    if len(rows) > _MAX_ROWS:
        raise Invalid(field="by", value=by, limit=_MAX_ROWS, reason="too_many_buckets")
    return answers.of(
        UsageSummary(
            account=account.code,
            by=by,
            group_by=group_by,
            zone=zone,
            rows=[
                UsageBucket(
                    period=row.period,
                    meter=row.meter,
                    group=row.group,
                    unit=row.unit,
                    quantity=csv.decimal_text(row.quantity, least=6),
                )
                for row in rows
            ],
        )
    )
