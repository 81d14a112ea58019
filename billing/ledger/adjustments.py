"""Credits and debits that operators give by hand: an approved pair of book accounts, an amount, a reason (money.md).

One person asks, a second one approves exactly that pair and amount; only then it is posted. What leaves a book account of the
tenant is never more than stands there.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, listing, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.ledger import balances, book, entries
from billing.ledger.book import Posted
from billing.ledger.entries import Entry
from billing.ledger.errors import AboveHeld
from billing.ledger.tables import LedgerTransaction
from billing.storage import audit

ACT, SUBJECT = "account.credit", "billing_account"


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
        Pair(code="gift", words="Gift", kind="admin_credit", debit="promo_expense", credit="promo"),
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
) -> Approval:
    """Ask for a credit or debit of a customer's account. Locks its head.

    Raises NotFound for an account that is no customer's, Invalid for an unknown pair or an amount that is not above zero, AboveHeld,
    and as `approvals.request`.
    """
    account = listing.get_account(session, account_id)
    if amount.minor <= 0:
        raise Invalid(field="amount", amount_minor=amount.minor, currency=amount.currency, reason="not_positive")
    heads.lock_one(session, account.id)
    require_held(session, account_id=account.id, pair_code=pair_code, amount=amount)
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=account.id,
        content=content_of(account.id, pair_code, amount),
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


def content_of(account_id: str, pair_code: str, amount: Money) -> dict[str, Any]:
    """What approval would post: one entry, in words of the table above as it is now."""
    pair = get_pair(pair_code)
    return {
        "account_id": account_id,
        "pair": pair.code,
        "entries": [[pair.kind, pair.debit, pair.credit, amount.minor, amount.currency]],
        "amount_minor": amount.minor,
        "currency": amount.currency,
    }


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
) -> Posted:
    """Post the credit or debit that a second person allowed. Locks the account's head. Raises NotAllowed, AboveHeld."""
    head = heads.lock_one(session, account_id)
    content = content_of(account_id, pair_code, amount)
    approvals.spend(session, allowed, act=ACT, subject_id=account_id, content=content)
    pair = get_pair(pair_code)
    require_held(session, account_id=account_id, pair_code=pair_code, amount=amount)
    detail = {"approval_id": allowed.approval_id}
    posted = book.post(
        session,
        now=now,
        head=head,
        type=pair.kind,
        source_type="approval",
        source_id=allowed.approval_id,
        entries=[Entry(kind=pair.kind, debit=pair.debit, credit=pair.credit, amount=amount, detail=detail)],
        occurred_at=now,
        actor=allowed.checker,
        memo=reason,
    )
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
            "transaction_id": posted.transaction_id,
            "approval_id": allowed.approval_id,
            "maker": allowed.maker,
        },
    )
    return posted


def find_posted(session: Session, approval_id: str) -> str | None:
    """The id of the ledger transaction that an approved request made, or None."""
    query = select(LedgerTransaction.id).where(
        LedgerTransaction.type.in_({pair.kind for pair in PAIRS.values()}),
        LedgerTransaction.source_type == "approval",
        LedgerTransaction.source_id == approval_id,
    )
    return session.execute(query).scalar_one_or_none()
