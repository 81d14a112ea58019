"""Requests and bytes per route of the managed ingress: high-volume summaries of a minute or an hour each.

    {"type": "billing.usage.metered", "data": {"route": "api.example/v1/chat", "route_kind": "api_bearer",
     "requests": 120000, "bytes": 734003200, "start": "...", "end": "..."}}

They are stored once on receipt and become usage when the job `consume` takes them, so that a sender never waits for metering.
"""

from typing import Literal

from billing.metering.sources import reading
from billing.metering.sources.port import EventFacts, Told, Windowed


class Data(Windowed, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A route and how it was entered: with a bearer token of an API, or by a browser."""

    route: str
    route_kind: Literal["api_bearer", "browser"]
    requests: int
    bytes: int
    corrects: str | None = None


class ManagedIngress:
    """ingress_request, in requests, and ingress_gib, in bytes."""

    name = "managed-ingress"
    meters = ("ingress_request", "ingress_gib")
    event_types = ("billing.usage.metered",)
    data = Data
    is_deferred = True

    def facts(self, told: Told, data: Data) -> EventFacts:
        """Both counts of one route. Raises Refused."""
        if data.corrects is None:
            start_at, end_at = reading.window(told, data)
        else:
            start_at, end_at = reading.window_of_correction(told)
        facts = EventFacts(
            source=told.source,
            source_id=told.id,
            account_id=told.account_id,
            meter_code="ingress_request",
            quantity_base=data.requests,
            start_at=start_at,
            end_at=end_at,
            project_code=data.project,
            member_handle=data.submitter,
            resource=data.resource or data.route,
            tags=tuple(sorted(data.tags.items())),
            correlation_id=told.correlation_id,
            route=data.route,
            route_kind=data.route_kind,
            corrects=data.corrects,
        )
        return reading.of_many(facts, [("ingress_request", data.requests), ("ingress_gib", data.bytes)])
