"""Projects and members found or made in bulk."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import event, func, select

from billing.accounts.attribution import Attributor
from billing.accounts.tables import Member, Project
from billing.catalog import onboarding
from billing.kernel.errors import Invalid
from billing.storage.database import Database

NOW = datetime(2016, 12, 1, tzinfo=UTC)


def test_a_code_is_one_project_over_transactions_and_spellings(database: Database) -> None:
    with database.transaction("jobs") as session:
        account_id = onboarding.open_account(session, now=NOW, code="calla").id
        other_id = onboarding.open_account(session, now=NOW, code="taifl").id
        attributor = Attributor(session, now=NOW)
        first = attributor.project_id(account_id, "Zu\u0308rich")
        assert first == attributor.project_id(account_id, "Zürich")
        assert first != attributor.project_id(other_id, "Zürich")
        member = attributor.member_id(account_id, "apple")
    with database.transaction("jobs") as session:
        attributor = Attributor(session, now=NOW)
        assert attributor.project_id(account_id, "Zürich") == first
        assert attributor.member_id(account_id, "apple") == member
        assert session.scalar(select(func.count()).select_from(Project)) == 2
        assert session.scalar(select(func.count()).select_from(Member)) == 1


def test_no_code_is_no_project(database: Database) -> None:
    with database.transaction("jobs") as session:
        account_id = onboarding.open_account(session, now=NOW, code="calla").id
        attributor = Attributor(session, now=NOW)
        assert attributor.project_id(account_id, None) is None
        assert attributor.project_id(account_id, "") is None
        assert attributor.member_id(account_id, None) is None


@pytest.mark.parametrize("code", ["a\x00b", "\ud800", " a", "x" * 200, "a\nb"])
def test_a_code_that_cannot_be_kept_is_refused_and_the_batch_goes_on(database: Database, code: str) -> None:
    with database.transaction("jobs") as session:
        account_id = onboarding.open_account(session, now=NOW, code="calla").id
        attributor = Attributor(session, now=NOW)
        with pytest.raises(Invalid):
            attributor.project_id(account_id, code)
        with pytest.raises(Invalid):
            attributor.member_id(account_id, code)
        assert attributor.project_id(account_id, "fine") is not None


def test_repeats_ask_the_database_once(database: Database) -> None:
    with database.transaction("jobs") as session:
        account_id = onboarding.open_account(session, now=NOW, code="calla").id
        attributor = Attributor(session, now=NOW)
        asked: list[str] = []
        event.listen(
            session.connection().engine,
            "before_cursor_execute",
            lambda *facts: asked.append(str(facts[2])),
            named=False,
        )
        for _ in range(1000):
            attributor.member_id(account_id, "apple")
    assert sum("members" in statement for statement in asked) == 2  # one look, one insert


def test_an_account_too_large_to_read_at_once_is_looked_up_name_by_name(database: Database) -> None:
    with database.transaction("jobs") as session:
        account_id = onboarding.open_account(session, now=NOW, code="calla").id
        attributor = Attributor(session, now=NOW, whole_max=2)
        made = {handle: attributor.member_id(account_id, handle) for handle in ("a", "b", "c", "d", "e")}
    with database.transaction("jobs") as session:
        attributor = Attributor(session, now=NOW, whole_max=2)
        assert {handle: attributor.member_id(account_id, handle) for handle in ("e", "d", "c", "b", "a")} == made
        assert session.scalar(select(func.count()).select_from(Member)) == 5
