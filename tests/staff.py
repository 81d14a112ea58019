"""Operators as rows, for tests that act under ids of their own choosing and sign nobody in."""

from datetime import UTC, datetime
from typing import Any

from billing.accounts.access_tables import Approval
from billing.accounts.approval_list import ApprovalRow
from billing.accounts.tables import User
from billing.controls import second_person
from billing.storage.database import Database, Session

MAKER, CHECKER = "usr_maker", "usr_checker"
_HIRED_AT = datetime(2016, 1, 1, tzinfo=UTC)


def hire(session: Session, *user_ids: str, role: str = "approver") -> None:
    """People of the staff with these ids, those that are not there yet."""
    for user_id in user_ids:
        if session.get(User, user_id) is None:
            session.add(
                User(
                    id=user_id,
                    login=f"{user_id}@staff.example",
                    name=user_id.removeprefix("usr_").capitalize(),
                    password_hash="!",
                    staff_role=role,
                    created_at=_HIRED_AT,
                )
            )
    session.flush()


def hire_two(session: Session) -> None:
    """A maker and a checker."""
    hire(session, MAKER, role="maker")
    hire(session, CHECKER, role="approver")


def approve(session: Session, approval: Approval, *, now: datetime, checker: str = CHECKER, **more: Any) -> ApprovalRow:
    """The second person says yes to what the request says."""
    return second_person.approve(
        session, now=now, approval_id=approval.id, content_hash=approval.content_hash, checker=checker, **more
    )


def hired(database: Database, *user_ids: str, role: str = "approver") -> None:
    """The same in a transaction of its own."""
    with database.transaction("jobs") as session:
        hire(session, *user_ids, role=role)
