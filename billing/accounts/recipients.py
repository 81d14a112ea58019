"""Who gets an account's documents by e-mail beside its people: addresses that whoever reads them has confirmed (IV2).

The confirming link is derived from the row's id and the portal's key. It stays good, so that the same link, in every mail, also
ends what it began.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import heads, links, names
from billing.accounts.errors import AlreadyRecipient, LinkRefused, TooManyRecipients
from billing.accounts.tables import BillingAccount, DocumentRecipient, Seller
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, outbox
from billing.storage.limits import Policy

TOPIC = "recipient.confirmation"
MOST = 20
# How long an address that nobody confirmed can be confirmed; asking again begins anew.
LIFE = timedelta(days=30)
# Mails that a tenant's people can have sent to addresses of their choice.
PER_TENANT = Policy(name="recipient", limit=50, window_s=86_400)


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """An address on an account's list; `verified_at` is None until it was confirmed."""

    id: str
    email: str
    created_at: datetime
    asked_at: datetime
    verified_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a link is about: whose documents, to which address, and whether they are sent there now."""

    id: str
    email: str
    account_name: str
    seller_name: str
    is_verified: bool


def add(session: Session, *, now: datetime, account_id: str, email: str, actor: str) -> str:
    """Put an address on the account's list and ask it to confirm; its id. The mail leaves by the outbox.

    Locks the account's head. Raises Invalid(not_an_address), AlreadyRecipient, TooManyRecipients.
    """
    email = names.require_email(email, "email")
    heads.lock_one(session, account_id)
    listed = list_recipients(session, account_id)
    if any(one.email == email for one in listed):
        raise AlreadyRecipient(email=email)
    if len(listed) >= MOST:
        raise TooManyRecipients(limit=MOST)
    row = DocumentRecipient(
        id=new_id("rcp"),
        billing_account_id=account_id,
        email=email,
        created_by=actor,
        created_at=now,
        asked_at=now,
    )
    session.add(row)
    session.flush()  # the mail's row names it
    _ask(session, row, now=now)
    _record(session, row, now=now, actor=actor, act="recipient.add")
    return row.id


def ask_again(session: Session, *, now: datetime, account_id: str, recipient_id: str, actor: str) -> None:
    """Send the confirming link once more to an address that has not confirmed. Locks the head. Raises NotFound."""
    heads.lock_one(session, account_id)
    row = _get(session, account_id, recipient_id)
    if row.verified_at is not None:
        return
    row.asked_at = now
    _ask(session, row, now=now)
    _record(session, row, now=now, actor=actor, act="recipient.ask_again")


def remove(session: Session, *, now: datetime, account_id: str, recipient_id: str, actor: str) -> None:
    """Take an address off the account's list. Locks the head. Raises NotFound for one that is not on it."""
    heads.lock_one(session, account_id)
    row = _get(session, account_id, recipient_id)
    row.removed_at, row.removed_by = now, actor
    _record(session, row, now=now, actor=actor, act="recipient.remove")


def list_recipients(session: Session, account_id: str) -> list[Recipient]:
    """The account's list, by address."""
    rows = session.scalars(
        select(DocumentRecipient)
        .where(DocumentRecipient.billing_account_id == account_id, DocumentRecipient.removed_at.is_(None))
        .order_by(DocumentRecipient.email)
    )
    return [
        Recipient(
            id=row.id,
            email=row.email,
            created_at=row.created_at,
            asked_at=row.asked_at,
            verified_at=row.verified_at,
        )
        for row in rows
    ]


def get_recipient(session: Session, *, account_id: str, recipient_id: str) -> Recipient:
    """One address of the list. Raises NotFound."""
    for one in list_recipients(session, account_id):
        if one.id == recipient_id:
            return one
    raise NotFound(recipient_id=names.shown(recipient_id))


def find_verified(session: Session, *, account_id: str, email: str) -> str | None:
    """The id of a confirmed address on the account's list."""
    return session.scalars(
        select(DocumentRecipient.id).where(
            DocumentRecipient.billing_account_id == account_id,
            func.lower(DocumentRecipient.email) == email.lower(),
            DocumentRecipient.verified_at.is_not(None),
            DocumentRecipient.removed_at.is_(None),
        )
    ).first()


def read(session: Session, token: str, *, key: bytes, now: datetime) -> Asked:
    """What the link is about. Raises LinkRefused for a link that is not ours, was withdrawn or waited too long."""
    row = session.get(DocumentRecipient, links.read_token(token, key=key))
    if row is None or row.removed_at is not None:
        raise LinkRefused()
    if row.verified_at is None and now >= row.asked_at + LIFE:
        raise LinkRefused()
    account = session.get_one(BillingAccount, row.billing_account_id)
    return Asked(
        id=row.id,
        email=row.email,
        account_name=account.name,
        seller_name=session.get_one(Seller, account.seller_id).legal_name,
        is_verified=row.verified_at is not None,
    )


def confirm(session: Session, token: str, *, key: bytes, now: datetime) -> Asked:
    """Whoever reads the address wants the documents. A second time changes nothing. Locks the head. Raises LinkRefused."""
    asked, row = _locked(session, token, key=key, now=now)
    if row.verified_at is None:
        row.verified_at = now
        _record(session, row, now=now, actor="recipient", act="recipient.confirm")
    return asked


def decline(session: Session, token: str, *, key: bytes, now: datetime) -> Asked:
    """Whoever reads the address wants no documents, or no more. Locks the head. Raises LinkRefused."""
    asked, row = _locked(session, token, key=key, now=now)
    row.removed_at, row.removed_by = now, "recipient"
    _record(session, row, now=now, actor="recipient", act="recipient.decline")
    return asked


def _locked(session: Session, token: str, *, key: bytes, now: datetime) -> tuple[Asked, DocumentRecipient]:
    found = read(session, token, key=key, now=now)
    row = session.get_one(DocumentRecipient, found.id)
    heads.lock_one(session, row.billing_account_id)
    session.refresh(row)
    return read(session, token, key=key, now=now), row


def _get(session: Session, account_id: str, recipient_id: str) -> DocumentRecipient:
    row = session.get(DocumentRecipient, recipient_id, populate_existing=True)
    if row is None or row.billing_account_id != account_id or row.removed_at is not None:
        raise NotFound(recipient_id=names.shown(recipient_id))
    return row


def _ask(session: Session, row: DocumentRecipient, *, now: datetime) -> None:
    outbox.enqueue(
        session,
        now=now,
        topic=TOPIC,
        dedup_key=f"{TOPIC}:{row.id}:{now.isoformat()}",
        payload={"recipient_id": row.id, "link_id": row.id},
        billing_account_id=row.billing_account_id,
    )


def _record(session: Session, row: DocumentRecipient, *, now: datetime, actor: str, act: str) -> None:
    audit.record(
        session,
        now=now,
        actor=actor,
        act=act,
        subject_type="document_recipient",
        subject_id=row.id,
        billing_account_id=row.billing_account_id,
    )
    session.flush()  # the next look must find it
