"""Links by e-mail: what a token opens, and what opens nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.accounts import links
from billing.accounts.access_tables import AccessLink
from billing.accounts.errors import LinkRefused
from billing.kernel.ids import new_id
from billing.storage.database import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = b"k" * 32


def made(database: Database, **changes: object) -> str:
    facts = {
        "id": new_id("lnk"),
        "purpose": links.RESET,
        "login": "ann@acme.example",
        "created_by": "nobody",
        "created_at": NOW,
        "expires_at": NOW + timedelta(minutes=60),
        **changes,
    }
    with database.transaction() as session:
        session.add(AccessLink(**facts))
    return str(facts["id"])


def test_a_token_names_its_link_and_no_other() -> None:
    first, second = new_id("lnk"), new_id("lnk")
    assert links.read_token(links.make_token(first, key=KEY), key=KEY) == first
    forged = second + links.make_token(first, key=KEY)[len(first) :]
    with pytest.raises(LinkRefused):
        links.read_token(forged, key=KEY)


@pytest.mark.parametrize("text", ["", ".", "lnk_", "x" * 10_000, "\x00", "\ud800", "lnk_" + "0" * 26 + "." + "A" * 43])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(LinkRefused):
        links.read_token(text, key=KEY)


def test_a_copy_of_the_database_opens_nothing_without_the_key() -> None:
    link_id = new_id("lnk")
    with pytest.raises(LinkRefused):
        links.read_token(links.make_token(link_id, key=b"another key"), key=KEY)
    with pytest.raises(LinkRefused):
        links.read_token(link_id, key=KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"used_at": NOW},
        {"revoked_at": NOW},
        {"expires_at": NOW},
        {"purpose": links.INVITATION, "staff_role": "viewer"},
    ],
)
def test_used_withdrawn_old_and_foreign_links_are_refused_alike(database: Database, changes: dict[str, object]) -> None:
    token = links.make_token(made(database, **changes), key=KEY)
    with database.reading() as session, pytest.raises(LinkRefused) as refusal:
        links.get_open(session, token, key=KEY, purpose=links.RESET, now=NOW)
    assert refusal.value.fields == {}


def test_a_link_is_used_once(database: Database) -> None:
    token = links.make_token(made(database), key=KEY)
    with database.transaction() as session:
        links.take(session, token, key=KEY, purpose=links.RESET, now=NOW)
    with database.transaction() as session, pytest.raises(LinkRefused):
        links.take(session, token, key=KEY, purpose=links.RESET, now=NOW)


def test_a_link_that_no_row_has_is_refused(database: Database) -> None:
    token = links.make_token(new_id("lnk"), key=KEY)
    with database.reading() as session, pytest.raises(LinkRefused):
        links.get_open(session, token, key=KEY, purpose=links.RESET, now=NOW)
