"""Write-offs: what will not be paid leaves the receivable, or a negative wallet, for bad debt; with the tax part where relief is claimed.

A later payment first undoes it, for the amount received, tax in the same share. What of a write-off still stands is read from the
entries that name it. This module makes entries and performs write-offs of wallets; those of invoices are settled by invoicing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, listing, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.tables import AccountHead
from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.kernel.rounding import largest_remainder
from billing.ledger import balances, book
from billing.ledger.book import Posted
from billing.ledger.entries import Entry
from billing.ledger.errors import AboveHeld
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.storage import audit

ACT, SUBJECT = "wallet.write_off", "billing_account"
NAMED = "write_off"
_KINDS = ("write_off", "write_off_reversal", "adjustment")  # an adjustment that names it has mirrored it
_ENTRIES = cast(Table, LedgerEntry.__table__)


def wallet_key(currency: str) -> str:
    """How entries name the write-off of a wallet."""
    return f"wallet/{currency}"


def split(amount_minor: int, *, net_minor: int, taxes: Mapping[str, int], with_tax: bool) -> dict[str, int]:
    """{ledger account: part} of a gross amount: tax in the share it has of the document (largest remainder), the rest bad debt. Pure.

    `taxes` is {jurisdiction: tax of the document}. Without relief all of it is bad debt.
    """
    if not with_tax:
        return {"bad_debt": amount_minor}
    places = ["bad_debt", *(f"tax:{name}" for name in sorted(taxes))]
    parts = largest_remainder(amount_minor, [max(0, net_minor), *(max(0, taxes[name]) for name in sorted(taxes))])
    return {place: part for place, part in zip(places, parts, strict=True) if part}


def entries_of(
    key: str, *, target: str, parts: Mapping[str, int], currency: str, detail: dict[str, Any]
) -> list[Entry]:
    """The entries that write parts off: bad_debt and tax -> receivable or wallet."""
    return [_entry("write_off", place, target, minor, currency, key, detail) for place, minor in parts.items()]


def undoing_entries(
    session: Session, account_id: str, *, key: str, target: str, amount: Money, detail: dict[str, Any]
) -> list[Entry]:
    """The entries that a payment of that amount undoes first: receivable or wallet -> bad_debt and tax, in the share of what still stands.

    None where nothing of it stands any more. The caller holds the account's head and posts them.
    """
    left = standing(session, account_id, key=key, currency=amount.currency)
    taken = min(amount.minor, sum(left.values()))
    if taken <= 0:
        return []
    places = sorted(left)
    parts = largest_remainder(taken, [left[place] for place in places])
    return [
        _entry("write_off_reversal", target, place, part, amount.currency, key, detail)
        for place, part in zip(places, parts, strict=True)
        if part
    ]


def standing(session: Session, account_id: str, *, key: str, currency: str) -> dict[str, int]:
    """{ledger account: what of the write-off still stands there}, from the entries that name it; both sides of the target by index."""
    left: dict[str, int] = {}
    for target in ("receivable", "wallet"):
        place = f"{account_id}/{target}/{currency}"
        for column, other, sign in (
            (_ENTRIES.c.credit_account_id, _ENTRIES.c.debit_account_id, 1),
            (_ENTRIES.c.debit_account_id, _ENTRIES.c.credit_account_id, -1),
        ):
            rows = session.connection().execute(
                select(other, _ENTRIES.c.amount_minor, _ENTRIES.c.detail).where(
                    column == place,
                    _ENTRIES.c.billing_account_id == account_id,
                    _ENTRIES.c.kind.in_(_KINDS),
                )
            )
            for ledger_account_id, minor, detail in rows:
                if detail.get(NAMED) == key:
                    name = ledger_account_id.rsplit("/", 2)[1]
                    left[name] = left.get(name, 0) + sign * minor
    return {name: minor for name, minor in left.items() if minor}


def request(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    amount: Money,
    maker: str,
    reason: str,
    form_key: str | None = None,
) -> Approval:
    """Ask for the write-off of what an account's wallet is below zero. Locks its head. Raises as `content_of`, `approvals.request`."""
    account = listing.get_account(session, account_id)
    heads.lock_one(session, account.id)
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=account.id,
        content=content_of(session, account.id, amount),
        maker=maker,
        reason=reason,
        billing_account_id=account.id,
        form_key=form_key,
    )


