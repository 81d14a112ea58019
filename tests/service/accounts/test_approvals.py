"""Acts that need two people: who may decide what, for how long, and that nothing happens without it."""

import copy
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from billing.accounts import approval_list, approvals
from billing.accounts.access_tables import Approval
from billing.accounts.approval_list import ApprovalRow
from billing.accounts.approvals import ACTS, Allowed
from billing.accounts.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ContentChanged,
    NotAllowed,
    NotPermitted,
    SecondPersonNeeded,
)
from billing.accounts.tables import ApiKey, User
from billing.controls import second_person
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.kernel.errors import Conflict, Invalid, NotFound, Refusal
from billing.kernel.money import Money
from billing.ledger import adjustments, balances, periods, reversal
from billing.payments import refund_decisions
from billing.storage.database import Database, DatabaseUrls, Session, owner_engine
from billing.storage.tables import AuditRecord, OutboxMessage
from tests import staff
from tests.service.ledger.books import NOW, open_account, top_up
from tests.staff import CHECKER, MAKER

OTHER = "usr_other"


@pytest.fixture
def account_id(database: Database) -> str:
    """A billing account with 5.00 in its wallet, and people who may ask and decide."""
    account_id = open_account(database)
    top_up(database, account_id, 500, "p1")
    staff.hired(database, MAKER, role="maker")
    staff.hired(database, CHECKER, OTHER)
    return account_id


def ask(session: Session, account_id: str, minor: int = 300, pair: str = "wallet_debit", **more: Any) -> Approval:
    """A maker asks for a debit from the wallet."""
    facts: dict[str, Any] = {"now": NOW, "maker": MAKER, "reason": "Booked twice"}
    amount = Money(minor=minor, currency="USD")
    return adjustments.request(session, account_id=account_id, pair_code=pair, amount=amount, **(facts | more))


def asked(database: Database, account_id: str, **more: Any) -> Approval:
    with database.transaction() as session:
        return ask(session, account_id, **more)


def approve(database: Database, approval: Approval, checker: str = CHECKER, **more: Any) -> ApprovalRow:
    with database.transaction() as session:
        facts: dict[str, Any] = {"now": NOW, "content_hash": approval.content_hash, "checker": checker}
        return second_person.approve(session, approval_id=approval.id, **(facts | more))


def state(database: Database, approval: Approval) -> str:
    with database.reading() as session:
        return approval_list.get_approval(session, approval.id).state


def wallet(database: Database, account_id: str) -> int:
    with database.reading() as session:
        return balances.of_account(session, account_id, currency="USD")[0].wallet_minor


def test_asking_moves_nothing_approving_performs_and_says_who(database: Database, account_id: str) -> None:
    item = asked(database, account_id)
    assert (item.state, wallet(database, account_id)) == ("requested", 500)
    done = approve(database, item, note="Seen the bank statement")
    assert (done.state, done.checker, done.note) == ("approved", CHECKER, "Seen the bank statement")
    assert wallet(database, account_id) == 200
    with database.reading() as session:
        acts = session.scalars(
            select(AuditRecord).where(AuditRecord.subject_id == item.id).order_by(AuditRecord.id)
        ).all()
        topics = session.scalars(select(OutboxMessage.topic).where(OutboxMessage.topic.like("approval.%"))).all()
        accounts = session.scalars(
            select(OutboxMessage.billing_account_id).where(OutboxMessage.topic.like("approval.%"))
        ).all()
    assert [(row.act, row.actor) for row in acts] == [("approval.request", MAKER), ("approval.approve", CHECKER)]
    assert sorted(topics) == ["approval.decided", "approval.requested"]
    assert set(accounts) == {None}  # what staff decide among themselves is no notice to the tenant


