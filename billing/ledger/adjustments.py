"""Credits and debits that operators give by hand: an approved pair of book accounts, an amount, a reason (money.md).

One person asks, a second one approves exactly that pair and amount; only then it is posted. What leaves a book account of the
tenant is never more than stands there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, listing, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.tables import AccountHead
from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.ledger import balances, book, entries, promos
from billing.ledger.entries import Entry
from billing.ledger.errors import AboveHeld
from billing.ledger.tables import LedgerTransaction
from billing.storage import audit
from billing.storage.columns import instants, micros

ACT, SUBJECT = "account.credit", "billing_account"
GIFT = "gift"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One way of giving or taking by hand: the entry's kind and the two book accounts it moves between."""

    code: str
    words: str
    kind: str
    debit: str
    credit: str


PAIRS: dict[str, Pair] = {
    pair.code: pair
    for pair in (
        Pair(code=GIFT, words="Gift", kind="admin_credit", debit="promo_expense", credit="promo"),
        Pair(
            code="wallet_credit",
            words="Credit to the wallet",
            kind="adjustment",
            debit="promo_expense",
            credit="wallet",
        ),
        Pair(code="gift_back", words="Gift taken back", kind="adjustment", debit="promo", credit="promo_expense"),
        Pair(
            code="wallet_debit",
            words="Debit from the wallet",
            kind="adjustment",
            debit="wallet",
            credit="promo_expense",
        ),
    )
}


def request(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    pair_code: str,
    amount: Money,
    maker: str,
    reason: str,
    form_key: str | None = None,
    expires_at: datetime | None = None,
) -> Approval:
    """Ask for a credit or debit of a customer's account; only a gift may expire. Locks its head.

    Raises NotFound for an account that is no customer's, Invalid for an unknown pair, an amount that is not above zero or an
    expiry that has passed or belongs to no gift, AboveHeld, and as `approvals.request`.
    """
    account = listing.get_account(session, account_id)
    if amount.minor <= 0:
        raise Invalid(field="amount", amount_minor=amount.minor, currency=amount.currency, reason="not_positive")
    content = content_of(account.id, pair_code, amount, expires_at)
    promos.require_expiry(expires_at, now=now)
    heads.lock_one(session, account.id)
    require_held(session, account_id=account.id, pair_code=pair_code, amount=amount)
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=account.id,
        content=content,
        maker=maker,
        reason=reason,
        billing_account_id=account.id,
        form_key=form_key,
    )


def get_pair(code: str) -> Pair:
    """The pair of that code. Raises Invalid."""
    if code not in PAIRS:
        raise Invalid(field="pair", value=names.shown(code), reason="unknown_pair")
    return PAIRS[code]


def content_of(account_id: str, pair_code: str, amount: Money, expires_at: datetime | None = None) -> dict[str, Any]:
    """What approval would post, in words of the table above as it is now, and until when a gift may be used (`expires_at_us`).

    Gifts that are taken back are posted as one entry per grant; here they are one. Raises Invalid.
    """
    pair = get_pair(pair_code)
    if expires_at is not None and pair.code != GIFT:
        raise Invalid(field="expires_at", value=expires_at.isoformat(), reason="only_gifts_expire")
    return {
        "account_id": account_id,
        "pair": pair.code,
        "entries": [[pair.kind, pair.debit, pair.credit, amount.minor, amount.currency]],
        "amount_minor": amount.minor,
        "currency": amount.currency,
        **({"expires_at_us": micros(expires_at)} if expires_at is not None else {}),
    }


def expiry_of(content: Mapping[str, Any]) -> datetime | None:
    """Until when the gift of a request's content may be used."""
    stored = content.get("expires_at_us")
    return instants([stored])[0] if isinstance(stored, int) else None


def require_held(session: Session, *, account_id: str, pair_code: str, amount: Money) -> None:
    """Nothing of the tenant's is taken below zero by hand: what they owe comes from documents. Raises AboveHeld, Invalid."""
    pair = get_pair(pair_code)
    if entries.is_house(pair.debit):
        return
    held = balances.of_account(session, account_id, currency=amount.currency)
    minor = max(0, int(getattr(held[0], f"{pair.debit}_minor"))) if held else 0
    if amount.minor > minor:
        raise AboveHeld(
            ledger_account=pair.debit, limit_minor=minor, amount_minor=amount.minor, currency=amount.currency
        )


def adjust(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    pair_code: str,
    amount: Money,
    reason: str,
    allowed: Allowed,
    expires_at: datetime | None = None,
) -> str:
    """Post the credit or debit that a second person allowed; the id of its transaction. A gift becomes a grant, one taken back is
    taken from its grants.

    Locks the account's head. Raises NotAllowed, AboveHeld, GrantSpent, and Invalid for a gift that has expired meanwhile.
    """
    head = heads.lock_one(session, account_id)
    content = content_of(account_id, pair_code, amount, expires_at)
    approvals.spend(session, allowed, act=ACT, subject_id=account_id, content=content)
    pair = get_pair(pair_code)
    require_held(session, account_id=account_id, pair_code=pair_code, amount=amount)
    transaction_id = _post(session, now, head, pair, amount, reason, allowed, expires_at)
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=account_id,
        billing_account_id=account_id,
        facts={
            "pair": pair.code,
            "amount_minor": amount.minor,
            "currency": amount.currency,
            "transaction_id": transaction_id,
            "approval_id": allowed.approval_id,
            "maker": allowed.maker,
        },
    )
    return transaction_id


def find_posted(session: Session, approval_id: str) -> str | None:
    """The id of the ledger transaction that an approved request made, or None."""
    query = select(LedgerTransaction.id).where(
        LedgerTransaction.type.in_({pair.kind for pair in PAIRS.values()}),
        LedgerTransaction.source_type == "approval",
        LedgerTransaction.source_id == approval_id,
    )
    return session.execute(query).scalar_one_or_none()


def _post(
    session: Session,
    now: datetime,
    head: AccountHead,
    pair: Pair,
    amount: Money,
    reason: str,
    allowed: Allowed,
    expires_at: datetime | None,
) -> str:
    detail = {"approval_id": allowed.approval_id}
    if pair.code == GIFT:
        return promos.grant(
            session,
            now=now,
            head=head,
            kind=pair.kind,
            amount=amount,
            reason=reason,
            actor=allowed.checker,
            source_type="approval",
            source_id=allowed.approval_id,
            expires_at=expires_at,
            detail=detail,
        ).transaction_id
    if pair.debit == "promo":
        moved = promos.take_back_entries(session, head.billing_account_id, amount, detail=detail)
    else:
        moved = [Entry(kind=pair.kind, debit=pair.debit, credit=pair.credit, amount=amount, detail=detail)]
    return book.post(
        session,
        now=now,
        head=head,
        type=pair.kind,
        source_type="approval",
        source_id=allowed.approval_id,
        entries=moved,
        occurred_at=now,
        actor=allowed.checker,
        memo=reason,
    ).transaction_id
