"""Bytes that left the network: plain amounts, or the readings of counters that only rise until they start again at zero.

    {"type": "billing.egress.metered", "data": {"bytes": 1048576, "resource": "lb-1"}}
    {"type": "billing.egress.metered", "time": "...", "data": {"counter": "node-7/eth0", "reading_bytes": 350}}

Usage is what a counter rose by since its reading before: 100, 350, 50 are 300 bytes, because a lower reading means a new start.
Readings may come in any order; none is lost or counted twice.
"""

from billing.metering.sources import reading
from billing.metering.sources.port import EventFacts, Refused, Told, Windowed


class Data(Windowed, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Either `bytes`, or `counter` and `reading_bytes`."""

    bytes: int | None = None
    counter: str | None = None
    reading_bytes: int | None = None
    corrects: str | None = None


class NetworkEgress:
    """egress_gib, in bytes."""

    name = "network-egress"
    meters = ("egress_gib",)
    event_types = ("billing.egress.metered",)
    data = Data
    is_deferred = False

    def facts(self, told: Told, data: Data) -> EventFacts:
        """The amount, or the reading with its counter as the series. Raises Refused."""
        is_reading = data.counter is not None
        amount = data.reading_bytes if is_reading else data.bytes
        if amount is None or (data.reading_bytes is None) == is_reading or (is_reading and data.bytes is not None):
            raise Refused("missing_attribute", "Tell either bytes, or counter and reading_bytes.")
        if is_reading:
            if data.corrects is not None or data.start is not None:
                raise Refused("unknown_attribute", "A reading has neither a window nor corrects.")
            start_at = end_at = reading.instant(told)
        elif data.corrects is not None:
            start_at, end_at = reading.window_of_correction(told)
        else:
            start_at, end_at = reading.window(told, data)
        return EventFacts(
            source=told.source,
            source_id=told.id,
            account_id=told.account_id,
            meter_code="egress_gib",
            quantity_base=amount,
            start_at=start_at,
            end_at=end_at,
            project_code=data.project,
            member_handle=data.submitter,
            resource=data.resource or data.counter or "",
            tags=tuple(sorted(data.tags.items())),
            correlation_id=told.correlation_id,
            corrects=data.corrects,
            series=data.counter,
        )
