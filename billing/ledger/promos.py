"""Promo grants: money given, not paid. Each has an amount, an expiry and a reason; what is left of it is read from the entries
that name it, so nothing can be used twice and nothing is kept that could go stale (Law 5).

Whoever uses, returns or ends a grant holds the head of its account locked and asks what is left under that lock.

A gift that was posted before there were grants (0.2.0) names none: it counts in the balance, and no document can use it, for nothing
says until when it holds. Its transaction is reversed and the gift given anew, with an end of its own; both need two people.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from billing.accounts import heads, names
from billing.accounts.tables import AccountHead
from billing.kernel.errors import Invalid
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger import balances, book
from billing.ledger.book import Posted
from billing.ledger.entries import Entry
from billing.ledger.errors import GrantSpent
from billing.ledger.tables import LedgerEntry, LedgerTransaction, PromoGrant
from billing.storage import audit
from billing.storage.columns import micros

KINDS = ("admin_credit", "promo_grant")
REASON_MAX = 500
_ENTRIES = cast(Table, LedgerEntry.__table__)


@dataclass(frozen=True, kw_only=True)
class GrantRow:
    """A grant and what became of it, in minor units: `used` at issue (less what came back), `expired`, `taken_back` by hand.

    amount = remaining + used + expired + taken_back, which is checked when it is built.
    """

    id: str
    kind: str
    currency: str
    amount_minor: int
    remaining_minor: int
    used_minor: int
    expired_minor: int
    taken_back_minor: int
    expires_at: datetime | None
    reason: str
    transaction_id: str
    granted_at: datetime

    def __post_init__(self) -> None:
        if self.amount_minor != self.remaining_minor + self.used_minor + self.expired_minor + self.taken_back_minor:
            raise ValueError(f"the entries of grant {self.id} do not add up to its amount")

    def is_expired(self, at: datetime) -> bool:
        """Whether it may no longer be used at that instant."""
        return self.expires_at is not None and self.expires_at <= at


@dataclass(frozen=True, kw_only=True)
class Use:
    """A part of one grant, above zero, in minor units of the grant's currency."""

    grant_id: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class Granted:
    """A grant as it was posted; `is_new` is False when the same was given before."""

    grant_id: str
    transaction_id: str
    is_new: bool


def grant(
    session: Session,
    *,
    now: datetime,
    head: AccountHead,
    kind: str,
    amount: Money,
    reason: str,
    actor: str,
    source_type: str,
    source_id: str,
    expires_at: datetime | None = None,
    detail: dict[str, Any] | None = None,
) -> Granted:
    """Give an account promo money: promo_expense -> promo, once per (kind, source_type, source_id). `head` is held locked.

    `kind` is `admin_credit` (an operator's gift) or `promo_grant` (a plan's or a campaign's). `reason` is free text that the
    tenant reads. Raises Invalid for an amount that is not above zero, an expiry that has passed or an empty reason, and
    LedgerConflict for other content under the same source.
    """
    if kind not in KINDS:
        raise Invalid(field="kind", value=names.shown(kind), reason="unknown_kind")
    if amount.minor <= 0:
        raise Invalid(field="amount", amount_minor=amount.minor, currency=amount.currency, reason="not_positive")
    reason = names.require_name(" ".join(reason.split()), "reason", max_length=REASON_MAX)
    known = _find_by_source(session, kind, source_type, source_id)
    if known is None:
        require_expiry(expires_at, now=now)
    grant_id = known or new_id("grt")
    posted = book.post(
        session,
        now=now,
        head=head,
        type=kind,
        source_type=source_type,
        source_id=source_id,
        entries=[
            Entry(
                kind=kind,
                debit="promo_expense",
                credit="promo",
                amount=amount,
                # The expiry is money's too: it stands in the chain with the amount.
                detail=(detail or {})
                | {"grant_id": grant_id}
                | ({"expires_micros": micros(expires_at)} if expires_at is not None else {}),
            )
        ],
        occurred_at=now,
        actor=actor,
        memo=reason,
    )
    if posted.is_new:
        session.add(
            PromoGrant(
                id=grant_id,
                billing_account_id=head.billing_account_id,
                kind=kind,
                currency=amount.currency,
                amount_minor=amount.minor,
                expires_at=expires_at,
                reason=reason,
                transaction_id=posted.transaction_id,
                granted_at=now,
            )
        )
        session.flush()  # entries that use it follow in the same transaction
    return Granted(grant_id=grant_id, transaction_id=posted.transaction_id, is_new=posted.is_new)


