"""Commitments: an amount paid in advance and drawn down by what is charged while it runs. What is left of one is not kept here: it
is read from the ledger's entries that name it (`invoicing.contracts`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import currencies, heads, names
from billing.accounts.tables import BillingAccount
from billing.catalog.errors import CommitmentOverlaps
from billing.catalog.tables import CommitContract, Sku
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import MAX_MINOR, Money
from billing.storage import audit

LONGEST = timedelta(days=3660)


def create(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    name: str,
    amount: Money,
    starts_at: datetime,
    ends_at: datetime,
    families: Sequence[str] = (),
    actor: str,
) -> CommitContract:
    """A commitment of `amount` (net) that charges of these families ([]: all) draw down while it runs, not yet sold.

    The same again gives the same one. Locks the account's head. Raises NotFound for the account, Invalid for another currency than
    its invoices', which draw it down, a naive time, a term that ends before it starts, has passed or lasts over ten years, a family that nothing is
    sold under; CommitmentOverlaps where another commitment of the account runs at the same time for one of the families.
    """
    heads.lock_one(session, account_id)
    account = session.get(BillingAccount, account_id)
    if account is None:
        raise NotFound(account_id=account_id)
    expected = currencies.invoice_currency_of(account)
    if amount.currency != expected:
        raise Invalid(field="currency", value=amount.currency, expected=expected, reason="other_currency")
    if not 0 < amount.minor <= MAX_MINOR:
        raise Invalid(field="amount", amount_minor=amount.minor, currency=amount.currency, reason="not_positive")
    starts_at, ends_at = require_utc(starts_at, "starts_at"), require_utc(ends_at, "ends_at")
    _require_term(starts_at, ends_at, now)
    name = names.require_name(" ".join(name.split()))
    wanted = _families(session, families)
    for other in list_contracts(session, account_id):
        if is_withdrawn(other) or other.starts_at >= ends_at or other.ends_at <= starts_at:
            continue
        same = (name, amount.minor, wanted, starts_at, ends_at)
        if (other.name, other.amount_minor, other.families, other.starts_at, other.ends_at) == same:
            return other
        if not wanted or not other.families or set(wanted) & set(other.families):
            raise CommitmentOverlaps(
                contract_id=other.id, name=other.name, starts_at=to_rfc3339(other.starts_at),
                ends_at=to_rfc3339(other.ends_at),
            )  # fmt: skip
    contract = CommitContract(
        id=new_id("cmt"),
        billing_account_id=account_id,
        name=name,
        currency=amount.currency,
        amount_minor=amount.minor,
        families=wanted,
        starts_at=starts_at,
        ends_at=ends_at,
        actor=actor,
        created_at=now,
    )
    session.add(contract)
    facts = {"amount_minor": amount.minor, "currency": amount.currency, "families": wanted}
    facts |= {"starts_at": to_rfc3339(starts_at), "ends_at": to_rfc3339(ends_at)}
    _record(session, contract, now=now, actor=actor, act="create", facts=facts)
    session.flush()  # its sale is drafted in the same act
    return contract


def withdraw(session: Session, *, now: datetime, contract_id: str, actor: str) -> CommitContract:
    """Take back a commitment whose sale was never issued, so that its time is free again. Locks the account's head.

    The same again changes nothing. Raises NotFound, and Conflict(reason="commitment_sold") once a sale is drafted.
    """
    contract = get(session, contract_id)
    heads.lock_one(session, contract.billing_account_id)
    session.refresh(contract)
    if contract.sale_invoice_id is not None:
        raise Conflict(contract_id=contract.id, invoice_id=contract.sale_invoice_id, reason="commitment_sold")
    if contract.lapsed_at is None:
        contract.lapsed_at = now
        _record(session, contract, now=now, actor=actor, act="withdraw", facts={})
        session.flush()  # the next one asks whether its time is free
    return contract


def is_withdrawn(contract: CommitContract) -> bool:
    """Whether it was taken back before it was sold."""
    return contract.lapsed_at is not None and contract.sale_invoice_id is None


def get(session: Session, contract_id: str, *, account_id: str | None = None) -> CommitContract:
    """The commitment of that id, narrowed to an account where one is named. Raises NotFound."""
    contract = session.get(CommitContract, contract_id)
    if contract is None or account_id not in (None, contract.billing_account_id):
        raise NotFound(contract_id=contract_id[:60])
    return contract


def list_contracts(session: Session, account_id: str | None = None) -> Sequence[CommitContract]:
    """All commitments, or one account's, in the order in which they are drawn down: earliest end first."""
    statement = select(CommitContract).order_by(CommitContract.ends_at, CommitContract.starts_at, CommitContract.id)
    if account_id is not None:
        statement = statement.where(CommitContract.billing_account_id == account_id)
    return session.scalars(statement).all()


def _require_term(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    if ends_at <= starts_at:
        raise Invalid(field="ends_at", value=to_rfc3339(ends_at), reason="ends_before_start")
    if ends_at <= now:
        raise Invalid(field="ends_at", value=to_rfc3339(ends_at), reason="in_the_past")
    if ends_at - starts_at > LONGEST:
        raise Invalid(field="ends_at", value=to_rfc3339(ends_at), limit=LONGEST.days, reason="term_too_long")


def _families(session: Session, families: Sequence[str]) -> list[str]:
    known = set(session.scalars(select(Sku.family).distinct()))
    for family in families:
        if family not in known:
            raise Invalid(field="families", value=names.shown(family), reason="unknown_family")
    return sorted(set(families))


def _record(
    session: Session, contract: CommitContract, *, now: datetime, actor: str, act: str, facts: dict[str, object]
) -> None:
    audit.record(
        session,
        now=now,
        actor=actor,
        act=f"commitment.{act}",
        subject_type="commitment",
        subject_id=contract.id,
        billing_account_id=contract.billing_account_id,
        facts=facts,
    )
