"""Which ledger transactions belong to a movement: found by its key, or by the payment or refund that it is of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.ledger.entries import KINDS
from billing.ledger.tables import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.payments.cash import meanings
from billing.payments.cash.judging import CASH, Books
from billing.payments.cash.tables import BalanceTransaction
from billing.payments.tables import Payment, RefundRequest

SOURCE = "balance_transaction"
# Types of transaction that may stand under a movement's key; named, because the key's index begins with the type.
_TYPES = tuple(sorted({*KINDS, "payment", "refund", "dispute"}))
_UNDER_WAY = ("approved", "sent", "unknown")


@dataclass(kw_only=True)
class Match:
    """What was found of one movement. `parts` is ledger transaction -> whole, fee or conversion; `hold` says why it may wait for ever,
    `lacks` what is missing where nothing was found."""

    parts: dict[str, str] = field(default_factory=dict)
    account_id: str | None = None
    payment_id: str | None = None
    refund_id: str | None = None
    hold: str | None = None
    lacks: str = "unknown_kind"

    @property
    def primary(self) -> str | None:
        """The transaction that explains its amount, if there is one."""
        return next((key for key, part in self.parts.items() if part == "whole"), None)


def key_of(row: BalanceTransaction) -> str:
    """The movement's key in the ledger, as the source id of what is booked from it."""
    return f"{row.provider}:{row.provider_id}"


def find(session: Session, rows: Sequence[BalanceTransaction]) -> dict[str, Match]:
    """Our id of each movement -> what belongs to it. Reads only; a few queries for all of them."""
    found = {row.id: Match() for row in rows}
    _by_key(session, rows, found)
    _by_payment(session, rows, found)
    _by_refund(session, rows, found)
    for row in rows:
        if row.type in meanings.PAID_OUT:
            found[row.id].lacks = "payout_not_booked"
        elif row.type in meanings.RECEIVED:
            found[row.id].lacks = "no_payment"
        elif row.dispute_ref is not None:
            found[row.id].lacks = "dispute_not_booked"
    return found


def books_of(session: Session, matches: Iterable[Match]) -> dict[str, dict[str, int]]:
    """Ledger transaction -> {currency: by how much cash:stripe rose}, of all that belong to these."""
    ids = sorted({key for match in matches for key in match.parts})
    return cash_moved(session, ids)


