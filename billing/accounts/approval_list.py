"""Requests for a second person as pages and commands read them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.accounts.access_tables import Approval
from billing.accounts.tables import BillingAccount
from billing.kernel.errors import NotFound

STATES = ("requested", "approved", "rejected", "withdrawn", "expired")


@dataclass(frozen=True, kw_only=True)
class ApprovalRow:
    """One request. `content` is what would happen: ids, codes and integers; `content_hash` what an approval is bound to.

    `state` is one of STATES. An open request whose time is over is `requested` until a job has marked it: see `is_over`.
    """

    id: str
    act: str
    subject_type: str
    subject_id: str
    billing_account_id: str | None
    account_code: str | None
    account_name: str | None
    content: dict[str, Any]
    content_hash: str
    reason: str
    maker: str
    requested_at: datetime
    expires_at: datetime
    state: str
    checker: str | None
    decided_at: datetime | None
    note: str | None

    def is_over(self, now: datetime) -> bool:
        """Whether nobody may decide it any more."""
        return self.state != "requested" or self.expires_at <= now


def get_approval(session: Session, approval_id: str) -> ApprovalRow:
    """One request. Raises NotFound."""
    found = None
    if names.is_safe(approval_id):
        found = session.execute(_requests().where(Approval.id == approval_id)).one_or_none()
    if found is None:
        raise NotFound(approval_id=names.shown(approval_id))
    return _row(*found)


def list_approvals(
    session: Session,
    *,
    state: str | None = None,
    act: str | None = None,
    account_id: str | None = None,
    subject_id: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[ApprovalRow]:
    """Requests in one state, for one act, account or subject, or all: those that wait the oldest first, others the newest first."""
    order = Approval.id if state == "requested" else Approval.id.desc()
    query = _narrowed(_requests(), state, act, account_id, subject_id).order_by(order).limit(limit).offset(offset)
    return [_row(*found) for found in session.execute(query)]


def count_approvals(session: Session, *, act: str | None = None) -> dict[str, int]:
    """{state: number of requests}, of one act or of all; every state is there."""
    query = select(Approval.state, func.count()).group_by(Approval.state)
    if act is not None:
        query = query.where(Approval.act == act)
    rows = session.execute(query).all()
    return dict.fromkeys(STATES, 0) | dict(rows)


def due(session: Session, *, now: datetime, limit: int = 500) -> list[str]:
    """The ids of open requests whose time is over, oldest first."""
    query = select(Approval.id).where(Approval.state == "requested", Approval.expires_at <= now)
    return list(session.scalars(query.order_by(Approval.id).limit(limit)))


def _requests() -> Select[Approval, str | None, str | None]:
    return select(Approval, BillingAccount.code, BillingAccount.name).outerjoin(
        BillingAccount, BillingAccount.id == Approval.billing_account_id
    )


def _narrowed(
    query: Select[Any, Any, Any],
    state: str | None,
    act: str | None,
    account_id: str | None,
    subject_id: str | None,
) -> Select[Any, Any, Any]:
    wanted: Collection[tuple[Any, str | None]] = (
        (Approval.state, state),
        (Approval.act, act),
        (Approval.billing_account_id, account_id),
        (Approval.subject_id, subject_id),
    )
    return query.where(*(column == value for column, value in wanted if value is not None))


def _row(item: Approval, account_code: str | None, account_name: str | None) -> ApprovalRow:
    return ApprovalRow(
        id=item.id,
        act=item.act,
        subject_type=item.subject_type,
        subject_id=item.subject_id,
        billing_account_id=item.billing_account_id,
        account_code=account_code,
        account_name=account_name,
        content=item.content,
        content_hash=item.content_hash,
        reason=item.reason,
        maker=item.maker,
        requested_at=item.requested_at,
        expires_at=item.expires_at,
        state=item.state,
        checker=item.checker,
        decided_at=item.decided_at,
        note=item.note,
    )