def require_expiry(expires_at: datetime | None, *, now: datetime) -> None:
    """A gift that has ended when it is given is none. Raises Invalid(field="expires_at")."""
    if expires_at is not None and expires_at <= now:
        raise Invalid(field="expires_at", value=expires_at.isoformat(), reason="in_the_past")


def list_grants(session: Session, account_id: str, *, currency: str | None = None) -> list[GrantRow]:
    """Every grant of the account with what is left of it, in the order in which they are used: earliest expiry first."""
    query = select(PromoGrant).where(PromoGrant.billing_account_id == account_id)
    if currency is not None:
        query = query.where(PromoGrant.currency == currency)
    rows = session.scalars(query).all()
    moved = _moved(session, account_id, {row.currency for row in rows})
    found = [_row(row, moved.get(row.id, {})) for row in rows]
    return sorted(found, key=lambda row: (row.expires_at is None, row.expires_at or row.granted_at, row.id))


def list_usable(session: Session, account_id: str, currency: str, *, at: datetime) -> list[GrantRow]:
    """Grants of which something is left and that have not expired at the instant, earliest expiry first."""
    return [
        row
        for row in list_grants(session, account_id, currency=currency)
        if row.remaining_minor > 0 and not row.is_expired(at)
    ]


def split(grants: Iterable[GrantRow], amount_minor: int) -> list[Use]:
    """The parts of these grants, in their order, that make up the amount or as much of it as there is. Pure."""
    uses, rest = [], max(0, amount_minor)
    for row in grants:
        part = min(rest, row.remaining_minor)
        if part > 0:
            uses.append(Use(grant_id=row.id, amount_minor=part))
            rest -= part
    return uses


def apply_entries(
    session: Session,
    *,
    now: datetime,
    head: AccountHead,
    currency: str,
    uses: Sequence[Use],
    detail: dict[str, Any] | None = None,
) -> list[Entry]:
    """Entries that use these parts at issue: promo -> unbilled (BG-20), each naming its grant; the caller posts them.

    `head` is held locked, so that two documents cannot use the same cent. Raises GrantSpent where less is left of a grant, or it
    has expired or is none of this account's and currency's.
    """
    usable = {row.id: row for row in list_usable(session, head.billing_account_id, currency, at=now)}
    wanted: dict[str, int] = {}
    for use in uses:
        wanted[use.grant_id] = wanted.get(use.grant_id, 0) + use.amount_minor
    for grant_id, minor in wanted.items():
        left = usable[grant_id].remaining_minor if grant_id in usable else 0
        if minor > left:
            raise GrantSpent(grant_id=grant_id, amount_minor=minor, limit_minor=left, currency=currency)
    return [_entry("promo_apply", "promo", "unbilled", use, currency, detail) for use in uses]


def return_entries(
    *, revenue: str, currency: str, uses: Sequence[Use], detail: dict[str, Any] | None = None
) -> list[Entry]:
    """Entries that give back to its grant what a credited document had used: revenue -> promo; `revenue` is `revenue:{family}`.

    What comes back to a grant that has expired meanwhile expires at the next run of the job.
    """
    return [_entry("promo_return", revenue, "promo", use, currency, detail) for use in uses]


def take_back_entries(
    session: Session, account_id: str, amount: Money, *, detail: dict[str, Any] | None = None
) -> list[Entry]:
    """Entries by which a gift is taken back by hand: promo -> promo_expense, the grant that would have lasted longest first.

    The caller holds the account's head and posts them. Raises GrantSpent above what is left of all of them.
    """
    rows = [row for row in list_grants(session, account_id, currency=amount.currency) if row.remaining_minor > 0]
    uses = split(reversed(rows), amount.minor)
    left = sum(row.remaining_minor for row in rows)
    if left < amount.minor:
        raise GrantSpent(amount_minor=amount.minor, limit_minor=left, currency=amount.currency)
    return [_entry("adjustment", "promo", "promo_expense", use, amount.currency, detail) for use in uses]


def accounts_with_expired(session: Session, *, now: datetime) -> list[str]:
    """Accounts that hold promo money and a grant whose time is over."""
    ids = session.scalars(
        select(PromoGrant.billing_account_id)
        .where(PromoGrant.expires_at <= now)
        .distinct()
        .order_by("billing_account_id")
    ).all()
    held = balances.of_accounts(session, ids) if ids else {}
    return [account_id for account_id in ids if any(one.promo_minor > 0 for one in held.get(account_id, ()))]