def test_nobody_decides_what_they_asked_for(database: Database, account_id: str) -> None:
    staff.hired(database, "usr_admin", role="admin")
    item = asked(database, account_id, maker="usr_admin")
    with pytest.raises(SecondPersonNeeded):
        approve(database, item, "usr_admin")
    with pytest.raises(SecondPersonNeeded), database.transaction() as session:
        second_person.reject(session, now=NOW, approval_id=item.id, checker="usr_admin", note="mine")
    assert (state(database, item), wallet(database, account_id)) == ("requested", 500)
    with pytest.raises(DBAPIError), database.transaction() as session:
        session.execute(
            text("UPDATE approvals SET state = 'approved', checker = maker, decided_at = requested_at WHERE id = :id"),
            {"id": item.id},
        )


def test_a_key_is_no_second_person_for_who_made_it(database: Database, account_id: str) -> None:
    with database.transaction() as session:
        session.add(
            ApiKey(
                id="key_1", label="theirs", prefix="p", key_hash="h", scopes="refund.request", created_at=NOW,
                created_by=CHECKER,
            )
        )  # fmt: skip
        item = approvals.request(
            session,
            now=NOW,
            act="refund.card",
            subject_type="refund_request",
            subject_id="rfd_x",
            content={"amount_minor": 1, "currency": "USD"},
            maker="apikey:key_1",
            reason="x",
            billing_account_id=account_id,
        )
        with pytest.raises(SecondPersonNeeded):
            approvals.require_decidable(session, now=NOW, approval_id=item.id, checker=CHECKER)
        assert approvals.require_decidable(session, now=NOW, approval_id=item.id, checker=OTHER) is item


@pytest.mark.parametrize("who", [MAKER + "2", "usr_viewer", "usr_gone", "usr_disabled", "usr_tenant"])
def test_only_staff_with_the_acts_permission_decide_or_ask(database: Database, account_id: str, who: str) -> None:
    staff.hired(database, MAKER + "2", role="maker")
    staff.hired(database, "usr_viewer", role="viewer")
    staff.hired(database, "usr_disabled", "usr_tenant")
    with database.transaction() as session:
        session.get_one(User, "usr_disabled").is_disabled = True
        session.get_one(User, "usr_tenant").staff_role = None
    item = asked(database, account_id)
    with pytest.raises(NotPermitted):
        approve(database, item, who)
    if who != MAKER + "2":
        with pytest.raises(NotPermitted):
            asked(database, account_id, maker=who)
    assert (state(database, item), wallet(database, account_id)) == ("requested", 500)


def test_an_approver_may_not_ask(database: Database, account_id: str) -> None:
    with pytest.raises(NotPermitted):
        asked(database, account_id, maker=CHECKER)


def test_a_decided_request_stays_as_it_is(database: Database, account_id: str) -> None:
    item = asked(database, account_id)
    with database.transaction() as session:
        second_person.reject(session, now=NOW, approval_id=item.id, checker=CHECKER, note="Not booked twice")
    with pytest.raises(AlreadyDecided) as refused:
        approve(database, item, OTHER)
    assert refused.value.fields["state"] == "rejected"
    with pytest.raises(DBAPIError), database.transaction() as session:
        session.execute(text("UPDATE approvals SET note = 'other' WHERE id = :id"), {"id": item.id})
    with pytest.raises(DBAPIError), database.transaction() as session:
        session.execute(text("DELETE FROM approvals WHERE id = :id"), {"id": item.id})
    assert wallet(database, account_id) == 500


def test_a_rejection_needs_a_reason(database: Database, account_id: str) -> None:
    item = asked(database, account_id)
    with pytest.raises(Invalid), database.transaction() as session:
        second_person.reject(session, now=NOW, approval_id=item.id, checker=CHECKER, note="  ")
    assert state(database, item) == "requested"


