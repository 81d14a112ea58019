"""Acts that need two people: a maker asks, a checker decides, and this is the one place that lets them happen.

What would happen is written down as content (ids, codes and integers) and hashed together with who asked, why, and until when.
`approve` gives an `Allowed`, the only thing that the functions which perform such acts accept. It is worth one act, in the
transaction in which it was made, and a transaction in which it was not spent cannot be committed: `approved` means done.
"""

import json
from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from billing.accounts import names, principals
from billing.accounts.access_tables import Approval
from billing.accounts.approval_list import ApprovalRow
from billing.accounts.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ContentChanged,
    NotAllowed,
    NotPermitted,
    SecondPersonNeeded,
)
from billing.accounts.tables import ApiKey
from billing.kernel import canonical
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, locks, outbox
from billing.storage.columns import micros

Content = Mapping[str, Any]

REASON_MAX = 500
_KEY_MAX = 200
_WAITING = "approvals_allowed"  # in session.info: what was allowed in this transaction and is not performed yet


@dataclass(frozen=True, kw_only=True)
class Act:
    """One kind of act that needs two people: its words, the permissions of maker and checker, how long a request stands.

    `is_for_tenants`: a tenant's person or key may ask too; their right is checked where they come in. `is_single`: at most one
    open request for the same subject.
    """

    code: str
    words: str
    maker: str
    checker: str
    lasts: timedelta
    is_for_tenants: bool = False
    is_single: bool = True


ACTS: dict[str, Act] = {
    act.code: act
    for act in (
        Act(
            code="refund.card",
            words="Refund to the card",
            maker="refund.request",
            checker="refund.approve",
            lasts=timedelta(days=30),
            is_for_tenants=True,
        ),
        Act(
            code="refund.credit",
            words="Refund as credit",
            maker="refund.request",
            checker="refund.approve",
            lasts=timedelta(days=30),
            is_for_tenants=True,
        ),
        Act(
            code="refund.bank",
            words="Refund to a bank account",
            maker="refund.request",
            checker="refund.approve",
            lasts=timedelta(days=30),
            is_for_tenants=True,
        ),
        Act(
            code="refund.adopt",
            words="Adoption of a refund made at the provider",
            maker="refund.request",
            checker="refund.approve",
            lasts=timedelta(days=30),
        ),
        Act(
            code="refund.limits",
            words="Limit of refunds by role",
            maker="refund.request",
            checker="refund.approve",
            lasts=timedelta(days=14),
        ),
        Act(
            code="account.credit",
            words="Credit or debit",
            maker="ledger.correct",
            checker="ledger.approve",
            lasts=timedelta(days=14),
            is_single=False,
        ),
        Act(
            code="ledger.reverse",
            words="Reversal",
            maker="ledger.correct",
            checker="ledger.approve",
            lasts=timedelta(days=14),
        ),
        Act(
            code="ledger.reopen_period",
            words="Reopening of a month",
            maker="ledger.correct",
            checker="ledger.approve",
            lasts=timedelta(days=3),
        ),
        Act(
            code="invoice.write_off",
            words="Write-off of an invoice",
            maker="ledger.correct",
            checker="ledger.approve",
            lasts=timedelta(days=14),
        ),
        Act(
            code="wallet.write_off",
            words="Write-off of a negative wallet",
            maker="ledger.correct",
            checker="ledger.approve",
            lasts=timedelta(days=14),
        ),
        Act(
            code="payment.link",
            words="Payment given to an account",
            maker="ledger.correct",
            checker="ledger.approve",
            lasts=timedelta(days=14),
        ),
        Act(
            code="payment.reverse_transfer",
            words="Bank transfer taken back",
            maker="ledger.correct",
            checker="ledger.approve",
            lasts=timedelta(days=14),
        ),
        Act(
            code="provider_balance.book",
            words="Booking of a movement at the provider",
            maker="ledger.correct",
            checker="ledger.approve",
            lasts=timedelta(days=14),
        ),
        Act(
            code="prices.activate",
            words="Activation of prices",
            maker="prices.change",
            checker="prices.approve",
            lasts=timedelta(days=14),
        ),
        Act(
            code="tax.rate",
            words="Rate of another country",
            maker="tax.manage",
            checker="tax.approve",
            lasts=timedelta(days=14),
            is_single=False,
        ),
        Act(
            code="prices.override",
            words="Price of an account's own",
            maker="prices.change",
            checker="prices.approve",
            lasts=timedelta(days=14),
            is_single=False,
        ),
    )
}
"""Everything that needs two people. An act that is not here cannot be asked for."""

