"""`plumbline webhooks`: what came in, and its effect once more."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from billing.storage.database import Database
from portal.cli import context, main
from tests.web.test_webhook import account_id, paid_event, payments, post, start, work_off

__all__ = ["account_id"]
SANDBOX = "/api/v1/payments/webhook/sandbox"
Plumbline = Callable[..., Result]


@pytest.fixture
def plumbline(database: Database, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plumbline]:
    """The command line on the test's database, with the portal's own settings."""
    urls = database.urls
    monkeypatch.setenv("DATABASE_URL", urls.web)
    monkeypatch.setenv("PLUMBLINE_SECRET_KEY", app.extensions["plumbline"].config.secret_key)
    monkeypatch.setenv("PLUMBLINE_BASE_URL", "http://localhost")
    for name, url in (("PLUMBLINE_JOBS_URL", urls.jobs), ("PLUMBLINE_OWNER_URL", urls.owner)):
        monkeypatch.setenv(name, url or "")
    caches = (context.database, context.config, context.providers)
    for cache in caches:
        cache.cache_clear()
    yield lambda *words: CliRunner().invoke(main, words, catch_exceptions=False)
    context.database().dispose()
    for cache in caches:
        cache.cache_clear()


def test_list_shows_each_event_and_its_state(
    plumbline: Plumbline, app: Flask, client: FlaskClient, account_id: str
) -> None:
    event = paid_event(app, start(app, account_id))
    post(client, SANDBOX, event.body, event.headers)
    work_off(app)
    [row] = json.loads(plumbline("webhooks", "list", "--format", "json").stdout)
    assert (row["provider"], row["type"], row["state"]) == ("sandbox", "checkout.session.completed", "processed")
    assert json.loads(plumbline("webhooks", "list", "--state", "failed", "--format", "json").stdout) == []


def test_reprocess_of_what_took_effect_changes_nothing(
    plumbline: Plumbline, app: Flask, client: FlaskClient, database: Database, account_id: str
) -> None:
    event = paid_event(app, start(app, account_id))
    post(client, SANDBOX, event.body, event.headers)
    work_off(app)
    result = plumbline("webhooks", "reprocess", json.loads(event.body)["id"], "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)[0]["state"]) == (0, "processed")
    assert payments(database, account_id) == [5000]


def test_reprocess_of_an_unknown_event_is_one_sentence_and_exit_1(plumbline: Plumbline) -> None:
    result = plumbline("webhooks", "reprocess", "evt_nothing")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [("reprocess",), ("reprocess", "evt_1", "--failed"), ("list", "--state", "lost")])
def test_wrong_usage_is_exit_2(plumbline: Plumbline, words: tuple[str, ...]) -> None:
    assert plumbline("webhooks", *words).exit_code == 2
