"""Health: `/readyz` fails for each fact that does not hold, and `/metrics` says how far behind each stage is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, text

from billing.jobs import leadership
from billing.ledger import roots
from billing.storage import database as storage
from billing.storage.database import Database
from portal import create_app
from tests.service.assurance.walk import SIGNER
from tests.service.invoicing import world
from tests.service.rating import world as rating_world
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import House


def test_the_process_answers(client: FlaskClient) -> None:
    for path in ("/healthz", "/health"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_healthy_installation_is_ready_and_says_why(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["status"] == "ready"
    for fact in ("migrations", "guards", "roles"):
        assert answer.json[fact]["ok"] is True
        assert answer.json[fact]["detail"]


def test_whether_someone_leads_is_told_and_does_not_decide(client: FlaskClient, database: Database) -> None:
    assert client.get("/readyz").json["leader"] is False
    from billing.kernel import clock

    with database.transaction("jobs") as session:
        assert leadership.hold(session, now=clock.utc_now(), holder="someone:1")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["leader"]) == (200, True)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_age_of_the_newest_root_is_told_and_does_not_decide(client: FlaskClient, database: Database) -> None:
    def told(hours: int = 0) -> tuple[int, bool, str]:
        for _ in operators.standing_at(operators.NOW + timedelta(hours=hours)):
            answer = client.get("/readyz")
        return answer.status_code, answer.json["root"]["ok"], answer.json["root"]["detail"]

    assert told() == (200, True, "nothing is posted yet")
    account_id = world.open_account(database)
    world.top_up(database, account_id, 500)
    assert told() == (200, False, "nothing was ever signed, unsigned transactions: 1")
    with database.transaction("jobs") as session:
        signed = roots.sign(session, SIGNER, now=operators.NOW, actor="test")
    assert signed is not None
    signed_at = "root 1 was signed at 2026-11-21T12:00:00Z"
    assert told(hours=2) == (200, True, signed_at)
    assert told(hours=4) == (200, True, f"{signed_at}, and nothing was posted since")
    world.top_up(database, account_id, 700)
    assert told(hours=4) == (200, False, f"{signed_at}, unsigned transactions: 1")


@contextmanager
def as_owner(database: Database) -> Iterator[Connection]:
    """The owner's connection, whom no guard stops."""
    engine = storage.owner_engine(database.urls)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.mark.tampers
def test_a_missing_guard_makes_it_not_ready_and_names_the_guard(client: FlaskClient, database: Database) -> None:
    with as_owner(database) as connection:
        if database.dialect == "sqlite":
            name = "guard_ledger_entries_update"
            connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            name = "guard_ledger_entries_change"
            connection.execute(text(f"DROP TRIGGER {name} ON ledger_entries"))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (503, "not_ready")
    assert answer.json["guards"]["ok"] is False
    assert name in answer.json["guards"]["detail"]
    assert answer.json["migrations"]["ok"] is True


@pytest.mark.tampers
def test_an_altered_guard_makes_it_not_ready(client: FlaskClient, database: Database) -> None:
    with as_owner(database) as connection:
        if database.dialect == "sqlite":
            connection.execute(text("DROP TRIGGER guard_ledger_entries_delete"))
            connection.execute(
                text("CREATE TRIGGER guard_ledger_entries_delete BEFORE DELETE ON ledger_entries BEGIN SELECT 1; END")
            )
        else:
            connection.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER guard_ledger_entries_change"))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["guards"]["ok"]) == (503, False)


@pytest.mark.tampers
def test_another_revision_makes_it_not_ready(client: FlaskClient, database: Database) -> None:
    with as_owner(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["migrations"]["ok"]) == (503, False)
    assert "0001" in answer.json["migrations"]["detail"]
    assert answer.json["guards"]["ok"] is True


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_serving_as_superuser_makes_it_not_ready(client: FlaskClient, app: Flask, database: Database) -> None:
    with database.reading() as session:
        row = session.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).one()
    assert row.rolsuper is False  # so the healthy case above was no accident
    answer = client.get("/readyz")
    assert answer.json["roles"]["ok"] is True
    with as_owner(database) as connection:
        superusers = connection.execute(
            text("SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname = current_user")
        ).scalar_one()
    assert superusers == 0


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_database_that_does_not_answer_is_unavailable_not_an_error(app: Flask) -> None:
    urls = storage.DatabaseUrls(web="sqlite:////nonexistent/plumbline.db")
    broken = create_app(replace(app.extensions["plumbline"].config, database=urls))
    answer = broken.test_client().get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (503, "unavailable")
    assert broken.test_client().get("/healthz").status_code == 200


def test_metrics_measure_what_waits_and_how_long(client: FlaskClient, database: Database) -> None:
    account_id = world.open_account(database)
    rating_world.use(database, account_id, Use(5), Use(7))
    before = metrics(client)
    assert before['portal_queue_depth{stage="rate"}'] == 2
    assert before['portal_oldest_unprocessed_seconds{stage="rate"}'] >= 0
    assert before['portal_queue_depth{stage="post"}'] == 0
    rating_world.rate(database, account_id)
    between = metrics(client)
    assert (between['portal_queue_depth{stage="rate"}'], between['portal_queue_depth{stage="post"}']) == (0, 2)
    rating_world.post(database, account_id)
    after = metrics(client)
    assert after['portal_queue_depth{stage="post"}'] == 0
    assert after['portal_ledger_imbalance_minor{currency="USD"}'] == 0


def test_metrics_age_grows_with_what_waits(client: FlaskClient, database: Database) -> None:
    account_id = world.open_account(database)
    for _ in operators.standing_at():
        rating_world.use(database, account_id, Use(5))
    for _ in operators.standing_at(rating_world.NOW + timedelta(hours=5)):
        assert metrics(client)['portal_oldest_unprocessed_seconds{stage="rate"}'] == pytest.approx(5 * 3600, abs=5)


def test_metrics_name_jobs_events_and_the_leader(app: Flask, client: FlaskClient, database: Database) -> None:
    for _ in operators.standing_at():
        house = House(app, database)
        house.top_up(house.account(), 5_000)
        from billing.jobs import runner

        runner.run_job(database, house.services.providers, "rate", now=operators.NOW)
        found = metrics(client)
    assert found['portal_webhook_events_total{result="processed",type="checkout.session.completed"}'] == 1
    assert found['portal_job_runs{job="rate",result="succeeded"}'] == 1
    assert found["portal_intents_unknown"] == 0
    assert found["portal_scheduler_is_leader"] == 0
    assert "tenant" not in client.get("/metrics").get_data(as_text=True)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_metrics_are_for_this_machine_or_whoever_holds_the_token(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", environ_overrides={"REMOTE_ADDR": "203.0.113.9"}).status_code == 404
    monkeypatch.setenv("PLUMBLINE_METRICS_TOKEN", "scrape-me")
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer scrape-me"}).status_code == 200
    assert client.get("/metrics", headers={"Authorization": "Bearer scrape-mf"}).status_code == 404


def metrics(client: FlaskClient) -> dict[str, float]:
    """{name with labels: value}."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.get_data(as_text=True).splitlines() if line and not line.startswith("#")]
    assert lines
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}
