"""The webhook's endpoint, signature to commit, against a bare Flask endpoint that stores the same bytes in a row of the same database."""

import json
import time

from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient
from sqlalchemy import text

from billing.kernel import clock
from billing.payments.providers import signing
from billing.payments.providers.sandbox.memory import SIGNATURE_HEADER
from billing.storage.database import Database, owner_engine
from portal import create_app, providers
from portal.config import PortalConfig
from tests.bench import world
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.scratch import Scratch

NAME = "webhook"
UNIT = "events/s"
GOAL = Goal(at_least=0.5)
SIZE = 500
_WEBHOOK, _BARE = "/api/v1/payments/webhook/sandbox", "/bench/webhook"
_INSERT = "INSERT INTO bench_events (id, body) VALUES (:id, :body)"


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Deliver `size` new events one after the other; the limit posts the same bodies to an endpoint that only stores them."""
    fresh = scratch.migrated()
    owner = owner_engine(scratch.urls_of(fresh))
    with owner.begin() as connection:
        connection.execute(text("CREATE TABLE bench_events (id TEXT PRIMARY KEY, body TEXT NOT NULL)"))
        if scratch.engine == "postgresql":
            connection.execute(text("GRANT SELECT, INSERT, DELETE ON bench_events TO PUBLIC"))
    with scratch.opened(fresh) as database:
        world.install(database)
        config = PortalConfig(
            database=scratch.urls_of(fresh), secret_key="k" * 40, base_url="http://localhost", is_testing=True
        )
        app = create_app(config)
        bare = Flask("bare")
        bare.add_url_rule(_BARE, "store", lambda: _store(app.extensions["plumbline"].database), methods=["POST"])
        secret = providers.sandbox_secret(config)
        clients = {_WEBHOOK: app.test_client(), _BARE: bare.test_client()}
        posted = iter(range(10**9))

        def deliver(path: str, table: str, count: int = size) -> float:
            bodies = [_event(next(posted)) for _ in range(count)]
            told = [(body, signing.sign(body, secret=secret, at=clock.utc_now())) for body in bodies]
            before = _count(table)
            start = time.perf_counter()
            for body, header in told:
                _post(clients[path], path, body, header)
            elapsed_s = time.perf_counter() - start
            require(f"rows stored in {table}", _count(table) - before, count)
            return count / elapsed_s

        def _count(table: str) -> int:
            with database.reading("jobs") as session:
                return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

        try:
            deliver(_WEBHOOK, "stripe_events", 5)  # what is loaded at the first request is no part of either
            deliver(_BARE, "bench_events", 5)
            return compare(
                case=NAME,
                engine=scratch.engine,
                size=size,
                unit=UNIT,
                goal=GOAL,
                limit=lambda: deliver(_BARE, "bench_events"),
                figure=lambda: deliver(_WEBHOOK, "stripe_events"),
                rounds=rounds,
            )
        finally:
            app.extensions["plumbline"].database.dispose()
            owner.dispose()


def _store(database: Database) -> Response:
    """The bare endpoint: read, insert, commit, answer."""
    body = request.get_data(cache=False)
    with database.transaction() as session:
        session.connection().execute(text(_INSERT), {"id": json.loads(body)["id"], "body": body.decode()})
    return jsonify({"received": True})


def _post(client: FlaskClient, path: str, body: bytes, header: str) -> None:
    answer = client.post(path, data=body, headers={SIGNATURE_HEADER: header, "Content-Type": "application/json"})
    require("status", answer.status_code, 200)
    require("answer", json.loads(answer.get_data())["received"], True)


def _event(number: int) -> bytes:
    """As large as a checkout's real event: about three kilobytes."""
    return json.dumps(
        {
            "id": f"evt_bench_{number}",
            "object": "event",
            "type": "checkout.session.completed",
            "created": 1_795_000_000,
            "livemode": False,
            "data": {
                "object": {
                    "id": f"cs_bench_{number}",
                    "object": "checkout.session",
                    "client_reference_id": f"pay_bench_{number}",
                    "payment_intent": f"pi_bench_{number}",
                    "metadata": {"plumbline_id": f"pay_bench_{number}"},
                    "more": [{"name": f"member_{place}", "value": "x" * 40} for place in range(30)],
                }
            },
        }
    ).encode()
