"""Storage as it stood at a moment of a day: the snapshot stands for its whole UTC day.

{"type": "billing.storage.snapshot", "time": "2018-12-27T11:12:22Z", "data": {"bytes": 491007360000, "resource": "/data"}}
"""

from datetime import datetime

from billing.metering.sources import reading
from billing.metering.sources.port import Attribution, EventFacts, Refused, Told

DAY_S = 86_400


class Data(Attribution, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Bytes stored; `resource` names the volume or bucket."""

    bytes: int
    at: datetime | None = None


class StorageSnapshots:
    """gib_hour, in byte x second."""

    name = "storage-snapshots"
    meters = ("gib_hour",)
    event_types = ("billing.storage.snapshot",)
    data = Data
    is_deferred = False

    def facts(self, told: Told, data: Data) -> EventFacts:
        """The bytes over the UTC day of the snapshot. Raises Refused."""
        at = data.at if data.at is not None else told.at
        if at is None:
            raise Refused("missing_time", "A snapshot needs its time.")
        start_at, end_at = reading.utc_day(reading.aware(told, at))
        return EventFacts(
            source=told.source,
            source_id=told.id,
            account_id=told.account_id,
            meter_code="gib_hour",
            quantity_base=reading.whole("bytes", data.bytes) * DAY_S,
            start_at=start_at,
            end_at=end_at,
            project_code=data.project,
            member_handle=data.submitter,
            resource=data.resource,
            tags=tuple(sorted(data.tags.items())),
            correlation_id=told.correlation_id,
        )
