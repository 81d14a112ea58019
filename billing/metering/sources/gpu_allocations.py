"""GPUs that were held for a while, told when it is over; allocations that still run are told to the allocations API instead.

    {"type": "billing.gpu.metered", "data": {"gpus": "4/7", "model": "h100", "start": "...", "end": "..."}}

A part of a GPU counts by its share (thousandths, thirds, sevenths, eighths), never by the name of its profile: a MIG slice of
three sevenths is "3/7". Time held is counted, whatever was computed in it: utilisation is not uptime.
"""

from msgspec import Raw

from billing.catalog.items import ON_DEMAND
from billing.kernel.errors import Invalid
from billing.metering import windows
from billing.metering.shapes import Shape
from billing.metering.sources import reading
from billing.metering.sources.port import EventFacts, Refused, Told, Windowed


class Data(Windowed, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """GPUs as a number or a share of one, such as 4, 0.5 or "1/7"."""

    gpus: Raw
    model: str
    mode: str = ON_DEMAND


class GpuAllocations:
    """gpu_hour, in 1/21000 GPU x millisecond."""

    name = "gpu-allocations"
    meters = ("gpu_hour",)
    event_types = ("billing.gpu.metered",)
    data = Data
    is_deferred = False

    def facts(self, told: Told, data: Data) -> EventFacts:
        """The GPUs over their window. Raises Refused."""
        start_at, end_at = reading.both_ends(told, data)
        try:
            rate = Shape(gpus=bytes(data.gpus).decode().strip().strip('"')).rates()["gpu_hour"]
        except Invalid as refusal:
            reason = str(refusal.fields["reason"])
            raise Refused(reason, "GPUs are a number or a share in thousandths, thirds, sevenths or eighths.") from None
        return EventFacts(
            source=told.source,
            source_id=told.id,
            account_id=told.account_id,
            meter_code="gpu_hour",
            quantity_base=windows.quantity(rate, start_at, end_at),
            start_at=start_at,
            end_at=end_at,
            project_code=data.project,
            member_handle=data.submitter,
            resource=data.resource,
            tags=tuple(sorted(data.tags.items())),
            correlation_id=told.correlation_id,
            variant=reading.model(data.model),
            mode=reading.mode(data.mode),
        )