def content_of(session: Session, account_id: str, amount: Money) -> dict[str, Any]:
    """What approval would post. Raises Invalid for an amount that is not above zero, AboveHeld for more than the wallet lacks."""
    if amount.minor <= 0:
        raise Invalid(field="amount", amount_minor=amount.minor, currency=amount.currency, reason="not_positive")
    held = balances.of_account(session, account_id, currency=amount.currency)[0]
    lacking = max(0, -held.wallet_minor)
    if amount.minor > lacking:
        raise AboveHeld(
            ledger_account="wallet", limit_minor=lacking, amount_minor=amount.minor, currency=amount.currency
        )
    return {
        "account_id": account_id,
        "entries": [["write_off", "bad_debt", "wallet", amount.minor, amount.currency]],
        "amount_minor": amount.minor,
        "currency": amount.currency,
    }


def write_off(
    session: Session, *, now: datetime, account_id: str, amount: Money, reason: str, allowed: Allowed
) -> Posted:
    """Post the write-off of a wallet that a second person allowed. Locks the account's head. Raises NotAllowed, AboveHeld."""
    head = heads.lock_one(session, account_id)
    approvals.spend(session, allowed, act=ACT, subject_id=account_id, content=content_of(session, account_id, amount))
    posted = post(
        session,
        now=now,
        head=head,
        source_id=allowed.approval_id,
        moved=entries_of(
            wallet_key(amount.currency),
            target="wallet",
            parts={"bad_debt": amount.minor},
            currency=amount.currency,
            detail={"approval_id": allowed.approval_id},
        ),
        actor=allowed.checker,
        memo=reason,
    )
    _record(session, now, allowed, account_id, amount, posted)
    return posted


def find_posted(session: Session, approval_id: str) -> str | None:
    """The id of the ledger transaction that an approved write-off made, or None."""
    return session.scalar(
        select(LedgerTransaction.id).where(
            LedgerTransaction.type == "write_off",
            LedgerTransaction.source_type == "approval",
            LedgerTransaction.source_id == approval_id,
        )
    )


def undo_for_payment(
    session: Session, *, now: datetime, head: AccountHead, amount: Money, actor: str, source_id: str
) -> int:
    """What a payment into the wallet undoes of the wallet's write-off: wallet -> bad_debt; how much, in minor units.

    The caller holds the head, posts the payment itself and names it by `source_id`; a repeat changes nothing.
    """
    key = wallet_key(amount.currency)
    moved = undoing_entries(
        session, head.billing_account_id, key=key, target="wallet", amount=amount, detail={"payment": source_id}
    )
    if not moved:
        return 0
    post(session, now=now, head=head, source_id=source_id, moved=moved, actor=actor, memo="", is_undone=True)
    return sum(entry.amount.minor for entry in moved)


def post(
    session: Session,
    *,
    now: datetime,
    head: AccountHead,
    source_id: str,
    moved: list[Entry],
    actor: str,
    memo: str,
    is_undone: bool = False,
) -> Posted:
    """One transaction of a write-off (its source is the approval), or of its undoing (its source is the payment)."""
    return book.post(
        session,
        now=now,
        head=head,
        type="write_off_reversal" if is_undone else "write_off",
        source_type="payment" if is_undone else "approval",
        source_id=source_id,
        entries=moved,
        occurred_at=now,
        actor=actor,
        memo=memo,
    )


def _entry(kind: str, debit: str, credit: str, minor: int, currency: str, key: str, detail: dict[str, Any]) -> Entry:
    return Entry(
        kind=kind,
        debit=debit,
        credit=credit,
        amount=Money(minor=minor, currency=currency),
        detail=detail | {NAMED: names.require_name(key, "write_off", max_length=200)},
    )


def _record(session: Session, now: datetime, allowed: Allowed, account_id: str, amount: Money, posted: Posted) -> None:
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=account_id,
        billing_account_id=account_id,
        facts={
            "amount_minor": amount.minor,
            "currency": amount.currency,
            "transaction_id": posted.transaction_id,
            "approval_id": allowed.approval_id,
            "maker": allowed.maker,
        },
    )