def expire(session: Session, *, now: datetime, account_id: str, actor: str = "job:gifts") -> int:
    """End what is left of the account's expired grants: promo -> promo_expense, one transaction per grant; how many.

    Locks the account's head. Running it again, or twice at once, changes nothing.
    """
    head = heads.lock_one(session, account_id)
    ended = 0
    for row in list_grants(session, account_id):
        if row.remaining_minor <= 0 or not row.is_expired(now) or row.expires_at is None:
            continue
        posted = _post_expiry(session, now, head, row, row.expires_at, actor)
        ended += posted.is_new
        audit.record(
            session,
            now=now,
            actor=actor,
            act="promo.expire",
            subject_type="promo_grant",
            subject_id=row.id,
            billing_account_id=account_id,
            facts={
                "amount_minor": row.remaining_minor,
                "currency": row.currency,
                "transaction_id": posted.transaction_id,
            },
        )
    return ended


def remaining_of(session: Session, account_id: str, grant_ids: Iterable[str]) -> dict[str, int]:
    """{grant: what is left of it in minor units} of those of the account's grants."""
    wanted = set(grant_ids)
    return {row.id: row.remaining_minor for row in list_grants(session, account_id) if row.id in wanted}


def _post_expiry(
    session: Session, now: datetime, head: AccountHead, row: GrantRow, expired_at: datetime, actor: str
) -> Posted:
    # What came back from a credited document after the grant had expired expires again: the amount so far tells the two apart.
    use = Use(grant_id=row.id, amount_minor=row.remaining_minor)
    return book.post(
        session,
        now=now,
        head=head,
        type="promo_expiry",
        source_type="promo_grant",
        source_id=f"{row.id}/{row.expired_minor}",
        entries=[_entry("promo_expiry", "promo", "promo_expense", use, row.currency, None)],
        occurred_at=max(expired_at, row.granted_at),
        actor=actor,
        memo=row.reason,
    )


def _entry(kind: str, debit: str, credit: str, use: Use, currency: str, detail: dict[str, Any] | None) -> Entry:
    return Entry(
        kind=kind,
        debit=debit,
        credit=credit,
        amount=Money(minor=use.amount_minor, currency=currency),
        detail=(detail or {}) | {"grant_id": use.grant_id},
    )


def _find_by_source(session: Session, kind: str, source_type: str, source_id: str) -> str | None:
    return session.scalar(
        select(PromoGrant.id)
        .join(LedgerTransaction, LedgerTransaction.id == PromoGrant.transaction_id)
        .where(
            LedgerTransaction.type == kind,
            LedgerTransaction.source_type == source_type,
            LedgerTransaction.source_id == source_id,
        )
    )


def _moved(session: Session, account_id: str, currencies: Iterable[str]) -> dict[str, dict[str, int]]:
    """{grant: {entry kind: credits - debits on promo}} from the entries of the account's promo accounts, both sides by index."""
    moved: dict[str, dict[str, int]] = {}
    for currency in sorted(currencies):
        place = f"{account_id}/promo/{currency}"
        for column, sign in ((_ENTRIES.c.credit_account_id, 1), (_ENTRIES.c.debit_account_id, -1)):
            rows = session.connection().execute(
                select(_ENTRIES.c.kind, _ENTRIES.c.amount_minor, _ENTRIES.c.detail).where(
                    column == place, _ENTRIES.c.billing_account_id == account_id
                )
            )
            for kind, minor, detail in rows:
                own = moved.setdefault(str(detail.get("grant_id", "")), {})
                own[kind] = own.get(kind, 0) + sign * minor
    return moved


def _row(row: PromoGrant, moved: dict[str, int]) -> GrantRow:
    return GrantRow(
        id=row.id,
        kind=row.kind,
        currency=row.currency,
        amount_minor=row.amount_minor,
        remaining_minor=sum(moved.values()),
        used_minor=-moved.get("promo_apply", 0) - moved.get("promo_return", 0),
        expired_minor=-moved.get("promo_expiry", 0),
        taken_back_minor=-moved.get("adjustment", 0),
        expires_at=row.expires_at,
        reason=row.reason,
        transaction_id=row.transaction_id,
        granted_at=row.granted_at,
    )