def test_only_the_maker_withdraws_and_only_once(database: Database, account_id: str) -> None:
    item = asked(database, account_id)
    with pytest.raises(Conflict) as refused, database.transaction() as session:
        second_person.withdraw(session, now=NOW, approval_id=item.id, maker=CHECKER)
    assert refused.value.fields["reason"] == "only_the_maker"
    with database.transaction() as session:
        assert second_person.withdraw(session, now=NOW, approval_id=item.id, maker=MAKER).state == "withdrawn"
    with pytest.raises(AlreadyDecided), database.transaction() as session:
        second_person.withdraw(session, now=NOW, approval_id=item.id, maker=MAKER)
    with pytest.raises(AlreadyDecided):
        approve(database, item)


def test_an_expired_request_is_refused_before_and_after_the_job_marks_it(database: Database, account_id: str) -> None:
    item = asked(database, account_id)
    late = NOW + timedelta(days=14)
    with pytest.raises(ApprovalExpired):
        approve(database, item, now=late)
    for decide in (
        lambda session: second_person.reject(session, now=late, approval_id=item.id, checker=CHECKER, note="x"),
        lambda session: second_person.withdraw(session, now=late, approval_id=item.id, maker=MAKER),
    ):
        with pytest.raises(ApprovalExpired), database.transaction() as session:
            decide(session)
    young = asked(database, account_id, now=NOW + timedelta(seconds=1))
    context = JobContext(database=database, providers={}, now=late)
    assert [steps.approvals(context), steps.approvals(context)] == [1, 0]
    assert [state(database, one) for one in (item, young)] == ["expired", "requested"]
    with pytest.raises(AlreadyDecided):
        approve(database, item, now=late)
    assert wallet(database, account_id) == 500


@pytest.mark.parametrize("shown", ["", "0" * 64, "\ud800"])
def test_another_hash_than_what_was_shown_is_refused(database: Database, account_id: str, shown: str) -> None:
    item = asked(database, account_id)
    with pytest.raises(ContentChanged) as refused:
        approve(database, item, content_hash=shown)
    assert refused.value.fields["reason"] == "not_what_was_shown"
    assert (state(database, item), wallet(database, account_id)) == ("requested", 500)


@pytest.mark.tampers
@pytest.mark.parametrize(
    "change",
    [
        "content = replace(content, '300', '400')",
        "content = '{}'",
        "maker = 'usr_other'",
        "act = 'refund.card'",
        "act = 'no.such'",
        "subject_id = 'bac_other'",
        "reason = 'another'",
        "expires_at = requested_at",
    ],
)
def test_a_request_altered_by_the_owner_of_the_database_is_not_approved(
    database: Database, database_urls: DatabaseUrls, account_id: str, change: str
) -> None:
    item = asked(database, account_id)
    engine = owner_engine(database_urls)
    with engine.begin() as owner:
        owner.execute(text(f"UPDATE approvals SET {change} WHERE id = :id"), {"id": item.id})
    engine.dispose()
    with pytest.raises((ContentChanged, ApprovalExpired, Invalid)):
        approve(database, item)
    assert (state(database, item), wallet(database, account_id)) == ("requested", 500)


def test_a_request_is_refused_when_its_subject_says_something_else(database: Database, account_id: str) -> None:
    item = asked(database, account_id)
    with database.transaction() as session:
        with pytest.raises(ContentChanged) as refused:
            approvals.approve(
                session,
                now=NOW,
                approval_id=item.id,
                content_hash=item.content_hash,
                checker=CHECKER,
                content={**item.content, "amount_minor": 301},
            )
        assert refused.value.fields["reason"] == "content_changed"
    assert state(database, item) == "requested"


def test_what_is_there_no_longer_is_refused_at_approval(database: Database, account_id: str) -> None:
    first, second = asked(database, account_id), asked(database, account_id)
    approve(database, first)
    with pytest.raises(Conflict) as refused:
        approve(database, second)
    assert (refused.value.code, refused.value.fields["limit_minor"]) == ("above_held", 200)
    assert (state(database, second), wallet(database, account_id)) == ("requested", 200)


