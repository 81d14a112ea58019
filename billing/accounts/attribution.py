"""Whose work a piece of usage is: projects and members, found or made by the name that the source uses."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from billing.accounts import names
from billing.accounts.tables import Member, Project
from billing.kernel.ids import new_id

HANDLE_MAX = 128


class Attributor:
    """Finds or makes projects and members, remembering them for one transaction of bulk work.

    The caller holds the heads of the accounts it names, so nobody else makes the same ones meanwhile. An account with at most
    `whole_max` projects (members) is read once; in larger ones each name is looked up when it first comes.
    """

    def __init__(self, session: Session, now: datetime, *, whole_max: int = 2_000) -> None:
        self._now = now
        self._projects = _Known(session, Project, Project.code, whole_max)
        self._members = _Known(session, Member, Member.handle, whole_max)

    def project_id(self, account_id: str, code: str | None) -> str | None:
        """The id of the account's project of that code, made if new; None for None or "". Raises Invalid(field="project")."""
        if not code:
            return None
        found = self._projects.find(account_id, code)
        if found is not None:
            return found
        clean = names.require_code(code, "project")
        return self._projects.find_or_add(account_id, code, clean, "prj", name=clean, created_at=self._now)

    def member_id(self, account_id: str, handle: str | None) -> str | None:
        """The opaque id of the account's member of that handle, made if new; None for None or "". Raises Invalid("member")."""
        if not handle:
            return None
        found = self._members.find(account_id, handle)
        if found is not None:
            return found
        clean = names.require_code(handle, "member", max_length=HANDLE_MAX)
        return self._members.find_or_add(account_id, handle, clean, "mbr", created_at=self._now)


class _Known:
    """What is known of one table: (account, name) -> id."""

    def __init__(
        self,
        session: Session,
        table: type[Project] | type[Member],
        column: InstrumentedAttribute[str],
        whole_max: int,
    ) -> None:
        self._whole_max = whole_max
        self._session = session
        self._table = table
        self._column = column
        self._ids: dict[tuple[str, str], str] = {}
        self._is_whole: dict[str, bool] = {}

    def find(self, account_id: str, name: str) -> str | None:
        """From memory only."""
        return self._ids.get((account_id, name))

    def find_or_add(self, account_id: str, given: str, code: str, prefix: str, **columns: Any) -> str:
        """The id of the row of the (clean) name, from the database or new; remembered under the given spelling too."""
        if account_id not in self._is_whole:
            self._read_account(account_id)
        found = self._ids.get((account_id, code))
        if found is None and not self._is_whole[account_id]:
            found = self._session.scalar(
                select(self._table.id).where(self._table.billing_account_id == account_id, self._column == code)
            )
        if found is None:
            found = new_id(prefix)
            # At once and not by the unit of work: bulk rows that refer to it go past the session.
            self._session.execute(
                insert(self._table).values(
                    id=found, billing_account_id=account_id, **{self._column.key: code}, **columns
                )
            )
        self._ids[account_id, code] = self._ids[account_id, given] = found
        return found

    def _read_account(self, account_id: str) -> None:
        statement = select(self._column, self._table.id).where(self._table.billing_account_id == account_id)
        rows = self._session.execute(statement.limit(self._whole_max + 1)).all()
        self._is_whole[account_id] = len(rows) <= self._whole_max
        self._ids.update(((account_id, name), row_id) for name, row_id in rows)
