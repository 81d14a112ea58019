"""All sources of events, and which of them understands an event."""

from billing.metering.sources.app_runtime import AppRuntime
from billing.metering.sources.counted import Counted
from billing.metering.sources.gpu_allocations import GpuAllocations
from billing.metering.sources.managed_ingress import ManagedIngress
from billing.metering.sources.network_egress import NetworkEgress
from billing.metering.sources.port import EventSource
from billing.metering.sources.storage_snapshots import StorageSnapshots
from billing.metering.sources.tokens import Tokens

EVENT_SOURCES: tuple[EventSource, ...] = (
    Counted(),
    GpuAllocations(),
    Tokens(),
    StorageSnapshots(),
    NetworkEgress(),
    ManagedIngress(),
    AppRuntime(),
)
# Where two sources share a type, the first whose shape the data has is the one that is meant.
BY_TYPE: dict[str, tuple[EventSource, ...]] = {
    event_type: tuple(source for source in EVENT_SOURCES if event_type in source.event_types)
    for event_type in dict.fromkeys(name for source in EVENT_SOURCES for name in source.event_types)
}
