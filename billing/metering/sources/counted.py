"""Simple counted services: a quantity of any meter, at an instant or over a window.

    {"type": "billing.usage.metered", "data": {"meter": "query", "quantity": "120", "project": "vision"}}

With `corrects` the quantity is added to the usage of an earlier event of the same sender, whatever source that came by.
"""

from decimal import Decimal

from billing.catalog.items import ON_DEMAND
from billing.catalog.meters import METERS
from billing.metering.sources import reading
from billing.metering.sources.port import EventFacts, Refused, Told, Windowed


class Data(Windowed, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A quantity in the meter's priced unit, as number or decimal text."""

    meter: str
    quantity: int | Decimal
    unit: str | None = None
    variant: str = ""
    mode: str = ON_DEMAND
    corrects: str | None = None


class Counted:
    """Any meter that there is."""

    name = "counted"
    meters = tuple(METERS)
    event_types = ("billing.usage.metered",)
    data = Data
    is_deferred = False

    def facts(self, told: Told, data: Data) -> EventFacts:
        """The quantity in base units. Raises Refused."""
        meter = METERS.get(data.meter)
        if meter is None:
            raise Refused("unknown_meter", f"There is no meter {data.meter[:60]!a}.")
        if data.unit is not None and data.unit != meter.unit:
            raise Refused("unknown_unit", f"The meter {meter.code} counts in {meter.unit}.")
        start_at, end_at = reading.window(told, data) if data.corrects is None else reading.window_of_correction(told)
        return EventFacts(
            told.source,
            told.id,
            told.account_id,
            meter.code,
            reading.base(data.quantity, meter.code),
            start_at,
            end_at,
            data.project,
            data.submitter,
            data.resource,
            tuple(sorted(data.tags.items())) if data.tags else (),
            told.correlation_id,
            reading.model(data.variant) if data.variant else "",
            data.mode if data.mode == ON_DEMAND else reading.mode(data.mode),
            None,
            None,
            (),
            data.corrects,
        )