_MADE_HERE = object()


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The right to perform one act once, in the transaction that made it. Nobody but `approve` can make one.

    `content` is canonical JSON of what may be done.
    """

    approval_id: str
    act: str
    subject_id: str
    content: str
    content_hash: str
    maker: str
    checker: str
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _MADE_HERE:
            raise TypeError("only an approval by a second person makes this")


def get_act(code: str) -> Act:
    """The act of that code. Raises Invalid."""
    if code not in ACTS:
        raise Invalid(field="act", value=names.shown(code), reason="unknown_act")
    return ACTS[code]


def request(
    session: Session,
    *,
    now: datetime,
    act: str,
    subject_type: str,
    subject_id: str,
    content: Content,
    maker: str,
    reason: str,
    billing_account_id: str | None,
    form_key: str | None = None,
    lasts: timedelta | None = None,
) -> Approval:
    """Ask for an act. Nothing happens yet. The same form of the same maker sent twice is one request.

    `lasts` shortens or lengthens what the act's line says. Locks the subject's name (and the form's). Raises Invalid for an act or
    reason that is none, NotPermitted, Conflict(already_requested) and Conflict(form_key_reused).
    """
    rule = get_act(act)
    reason = names.require_name(" ".join(reason.split()), "reason", max_length=REASON_MAX)
    if form_key is not None and not 0 < len(form_key) <= _KEY_MAX:
        raise Invalid(field="form_key", reason="form_key_missing")
    if not rule.is_for_tenants:
        _require_permission(session, maker, rule.maker, act)
    key = f"{maker}:{form_key}" if form_key is not None else None
    plain = json.loads(canonical.dumps(dict(content)))
    locks.take(session, *(f"approval:{name}" for name in (f"{act}:{subject_id}", key) if name))
    known = session.scalar(select(Approval).where(Approval.form_key == key)) if key else None
    if known is not None:
        if (known.act, known.subject_type, known.subject_id, known.content) != (act, subject_type, subject_id, plain):
            raise Conflict(approval_id=known.id, reason="form_key_reused")
        return known
    opened = find_open(session, act=act, subject_id=subject_id) if rule.is_single else None
    if opened is not None:
        raise Conflict(approval_id=opened, reason="already_requested")
    item = Approval(
        id=new_id("apr"),
        act=act,
        subject_type=subject_type,
        subject_id=subject_id,
        billing_account_id=billing_account_id,
        content=plain,
        reason=reason,
        maker=maker,
        requested_at=now,
        expires_at=now + (rule.lasts if lasts is None else lasts),
        form_key=key,
        state="requested",
    )
    item.content_hash = _hash_of(item)
    session.add(item)
    _tell(session, now, item, "approval.request", maker)
    return item


def approve(
    session: Session,
    *,
    now: datetime,
    approval_id: str,
    content_hash: str,
    checker: str,
    content: Content,
    note: str | None = None,
) -> Allowed:
    """Let an act happen: the caller performs it with the answer, in this transaction (`controls.second_person` does).

    `content_hash` is what the checker was shown, `content` what the subject says now: both must be what was asked for. Locks the
    request. Raises NotFound, AlreadyDecided, ApprovalExpired, SecondPersonNeeded, NotPermitted, ContentChanged.
    """
    item = require_decidable(session, now=now, approval_id=approval_id, checker=checker)
    changed = find_change(item, content)
    if changed is not None:
        raise changed
    if content_hash != item.content_hash:
        raise ContentChanged(approval_id=item.id, reason="not_what_was_shown")
    _decide(session, now, item, "approved", checker, note, "approval.approve")
    allowed = Allowed(
        approval_id=item.id,
        act=item.act,
        subject_id=item.subject_id,
        content=canonical.dumps(item.content),
        content_hash=item.content_hash,
        maker=item.maker,
        checker=checker,
        seal=_MADE_HERE,
    )
    _watch(session)[item.id] = allowed
    return allowed


def spend(session: Session, allowed: object, *, act: str, subject_id: str, content: Content) -> Allowed:
    """What every function that performs such an act begins with: this act, on this subject, with this content was allowed.

    The `Allowed` must be of this transaction and is worth nothing afterwards. Raises NotAllowed.
    """
    waiting: dict[str, Allowed] = session.info.get(_WAITING, {})
    if (
        not isinstance(allowed, Allowed)
        or waiting.get(allowed.approval_id) is not allowed
        or allowed.act != act
        or allowed.subject_id != subject_id
        or allowed.content != canonical.dumps(dict(content))
    ):
        raise NotAllowed(act=act, subject_id=subject_id)
    del waiting[allowed.approval_id]
    return allowed


def reject(session: Session, *, now: datetime, approval_id: str, checker: str, note: str) -> Approval:
    """Refuse an act, with a reason. Locks the request. Raises as `approve`, and Invalid without a reason."""
    item = require_decidable(session, now=now, approval_id=approval_id, checker=checker)
    note = names.require_name(" ".join(note.split()), "note", max_length=REASON_MAX)
    _decide(session, now, item, "rejected", checker, note, "approval.reject")
    return item


def withdraw(session: Session, *, now: datetime, approval_id: str, maker: str) -> Approval:
    """Take one's own request back. Locks the request. Raises NotFound, AlreadyDecided, ApprovalExpired, Conflict."""
    item = lock(session, approval_id)
    _require_open(item, now)
    if maker != item.maker:
        raise Conflict(approval_id=item.id, reason="only_the_maker")
    _decide(session, now, item, "withdrawn", None, None, "approval.withdraw", actor=maker)
    return item


def expire(session: Session, *, now: datetime, approval_id: str, actor: str) -> Approval | None:
    """Mark a request that nobody decided in time; None when there is nothing to mark any more. Locks the request."""
    item = lock(session, approval_id)
    if item.state != "requested" or item.expires_at > now:
        return None
    _decide(session, now, item, "expired", None, None, "approval.expire", actor=actor)
    return item


def require_decidable(session: Session, *, now: datetime, approval_id: str, checker: str) -> Approval:
    """The request, locked, if this person may decide it now. Raises all that `approve` raises before it looks at the content."""
    item = lock(session, approval_id)
    _require_open(item, now)
    if checker in (item.maker, _person_behind(session, item.maker)):
        raise SecondPersonNeeded(approval_id=item.id)
    _require_permission(session, checker, get_act(item.act).checker, item.act)
    return item


def lock(session: Session, approval_id: str) -> Approval:
    """The request, locked and read anew; whoever needs the account's head takes it before. Raises NotFound."""
    query = select(Approval).where(Approval.id == approval_id).with_for_update()
    item = session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if item is None:
        raise NotFound(approval_id=names.shown(approval_id))
    return item


def find_open(session: Session, *, act: str, subject_id: str) -> str | None:
    """The id of the request that waits for this act on this subject, or None."""
    query = select(Approval.id).where(
        Approval.act == act, Approval.subject_id == subject_id, Approval.state == "requested"
    )
    return session.execute(query.order_by(Approval.id)).scalars().first()


def is_intact(item: Approval | ApprovalRow) -> bool:
    """Whether the row says what it said when it was asked for."""
    return _hash_of(item) == item.content_hash


def find_change(item: Approval | ApprovalRow, content: Content) -> ContentChanged | None:
    """Why a request no longer stands for what was asked: its row was altered, or its subject says something else now. Or None."""
    if not is_intact(item):
        return ContentChanged(approval_id=item.id, reason="altered")
    if canonical.dumps(dict(content)) != canonical.dumps(item.content):
        return ContentChanged(approval_id=item.id, reason="content_changed")
    return None


def _hash_of(item: Approval | ApprovalRow) -> str:
    """Over everything that stands fixed while the request waits; revision 0018 has the same shape for older rows."""
    return canonical.digest(
        "approval/1",
        item.id,
        item.act,
        item.subject_type,
        item.subject_id,
        item.billing_account_id,
        item.content,
        item.reason,
        item.maker,
        micros(item.requested_at),
        micros(item.expires_at),
    )


def _require_open(item: Approval, now: datetime) -> None:
    if item.state != "requested":
        raise AlreadyDecided(approval_id=item.id, state=item.state)
    if item.expires_at <= now:
        raise ApprovalExpired(approval_id=item.id)


def _require_permission(session: Session, user_id: str, permission: str, act: str) -> None:
    person = principals.find_principal(session, user_id)
    if person is None or permission not in person.staff_permissions:
        raise NotPermitted(act=act, permission=permission, reason="staff_permission_missing")


def _person_behind(session: Session, maker: str) -> str | None:
    """Who made the API key that asked: a key is no second person."""
    kind, _, key_id = maker.partition(":")
    return session.scalar(select(ApiKey.created_by).where(ApiKey.id == key_id)) if kind == "apikey" else None


def _decide(
    session: Session,
    now: datetime,
    item: Approval,
    state: str,
    checker: str | None,
    note: str | None,
    act: str,
    *,
    actor: str | None = None,
) -> None:
    item.note = names.find_name(" ".join((note or "").split()), "note", max_length=REASON_MAX)
    item.state, item.checker, item.decided_at = state, checker, now
    _tell(session, now, item, act, actor or checker or item.maker)


def _tell(session: Session, now: datetime, item: Approval, act: str, actor: str) -> None:
    """Audit and notice. Both are the operators' own: what a tenant learns comes from the act itself."""
    facts: dict[str, Any] = {
        "act": item.act,
        "subject_type": item.subject_type,
        "subject_id": item.subject_id,
        "account_id": item.billing_account_id,
        "content_hash": item.content_hash,
        "state": item.state,
    }
    facts |= {name: item.content[name] for name in ("amount_minor", "currency") if item.content.get(name) is not None}
    audit.record(session, now=now, actor=actor, act=act, subject_type="approval", subject_id=item.id, facts=facts)
    topic = "approval.requested" if item.state == "requested" else "approval.decided"
    payload = facts | {"approval_id": item.id, "maker": item.maker, "checker": item.checker}
    outbox.enqueue(session, now=now, topic=topic, dedup_key=f"{topic}:{item.id}", payload=payload)
    session.flush()  # its keys and checks must speak here


def _watch(session: Session) -> dict[str, Allowed]:
    """What this session has allowed; from now on it cannot commit while any of it is not performed."""
    if _WAITING not in session.info:
        session.info[_WAITING] = {}
        event.listen(session, "before_commit", _refuse_unspent)
    waiting: dict[str, Allowed] = session.info[_WAITING]
    return waiting


def _refuse_unspent(session: Session) -> None:
    left = session.info.get(_WAITING)
    if left:
        raise RuntimeError(f"approved and not performed: {', '.join(sorted(left))}")
