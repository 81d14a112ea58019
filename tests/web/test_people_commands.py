"""`plumbline user` and `plumbline apikey`: people, invitations and keys from the command line."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from billing.storage.database import Database
from portal.cli import context, main
from tests.web.conftest import ensure_person

Plumbline = Callable[..., Result]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the services are proved on both


@pytest.fixture
def plumbline(database: Database, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plumbline]:
    """The command line on the test's database, with the portal's own settings, and calla's owner in it."""
    monkeypatch.setenv("DATABASE_URL", database.urls.web)
    monkeypatch.setenv("PLUMBLINE_SECRET_KEY", app.extensions["plumbline"].config.secret_key)
    monkeypatch.setenv("PLUMBLINE_BASE_URL", "http://localhost")
    ensure_person(database, "ann@example.com", account="calla")
    ensure_person(database, "root@example.com", account=None, staff="admin")
    caches = (context.database, context.config)
    for cache in caches:
        cache.cache_clear()
    yield lambda *words: CliRunner().invoke(main, words)
    context.database().dispose()
    for cache in caches:
        cache.cache_clear()


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, str]] = json.loads(result.stdout)
    return found


def test_everybody_is_listed_with_what_they_may(plumbline: Plumbline) -> None:
    everybody = rows(plumbline("user", "list", "--format", "json"))
    assert [(row["login"], row["staff"], row["tenants"], row["state"]) for row in everybody] == [
        ("ann@example.com", None, "calla:owner", "active"),
        ("root@example.com", "admin", None, "active"),
    ]
    assert [row["login"] for row in rows(plumbline("user", "list", "--staff", "--format", "json"))] == [
        "root@example.com"
    ]
    assert [row["login"] for row in rows(plumbline("user", "list", "--account", "calla", "--format", "json"))] == [
        "ann@example.com"
    ]


def test_a_printed_invitation_opens_its_page(plumbline: Plumbline, app: Flask) -> None:
    printed = plumbline("user", "invite", "bo@example.com", "--account", "calla", "--role", "viewer").stdout.strip()
    assert printed.startswith("http://localhost/invitation/lnk_")
    assert app.test_client().get(printed.removeprefix("http://localhost")).status_code == 200
    again = plumbline("user", "invite", "bo@example.com", "--account", "calla")
    assert (again.exit_code, "is open already" in again.output) == (1, True)
    for words in (("bo@example.com",), ("bo@example.com", "--account", "calla", "--staff", "viewer")):
        assert plumbline("user", "invite", *words).exit_code == 2


def test_disabling_is_said_once_and_never_of_the_last_administrator(plumbline: Plumbline) -> None:
    assert plumbline("user", "disable", "ANN@example.com").output == "ann@example.com is disabled\n"
    assert plumbline("user", "disable", "ann@example.com").output == "ann@example.com was disabled already\n"
    assert plumbline("user", "enable", "ann@example.com").output == "ann@example.com is enabled\n"
    last = plumbline("user", "disable", "root@example.com")
    assert (last.exit_code, "At least one administrator" in last.output) == (1, True)
    assert plumbline("user", "disable", "nobody@example.com").exit_code == 1


def test_a_key_is_printed_once_listed_by_its_beginning_and_revoked(plumbline: Plumbline, app: Flask) -> None:
    words = ("--label", "importer", "--scope", "billing.read", "--days", "30")
    own = plumbline("apikey", "create", "--account", "calla", *words).stdout.strip()
    service = plumbline("apikey", "create", "--tenant", "calla", *words).stdout.strip()
    for key, options in ((own, ("--account", "calla")), (service, ())):
        [row] = rows(plumbline("apikey", "list", *options, "--format", "json"))
        assert key.startswith(row["begins_with"])
        assert row["begins_with"] + "_" != key
        assert (row["state"], row["scopes"], row["created_by"].partition(":")[0]) == ("active", "billing.read", "cli")
        call = {"headers": {"Authorization": f"Bearer {key}"}}
        path = "/api/v1/billing/balance?account=calla"
        assert app.test_client().get(path, **call).status_code == 200
        assert plumbline("apikey", "revoke", row["id"]).exit_code == 0
        assert app.test_client().get(path, **call).status_code == 401


def test_a_key_that_cannot_be_is_refused_in_one_sentence(plumbline: Plumbline) -> None:
    for words, status in (
        (("create", "--label", "x", "--scope", "usage.write"), 2),
        (("create", "--label", "x", "--scope", "usage.write", "--tenant", "calla", "--account", "calla"), 2),
        (("create", "--label", "x", "--scope", "usage.write", "--tenant", "nobody"), 1),
        (("create", "--label", "x", "--scope", "billing.write", "--tenant", "calla"), 1),
        (("create", "--label", "x", "--scope", "usage.write", "--account", "house:house"), 1),
        (("revoke", "key_none"), 1),
    ):
        done = plumbline("apikey", *words)
        assert (done.exit_code, "Traceback" in done.output) == (status, False), words