def cash_moved(session: Session, transaction_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Ledger transaction -> {currency: by how much cash:stripe rose}."""
    cash = select(LedgerAccount.id).where(LedgerAccount.name == CASH)
    is_debit, is_credit = LedgerEntry.debit_account_id.in_(cash), LedgerEntry.credit_account_id.in_(cash)
    statement = (
        select(
            LedgerEntry.transaction_id,
            LedgerEntry.currency,
            func.sum(case((is_debit, LedgerEntry.amount_minor), else_=-LedgerEntry.amount_minor)),
        )
        .where(LedgerEntry.transaction_id.in_(transaction_ids), or_(is_debit, is_credit))
        .group_by(LedgerEntry.transaction_id, LedgerEntry.currency)
    )
    moved: dict[str, dict[str, int]] = {key: {} for key in transaction_ids}
    for transaction_id, currency, minor in session.execute(statement):
        if minor:
            moved[transaction_id][currency] = int(minor)
    return moved


def books(match: Match, moved: dict[str, dict[str, int]]) -> Books:
    """What the ledger says of one movement, its parts summed."""
    sums: dict[str, dict[str, int]] = {"whole": {}, "fee": {}, "conversion": {}}
    for key, part in match.parts.items():
        for currency, minor in moved.get(key, {}).items():
            sums[part][currency] = sums[part].get(currency, 0) + minor
    whole, fee, conversion = ({c: m for c, m in own.items() if m} for own in sums.values())
    return Books(primary=whole, fee=fee, conversion=conversion)


def seller_of(session: Session, match: Match, row: BalanceTransaction) -> str | None:
    """Whose money it is: the seller of the account it belongs to, else the only one that holds cash there, or None."""
    if match.account_id is not None:
        return session.execute(
            select(BillingAccount.seller_id).where(BillingAccount.id == match.account_id)
        ).scalar_one()
    holders = session.execute(
        select(LedgerAccount.seller_id)
        .where(LedgerAccount.name == CASH, LedgerAccount.currency.in_((row.currency, row.presented_currency)))
        .distinct()
        .limit(2)
    ).scalars()
    found = list(holders)
    return found[0] if len(found) == 1 else None


def _by_key(session: Session, rows: Sequence[BalanceTransaction], found: dict[str, Match]) -> None:
    by_key = {key_of(row): row for row in rows}
    statement = select(
        LedgerTransaction.id, LedgerTransaction.type, LedgerTransaction.source_id, LedgerTransaction.billing_account_id
    ).where(
        LedgerTransaction.type.in_(_TYPES),
        LedgerTransaction.source_type == SOURCE,
        LedgerTransaction.source_id.in_(list(by_key)),
    )
    for transaction_id, type, source_id, account_id in session.execute(statement):
        row = by_key[source_id]
        match = found[row.id]
        match.parts[transaction_id] = _part_of(type, row)
        if match.parts[transaction_id] == "whole":
            match.account_id = account_id


def _part_of(type: str, row: BalanceTransaction) -> str:
    if type == "fx_provider":
        return "conversion"
    is_fee = type in ("processor_fee", "dispute_fee") and row.type not in (
        "stripe_fee",
        "stripe_fx_fee",
        "network_cost",
    )
    return "fee" if is_fee else "whole"


def _by_payment(session: Session, rows: Sequence[BalanceTransaction], found: dict[str, Match]) -> None:
    refs = {row.payment_ref for row in rows if row.payment_ref is not None}
    if not refs:
        return
    payments = {
        (payment.provider, payment.provider_payment_id): payment
        for payment in session.execute(select(Payment).where(Payment.provider_payment_id.in_(refs))).scalars()
    }
    for row in rows:
        match, payment = found[row.id], payments.get((row.provider, row.payment_ref or ""))
        if payment is None:
            continue
        match.payment_id, match.account_id = payment.id, payment.billing_account_id
        if row.type in meanings.RECEIVED and match.primary is None:
            match.parts[payment.transaction_id] = "whole"


def _by_refund(session: Session, rows: Sequence[BalanceTransaction], found: dict[str, Match]) -> None:
    wanted = [row for row in rows if row.type in meanings.RETURNED | meanings.RETURN_FAILED]
    refs = {row.refund_ref for row in wanted if row.refund_ref is not None}
    if not refs:
        return
    statement = (
        select(RefundRequest.id, RefundRequest.state, RefundRequest.provider_refund_id, Payment.provider)
        .join(Payment, Payment.id == RefundRequest.payment_id)
        .where(RefundRequest.provider_refund_id.in_(refs))
    )
    requests = {(row.provider, row.provider_refund_id): row for row in session.execute(statement)}
    posted = _posted_by_request(session, [row.id for row in requests.values()])
    for row in wanted:
        match, request = found[row.id], requests.get((row.provider, row.refund_ref))
        match.lacks = "no_refund" if request is None else "refund_not_booked"
        if request is None:
            continue
        match.refund_id = request.id
        type = "provider_refund" if row.type in meanings.RETURNED else "refund_return"
        transaction_id = posted.get((type, request.id))
        if match.primary is None and transaction_id is not None:
            match.parts[transaction_id] = "whole"
        if match.primary is None and request.state in _UNDER_WAY:
            match.hold = "refund_under_way"


def _posted_by_request(session: Session, refund_ids: list[str]) -> dict[tuple[str, str], str]:
    """(type, refund request) -> ledger transaction, of refunds that were booked under our own request."""
    statement = select(LedgerTransaction.type, LedgerTransaction.source_id, LedgerTransaction.id).where(
        LedgerTransaction.type.in_(("provider_refund", "refund_return")),
        LedgerTransaction.source_type == "refund_request",
        LedgerTransaction.source_id.in_(refund_ids),
    )
    return {(type, source_id): transaction_id for type, source_id, transaction_id in session.execute(statement)}
