"""Usage events through the HTTP API, 1,000 a request, against the raw insert of the rows they make."""

import json
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import text

from billing.accounts import directory, keys
from billing.storage.database import Database, owner_engine
from portal import create_app
from portal.config import PortalConfig
from tests.bench import twin, world
from tests.bench.importing import read_rows, write_rows
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.scratch import Scratch

NAME = "ingest"
UNIT = "events/s"
SIZE = 20_000
_BATCH = 1_000
_TWINS = ("usage_records",)
_GOALS = {"postgresql": Goal(at_least=0.45), "sqlite": Goal(at_least=0.20)}


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Post `size` new events; the limit inserts the same rows of the same columns (COPY, or executemany in one transaction)."""
    fresh = scratch.migrated()
    with scratch.opened(fresh) as database:
        world.install(database)
        world.open_accounts(database, 1)
        key = make_key(database)
    bodies = batches(size)
    full = scratch.copy(fresh)
    send(scratch, full, key, bodies)
    owner = owner_engine(scratch.urls_of(full))
    with owner.begin() as connection:
        rows = {name: read_rows(connection, name) for name in _TWINS}

    def limit() -> float:
        with owner.begin() as connection:
            twin.create(connection, _TWINS)
        start = time.perf_counter()
        with owner.begin() as connection:
            for name in _TWINS:
                write_rows(connection, name, rows[name])
        elapsed_s = time.perf_counter() - start
        with owner.begin() as connection:
            require("rows written", connection.execute(text("SELECT count(*) FROM bench_usage_records")).scalar(), size)
        return size / elapsed_s

    def figure() -> float:
        name = scratch.copy(fresh)
        try:
            return size / send(scratch, name, key, bodies)
        finally:
            scratch.drop(name)

    try:
        return compare(
            case=NAME,
            engine=scratch.engine,
            size=size,
            unit=UNIT,
            goal=_GOALS[scratch.engine],
            limit=limit,
            figure=figure,
            rounds=rounds,
        )
    finally:
        owner.dispose()


def send(scratch: Scratch, name: str, key: str, bodies: Sequence[bytes]) -> float:
    """Post the bodies one after the other; the seconds it took. Answers are read whole and stored rows counted."""
    with scratch.opened(name) as database:
        app = create_app(
            PortalConfig(
                database=scratch.urls_of(name), secret_key="k" * 40, base_url="http://localhost", is_testing=True
            )
        )
        client = app.test_client()
        try:
            start = time.perf_counter()
            answers = [_post(client, key, body) for body in bodies]
            elapsed_s = time.perf_counter() - start
        finally:
            app.extensions["plumbline"].database.dispose()
        taken = sum(json.loads(answer)["accepted"] for answer in answers)
        with database.reading("jobs") as session:
            require("stored rows", session.execute(text("SELECT count(*) FROM usage_records")).scalar(), taken)
    return elapsed_s


def batches(count: int, *, repeated: int = 0) -> list[bytes]:
    """Bodies of 1,000 events; `repeated` of each batch are told a second time in it."""
    made = []
    for first in range(0, count, _BATCH):
        numbers = list(range(first, min(first + _BATCH, count)))
        if repeated:
            numbers[-repeated:] = numbers[:repeated]
        made.append(json.dumps([_event(number) for number in numbers]).encode())
    return made


def make_key(database: Database) -> str:
    """An API key of the benchmark's tenant that may write usage."""
    with database.transaction("jobs") as session:
        account = directory.get_account_by_code(session, "bench-0")
        _, plain = keys.create_key(
            session, now=world.NOW, tenant_id=account.tenant_id, label="bench", scopes=["usage.write"]
        )
    return plain


def _post(client: FlaskClient, key: str, body: bytes) -> bytes:
    answer = client.post(
        "/api/v1/billing/usage:ingest",
        data=body,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents-batch+json"},
    )
    content = answer.get_data()
    require("status", answer.status_code, 200)
    return content


def _event(number: int) -> dict[str, Any]:
    at = world.START + timedelta(seconds=number % 86_400)
    return {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": "bench",
        "type": "billing.usage.metered",
        "time": at.isoformat().replace("+00:00", "Z"),
        "data": {"meter": "token_input", "quantity": str(1 + number % 1_000), "project": f"project-{number % 20}"},
    }
