"""Running instances of apps: the cores and memory they held, and the instance itself.

{"type": "billing.runtime.metered", "data": {"app_instance": "shop-7f9c", "cpu_cores": 0.5, "memory_gib": 2,
 "start": "...", "end": "..."}}
"""

from decimal import Decimal

from billing.catalog.meters import METERS
from billing.metering.sources import reading
from billing.metering.sources.port import EventFacts, Refused, Told, Windowed


class Data(Windowed, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What one instance held all through its window."""

    app_instance: str
    cpu_cores: int | Decimal
    memory_gib: int | Decimal
    app: str = ""


class AppRuntime:
    """cpu_hour, memory_gib_hour and app_instance_hour."""

    name = "app-runtime"
    meters = ("app_instance_hour", "cpu_hour", "memory_gib_hour")
    event_types = ("billing.runtime.metered",)
    data = Data
    is_deferred = False

    def facts(self, told: Told, data: Data) -> EventFacts:
        """The three amounts of one instance over its window; the instance is the resource. Raises Refused."""
        if not data.app_instance:
            raise Refused("missing_attribute", "The event names no app_instance.")
        start_at, end_at = reading.both_ends(told, data)
        amounts = []
        for meter_code, held in (
            ("app_instance_hour", 1),
            ("cpu_hour", data.cpu_cores),
            ("memory_gib_hour", data.memory_gib),
        ):
            per_hour = reading.fraction(held) * METERS[meter_code].base_per_unit
            if per_hour < 0:
                raise Refused("negative_quantity", "Cores and memory are not negative.")
            amounts.append((meter_code, reading.held(per_hour, start_at, end_at)))
        tags = data.tags | {"app": data.app} if data.app else data.tags
        facts = EventFacts(
            source=told.source,
            source_id=told.id,
            account_id=told.account_id,
            meter_code="app_instance_hour",
            quantity_base=0,
            start_at=start_at,
            end_at=end_at,
            project_code=data.project,
            member_handle=data.submitter,
            resource=data.resource or data.app_instance,
            tags=tuple(sorted(tags.items())),
            correlation_id=told.correlation_id,
        )
        return reading.of_many(facts, amounts)