def test_an_approval_that_is_not_performed_cannot_be_committed(database: Database, account_id: str) -> None:
    item = asked(database, account_id)
    with pytest.raises(RuntimeError, match="not performed"), database.transaction() as session:
        allow(session, item)
    assert state(database, item) == "requested"


def test_nothing_but_an_approval_makes_an_allowed(database: Database, account_id: str) -> None:
    facts: dict[str, Any] = {
        "approval_id": "apr_1", "act": "account.credit", "subject_id": account_id, "content": "{}", "content_hash": "0",
        "maker": MAKER, "checker": CHECKER,
    }  # fmt: skip
    with pytest.raises(TypeError):
        Allowed(**facts)
    with pytest.raises(TypeError):
        Allowed(**facts, seal=object())
    item = asked(database, account_id)
    with pytest.raises(ValueError, match="seal"), database.transaction() as session:
        dataclasses.replace(allow(session, item), content="{}")
    with pytest.raises(dataclasses.FrozenInstanceError), database.transaction() as session:
        allow(session, item).content = "{}"  # type: ignore[misc]


def test_an_allowed_is_worth_its_own_act_once_in_its_own_transaction(database: Database, account_id: str) -> None:
    other_id = open_account(database, "taifl")
    item = asked(database, account_id)
    with database.transaction() as session:
        kept = allow(session, item)
        for wrong in ({"minor": 301}, {"pair": "wallet_credit"}, {"who": other_id}, {"allowed": copy.copy(kept)}):
            with pytest.raises(NotAllowed):
                perform(session, account_id, **({"allowed": kept} | wrong))
        perform(session, account_id, allowed=kept)
        with pytest.raises(NotAllowed):
            perform(session, account_id, allowed=kept)
    with pytest.raises(NotAllowed), database.transaction() as session:
        perform(session, account_id, allowed=kept)
    assert wallet(database, account_id) == 200


@pytest.mark.parametrize("forged", [None, True, object(), "apr_1", {"act": "account.credit"}])
def test_every_executing_function_refuses_what_is_no_approval(
    database: Database, account_id: str, forged: object
) -> None:
    with database.transaction() as session:
        posted = top_up_again(session, account_id)
        periods.close(session, now=NOW, seller_id=seller_id(session), month_label="2026-09", actor="finance")
        month_id = next(row.id for row in periods.list_periods(session) if row.month == "2026-09")
        for perform_it in (
            lambda: perform(session, account_id, allowed=forged),
            lambda: reversal.reverse(session, now=NOW, transaction_id=posted, reason="x", allowed=forged),  # type: ignore[arg-type]
            lambda: periods.reopen(session, now=NOW, period_id=month_id, allowed=forged),  # type: ignore[arg-type]
        ):
            with pytest.raises(NotAllowed):
                perform_it()
    assert set(second_person.ROOMS) == set(ACTS)
    assert refund_decisions.carry_out.__kwdefaults__ == {"note": None}  # `allowed` has no default


def test_the_same_form_twice_is_one_request_and_other_content_is_refused(database: Database, account_id: str) -> None:
    first, second = (asked(database, account_id, form_key="once") for _ in range(2))
    assert first.id == second.id
    with pytest.raises(Conflict) as refused:
        asked(database, account_id, form_key="once", minor=301)
    assert refused.value.fields["reason"] == "form_key_reused"
    staff.hired(database, "usr_colleague", role="maker")
    assert asked(database, account_id, form_key="once", maker="usr_colleague").id != first.id


