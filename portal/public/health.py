"""Health: `/healthz` (this process), `/readyz` (may it take traffic), `/metrics` (how far behind is each stage)."""

import hmac
import os
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, jsonify, request

from billing.assurance import readiness
from billing.jobs import backlog, leadership
from billing.ledger import trial_balance
from billing.storage.database import Session
from portal import access, services

if TYPE_CHECKING:
    from prometheus_client.core import Metric

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@blueprint.get("/health")
@access.public
def healthz() -> Response:
    """The process answers; nothing else is asked."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@access.public
def readyz() -> tuple[Response, int]:
    """Guards, migrations, walls and roles; 503 while one of them does not hold. Who leads and the newest root's age are only told."""
    try:
        with services.database().reading() as session:
            facts = readiness.facts(session)
            leader = leadership.find_leader(session, now=services.now())
            root = readiness.root(session, now=services.now())
    except Exception as error:  # whatever a database can raise: not ready, and say what kind
        return jsonify(status="unavailable", database=type(error).__name__), 503
    is_ready = all(fact.holds for fact in facts)
    body = {fact.name: {"ok": fact.holds, "detail": fact.sentence} for fact in (*facts, root)}
    return jsonify(
        status="ready" if is_ready else "not_ready", leader=leader is not None, **body
    ), 200 if is_ready else 503


@blueprint.get("/metrics")
@access.public
def metrics() -> Response:
    """Prometheus text, for this machine or whoever holds PLUMBLINE_METRICS_TOKEN; to others the page does not exist."""
    from prometheus_client import CollectorRegistry, generate_latest  # of no use to a start

    if not _may_scrape():
        abort(404)
    registry = CollectorRegistry()
    with services.database().reading() as session:
        registry.register(_Snapshot(list(_families(session))))
    return Response(generate_latest(registry), mimetype="text/plain; version=0.0.4")


class _Snapshot:
    """Figures read once from the database: every process of an installation gives the same ones."""

    def __init__(self, families: "list[Metric]") -> None:
        self._families = families

    def collect(self) -> "Iterable[Metric]":
        return self._families


def _families(session: Session) -> "Iterable[Metric]":
    from prometheus_client.core import GaugeMetricFamily

    now = services.now()
    oldest = GaugeMetricFamily(
        "portal_oldest_unprocessed_seconds", "Age of the oldest record that waits", labels=["stage"]
    )
    depth = GaugeMetricFamily("portal_queue_depth", "Records that wait", labels=["stage"])
    for stage in backlog.measure(session):
        age_s = max(0, int((now - stage.oldest_at).total_seconds())) if stage.oldest_at else 0
        oldest.add_metric([stage.stage], age_s)
        depth.add_metric([stage.stage], stage.waiting)
    runs = GaugeMetricFamily("portal_job_runs", "Runs on record by result", labels=["job", "result"])
    last = GaugeMetricFamily("portal_job_last_end_timestamp_seconds", "End of the newest run", labels=["job", "result"])
    for (job, result), (count, ended_at) in backlog.last_results(session).items():
        runs.add_metric([job, result], count)
        last.add_metric([job, result], int(ended_at.timestamp()))
    events = GaugeMetricFamily("portal_webhook_events_total", "Provider events by state", labels=["type", "result"])
    for (event_type, state), count in backlog.count_events(session).items():
        events.add_metric([event_type, state], count)
    imbalance = GaugeMetricFamily("portal_ledger_imbalance_minor", "Debits less credits, always 0", labels=["currency"])
    for currency, minor in trial_balance.imbalances(session).items():
        imbalance.add_metric([currency], minor)
    leads = leadership.find_leader(session, now=now) is not None
    yield from (oldest, depth, runs, last, events, imbalance)
    yield GaugeMetricFamily(
        "portal_intents_unknown", "Outcomes nobody knows yet", value=backlog.count_unknown_intents(session)
    )
    yield GaugeMetricFamily("portal_scheduler_is_leader", "1 while some process leads", value=int(leads))


def _may_scrape() -> bool:
    token = os.environ.get("PLUMBLINE_METRICS_TOKEN", "")
    if token:
        return hmac.compare_digest(request.headers.get("Authorization", ""), f"Bearer {token}")
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
