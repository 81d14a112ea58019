"""The calendars that are in force, and who changed them: versions, never edits."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads, names
from billing.accounts.tables import BillingAccount, Seller
from billing.controls.dunning import calendar as values
from billing.controls.dunning.calendar import Calendar, Step
from billing.controls.dunning.tables import DunningCalendar
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit

_REASON_MAX = 300


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """One stored version of a calendar, with whom it is for and who made it."""

    id: str
    seller_id: str
    account_id: str | None
    account_code: str | None
    calendar: Calendar
    is_ended: bool
    reason: str
    created_by: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class SellerRow:
    """A seller whose calendar can be looked at."""

    id: str
    code: str
    name: str


def list_sellers(session: Session) -> list[SellerRow]:
    """All sellers, by code."""
    rows = session.scalars(select(Seller).order_by(Seller.code))
    return [SellerRow(id=row.id, code=row.code, name=row.legal_name) for row in rows]


def in_force(session: Session, *, seller_id: str, account_id: str | None = None) -> Calendar:
    """The calendar of the account if it has its own, else its seller's, else the one that comes with the system."""
    return all_in_force(session, seller_id=seller_id, account_ids=[] if account_id is None else [account_id])[
        account_id or ""
    ]


def all_in_force(session: Session, *, seller_id: str, account_ids: list[str]) -> dict[str, Calendar]:
    """{account: its calendar} of accounts of that seller; under "" the seller's own."""
    newest: dict[str, DunningCalendar] = {}
    query = select(DunningCalendar).where(DunningCalendar.seller_id == seller_id).order_by(DunningCalendar.version)
    for row in session.scalars(query):
        newest[row.scope_id] = row
    ours = newest.get(seller_id)
    general = values.DEFAULT if ours is None else Calendar(steps=values.read(ours.steps), version=ours.version)
    found = {"": general}
    for account_id in account_ids:
        own = newest.get(account_id)
        found[account_id] = (
            general
            if own is None or own.is_ended
            else Calendar(steps=values.read(own.steps), version=own.version, is_own=True)
        )
    return found


def reminder_days(session: Session, seller_id: str, account_ids: list[str]) -> dict[str, tuple[int, ...]]:
    """{account: days of its reminders, counted from the due date}, as `reminders.list_due` takes them."""
    found = all_in_force(session, seller_id=seller_id, account_ids=account_ids)
    return {account_id: found[account_id].reminder_days for account_id in account_ids}


def change(
    session: Session,
    *,
    now: datetime,
    seller_id: str,
    steps: tuple[Step, ...],
    reason: str,
    actor: str,
    account_id: str | None = None,
    version: int | None = None,
) -> Calendar:
    """Put a calendar in force from now on, for a seller or for one of its accounts.

    `version` is the one that the person looked at: Conflict(changed_meanwhile) when it is no longer the newest. Raises Invalid as
    `calendar.check` and for a missing reason, NotFound for an account of another seller.
    """
    return _store(
        session,
        now=now,
        seller_id=seller_id,
        account_id=account_id,
        steps=values.check(steps),
        reason=reason,
        actor=actor,
        version=version,
        is_ended=False,
    )


def end_own(session: Session, *, now: datetime, account_id: str, reason: str, actor: str) -> Calendar:
    """The account follows its seller's calendar again. Raises NotFound when it has none of its own."""
    seller_id = directory.get_account(session, account_id).seller_id
    own = in_force(session, seller_id=seller_id, account_id=account_id)
    if not own.is_own:
        raise NotFound(account_id=account_id)
    _store(
        session,
        now=now,
        seller_id=seller_id,
        account_id=account_id,
        steps=own.steps,
        reason=reason,
        actor=actor,
        version=own.version,
        is_ended=True,
    )
    return in_force(session, seller_id=seller_id, account_id=account_id)


def list_versions(session: Session, *, seller_id: str, limit: int = 50) -> list[VersionRow]:
    """What was ever in force for a seller and its accounts, newest first."""
    rows = session.execute(
        select(DunningCalendar, BillingAccount.code)
        .outerjoin(BillingAccount, BillingAccount.id == DunningCalendar.billing_account_id)
        .where(DunningCalendar.seller_id == seller_id)
        .order_by(DunningCalendar.created_at.desc(), DunningCalendar.id.desc())
        .limit(limit)
    ).all()
    return [
        VersionRow(
            id=row.id,
            seller_id=row.seller_id,
            account_id=row.billing_account_id,
            account_code=code,
            calendar=Calendar(
                steps=values.read(row.steps), version=row.version, is_own=row.billing_account_id is not None
            ),
            is_ended=row.is_ended,
            reason=row.reason,
            created_by=row.created_by,
            created_at=row.created_at,
        )
        for row, code in rows
    ]


def list_own(session: Session, *, seller_id: str) -> list[VersionRow]:
    """The accounts of a seller that differ from it, by code."""
    newest: dict[str, VersionRow] = {}
    for row in reversed(list_versions(session, seller_id=seller_id, limit=10_000)):
        if row.account_id is not None:
            newest[row.account_id] = row
    return sorted((row for row in newest.values() if not row.is_ended), key=lambda row: row.account_code or "")


def _store(
    session: Session,
    *,
    now: datetime,
    seller_id: str,
    account_id: str | None,
    steps: tuple[Step, ...],
    reason: str,
    actor: str,
    version: int | None,
    is_ended: bool,
) -> Calendar:
    reason = " ".join(reason.split())
    if not reason or len(reason) > _REASON_MAX:
        raise Invalid(field="reason", most=_REASON_MAX, reason="dunning_reason")
    reason = names.require_name(reason, "reason", max_length=_REASON_MAX)
    # One writer per scope: the seller's row, or the account's head.
    if account_id is not None:
        heads.lock_one(session, account_id)
        if directory.get_account(session, account_id).seller_id != seller_id:
            raise NotFound(account_id=account_id)
    elif session.scalar(select(Seller.id).where(Seller.id == seller_id).with_for_update()) is None:
        raise NotFound(seller_id=seller_id[:60])
    scope_id = account_id or seller_id
    newest = session.scalars(
        select(DunningCalendar.version)
        .where(DunningCalendar.scope_id == scope_id)
        .order_by(DunningCalendar.version.desc())
        .limit(1)
    ).first()
    if version is not None and version != (newest or 0):
        raise Conflict(scope_id=scope_id, version=newest or 0, reason="changed_meanwhile")
    row = DunningCalendar(
        id=new_id("dcl"),
        scope_id=scope_id,
        seller_id=seller_id,
        billing_account_id=account_id,
        version=(newest or 0) + 1,
        is_ended=is_ended,
        steps=values.stored(steps),
        reason=reason,
        created_by=actor,
        created_at=now,
    )
    session.add(row)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="dunning.end_own" if is_ended else "dunning.change",
        subject_type="dunning_calendar",
        subject_id=row.id,
        billing_account_id=account_id,
        facts={"seller_id": seller_id, "version": row.version, "steps": values.stored(steps)},
    )
    session.flush()  # two versions of one number collide here, inside the act
    return Calendar(steps=steps, version=row.version, is_own=account_id is not None)