def test_what_waits_for_a_decision_cannot_be_asked_for_again(database: Database, account_id: str) -> None:
    with database.transaction() as session:
        posted = top_up_again(session, account_id)
        first = reversal.request(session, now=NOW, transaction_id=posted, maker=MAKER, reason="x")
        with pytest.raises(Conflict) as refused:
            reversal.request(session, now=NOW, transaction_id=posted, maker=MAKER, reason="y")
        assert (refused.value.fields["reason"], refused.value.fields["approval_id"]) == ("already_requested", first.id)
        second_person.withdraw(session, now=NOW, approval_id=first.id, maker=MAKER)
        assert reversal.request(session, now=NOW, transaction_id=posted, maker=MAKER, reason="y").id != first.id


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"minor": 0}, "not_positive"),
        ({"minor": -1}, "not_positive"),
        ({"pair": "loan"}, "unknown_pair"),
        ({"reason": "  "}, "empty"),
        ({"reason": "x" * 501}, "too_long"),
        ({"reason": "nul \x00"}, "control_character"),
        ({"form_key": ""}, "form_key_missing"),
        ({"form_key": "x" * 201}, "form_key_missing"),
    ],
)  # fmt: skip
def test_input_that_cannot_be_is_refused(
    database: Database, account_id: str, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Invalid) as refused:
        asked(database, account_id, **change)
    assert refused.value.fields["reason"] == reason
    with database.reading() as session:
        assert approval_list.count_approvals(session)["requested"] == 0


def test_an_act_that_is_not_in_the_table_cannot_be_asked_for(database: Database, account_id: str) -> None:
    with pytest.raises(Invalid), database.transaction() as session:
        approvals.request(
            session, now=NOW, act="money.print", subject_type="x", subject_id="x", content={}, maker=MAKER, reason="x",
            billing_account_id=account_id,
        )  # fmt: skip


def test_of_many_who_approve_at_once_one_does(database: Database, account_id: str) -> None:
    checkers = [f"usr_{number}" for number in range(50)]
    staff.hired(database, *checkers)
    item = asked(database, account_id)

    def attempt(checker: str) -> object:
        try:
            return approve(database, item, checker)
        except Refusal as refusal:
            return refusal

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, checkers))
    assert [type(one) for one in outcomes if not isinstance(one, AlreadyDecided)] == [ApprovalRow]
    assert wallet(database, account_id) == 200


def test_of_many_who_ask_with_one_form_one_request_comes(database: Database, account_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: asked(database, account_id, form_key="once").id, range(16)))
    assert len(set(ids)) == 1


def test_the_list_is_narrowed_and_counted(database: Database, account_id: str) -> None:
    first, second, third = (asked(database, account_id, minor=minor) for minor in (1, 2, 3))
    approve(database, second)
    with database.reading() as session:
        waiting = approval_list.list_approvals(session, state="requested")
        every = approval_list.list_approvals(session, account_id=account_id)
        counts = approval_list.count_approvals(session, act="account.credit")
        none = approval_list.list_approvals(session, act="ledger.reverse")
        with pytest.raises(NotFound):
            approval_list.get_approval(session, "apr_none\x00")
    assert [row.id for row in waiting] == [first.id, third.id]  # the oldest first
    assert [row.id for row in every] == [third.id, second.id, first.id]
    assert (counts["requested"], counts["approved"], counts["expired"], none) == (2, 1, 0, [])


def allow(session: Session, item: Approval) -> Allowed:
    """An approval without its act."""
    return approvals.approve(
        session, now=NOW, approval_id=item.id, content_hash=item.content_hash, checker=CHECKER, content=item.content
    )


def perform(
    session: Session, account_id: str, *, allowed: Any, minor: int = 300, pair: str = "wallet_debit", who: str = ""
) -> object:
    """The act itself, as a path that skips the choke point would try it."""
    return adjustments.adjust(
        session,
        now=NOW,
        account_id=who or account_id,
        pair_code=pair,
        amount=Money(minor=minor, currency="USD"),
        reason="x",
        allowed=allowed,
    )


def top_up_again(session: Session, account_id: str) -> str:
    """Another deposit; the id of its transaction."""
    from tests.service.ledger.books import CASH, entry, post

    return post(session, account_id, "p2", entry("bank_credit", CASH, "wallet", 100)).transaction_id


def seller_id(session: Session) -> str:
    from tests.service.ledger.books import seller

    return str(seller(session).id)
