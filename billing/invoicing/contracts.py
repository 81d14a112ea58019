"""Commitments in the books: what was sold, drawn down, given back, credited and lapsed, read from the ledger's entries that name
each contract (Law 5), so that nothing is kept that could go stale and nothing can be drawn twice.

Whoever draws down, credits or ends a contract holds the head of its account locked and asks what is left under that lock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.catalog import commitments
from billing.catalog.tables import CommitContract, Sku
from billing.invoicing import deductions
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.rating.tables import BillingPeriod, Charge
from billing.storage import audit

State = Literal["planned", "for_sale", "upcoming", "active", "used_up", "ended", "lapsed", "withdrawn"]

_ENTRIES = cast(Table, LedgerEntry.__table__)


@dataclass(frozen=True, kw_only=True)
class ContractRow:
    """A commitment with what became of it, net, in minor units. sold = left + drawn + credited + lapsed once it is sold.

    `drawn` is less what credited invoices gave back. `sale_number` is None until the sale is issued.
    """

    id: str
    account_id: str
    name: str
    currency: str
    amount_minor: int
    families: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    state: State
    sale_invoice_id: str | None
    sale_number: str | None
    sold_minor: int
    left_minor: int
    drawn_minor: int
    credited_minor: int
    lapsed_minor: int
    actor: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One entry that moved a commitment; `amount_minor` is signed: below zero where less is left after it."""

    kind: str
    amount_minor: int
    recorded_at: datetime
    transaction_id: str
    invoice_id: str | None
    invoice_number: str | None


def list_rows(session: Session, *, now: datetime, account_id: str) -> list[ContractRow]:
    """Every commitment of the account as it stands, earliest end first."""
    contracts = commitments.list_contracts(session, account_id)
    moved = _moved(session, account_id, {contract.currency for contract in contracts})
    numbers = _sale_numbers(session, contracts)
    return [_row(contract, moved.get(contract.id, {}), numbers.get(contract.id), now) for contract in contracts]


def get_row(session: Session, *, now: datetime, contract_id: str, account_id: str | None = None) -> ContractRow:
    """One commitment as it stands. Raises NotFound."""
    contract = commitments.get(session, contract_id, account_id=account_id)
    rows = list_rows(session, now=now, account_id=contract.billing_account_id)
    return next(row for row in rows if row.id == contract.id)


def history(session: Session, contract_id: str) -> list[Movement]:
    """Every entry that moved the commitment, oldest first: sale, drawdowns, credits, lapse. Raises NotFound."""
    contract = commitments.get(session, contract_id)
    place = _place(contract.billing_account_id, contract.currency)
    found = []
    for column, sign in ((_ENTRIES.c.credit_account_id, 1), (_ENTRIES.c.debit_account_id, -1)):
        rows = session.execute(
            select(
                _ENTRIES.c.chain_seq, _ENTRIES.c.seq, _ENTRIES.c.kind, _ENTRIES.c.amount_minor, _ENTRIES.c.detail,
                LedgerTransaction.id, LedgerTransaction.recorded_at,
            )
            .join(LedgerTransaction, LedgerTransaction.id == _ENTRIES.c.transaction_id)
            .where(column == place, _ENTRIES.c.billing_account_id == contract.billing_account_id)
        )  # fmt: skip
        found += [
            (row.chain_seq, row.seq, sign * row.amount_minor, row) for row in rows if _names(row.detail, contract)
        ]
    found.sort(key=lambda each: each[:2])
    ids = {str(row.detail.get("invoice") or row.detail.get("credit_note") or "") for *_, row in found}
    headers = session.execute(select(InvoiceHeader.id, InvoiceHeader.number).where(InvoiceHeader.id.in_(ids)))
    numbers: dict[str, str | None] = dict(headers.all())
    return [
        Movement(
            kind=row.kind,
            amount_minor=amount,
            recorded_at=row.recorded_at,
            transaction_id=row.id,
            invoice_id=(document := row.detail.get("invoice") or row.detail.get("credit_note")),
            invoice_number=numbers.get(str(document)),
        )
        for _, _, amount, row in found
    ]


def left_minor(session: Session, contract: CommitContract) -> int:
    """What is left of a commitment, net, in minor units; 0 before it is sold. To act on it hold the account's head locked."""
    moved = _moved(session, contract.billing_account_id, {contract.currency})
    return sum(moved.get(contract.id, {}).values())


def all_left(session: Session, account_id: str) -> list[tuple[CommitContract, int]]:
    """Every commitment of the account with what is left of it, net, in minor units."""
    found = commitments.list_contracts(session, account_id)
    moved = _moved(session, account_id, {contract.currency for contract in found})
    return [(contract, sum(moved.get(contract.id, {}).values())) for contract in found]


def drawable(
    session: Session,
    *,
    account_id: str,
    currency: str,
    period_labels: Iterable[str],
    returning: Mapping[str, int] | None = None,
) -> list[deductions.Commitment]:
    """Sold commitments of which something is left, for charges of those of the periods in which they run, earliest end first.

    `returning` is what an invoice is about to give back, by contract, as if it had.
    """
    contracts = [one for one in commitments.list_contracts(session, account_id) if one.currency == currency]
    if not contracts:
        return []
    moved = _moved(session, account_id, {currency})
    numbers = _sale_numbers(session, contracts)
    periods = session.scalars(
        select(BillingPeriod).where(
            BillingPeriod.billing_account_id == account_id, BillingPeriod.label.in_(set(period_labels))
        )
    ).all()
    found = []
    for contract in contracts:
        left = sum(moved.get(contract.id, {}).values()) + (returning or {}).get(contract.id, 0)
        labels = frozenset(one.label for one in periods if _runs_in(contract, one))
        number = numbers.get(contract.id)
        if left > 0 and labels and number is not None:
            found.append(
                deductions.Commitment(
                    contract_id=contract.id,
                    name=contract.name,
                    sale_number=number,
                    families=tuple(contract.families),
                    period_labels=labels,
                    left_minor=left,
                )
            )
    return found


def covered_minor(session: Session, *, account_id: str, currency: str) -> int:
    """The sum of `covered`."""
    return sum(covered(session, account_id=account_id, currency=currency).values())


def covered(session: Session, *, account_id: str, currency: str) -> dict[str, int]:
    """{contract: minor units}: what sold commitments would take off all that is charged and not invoiced, net, in minor units: never more than is left of them.

    Money paid in advance for other families or another time covers nothing. To act on it hold the account's head locked.
    """
    rows = session.execute(
        select(Sku.family, BillingPeriod.label, func.sum(Charge.posted_minor))
        .join(Charge, Charge.sku_code == Sku.code)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .outerjoin(InvoiceHeader, (InvoiceHeader.id == Charge.draft_id) & (InvoiceHeader.state == "issued"))
        .where(Charge.billing_account_id == account_id, Charge.currency == currency, InvoiceHeader.id.is_(None))
        .group_by(Sku.family, BillingPeriod.label)
    )
    charged = {(family, label): int(minor) for family, label, minor in rows}
    running = drawable(session, account_id=account_id, currency=currency, period_labels={label for _, label in charged})
    return deductions.covered(charged, running, currency=currency)


def drawdown_entries(drawn: Mapping[str, int], *, currency: str, invoice_id: str) -> list[Entry]:
    """Entries of drawdowns at issue, {contract: minor units}: deferred -> unbilled, each naming its contract."""
    return [
        _entry("commit_drawdown", "deferred", "unbilled", minor, currency, contract_id, invoice=invoice_id)
        for contract_id, minor in drawn.items()
    ]


def accounts_to_lapse(session: Session, *, now: datetime) -> list[str]:
    """Accounts with a sold commitment whose time is over and that has not lapsed, or got something back after it had."""
    ended = session.scalars(
        select(CommitContract).where(CommitContract.ends_at <= now, CommitContract.sale_invoice_id.is_not(None))
    ).all()
    waiting = {one.billing_account_id for one in ended if one.lapsed_at is None}
    for account_id in sorted({one.billing_account_id for one in ended} - waiting):
        own = [one for one in ended if one.billing_account_id == account_id]
        moved = _moved(session, account_id, {one.currency for one in own})
        if any(sum(moved.get(one.id, {}).values()) > 0 for one in own):
            waiting.add(account_id)
    return sorted(waiting)


def lapse(session: Session, *, now: datetime, account_id: str, actor: str = "job:commitments") -> int:
    """End what is left of the account's commitments whose time is over: deferred -> breakage, one transaction each; how many.

    A commitment waits until every billing period in which it ran has ended and is invoiced, so that what was charged in its last
    days still draws it down. Locks the account's head. Running it again, or twice at once, changes nothing.
    """
    head = heads.lock_one(session, account_id)
    ended = 0
    for contract in commitments.list_contracts(session, account_id):
        if contract.ends_at > now or contract.sale_invoice_id is None or not _is_billed(session, contract, now):
            continue
        moved = _moved(session, account_id, {contract.currency}).get(contract.id, {})
        left, before = sum(moved.values()), -moved.get("commit_lapse", 0)
        if not moved:
            continue  # its sale is not issued yet
        if left > 0:
            book.post(
                session,
                now=now,
                head=head,
                type="commit_lapse",
                source_type="commitment",
                source_id=f"{contract.id}/{before}",  # what came back after it had lapsed lapses again
                entries=[_entry("commit_lapse", "deferred", "breakage", left, contract.currency, contract.id)],
                occurred_at=contract.ends_at,
                actor=actor,
                memo=contract.name,
            )
        if left > 0 or contract.lapsed_at is None:
            ended += 1
            contract.lapsed_at = now
            audit.record(
                session,
                now=now,
                actor=actor,
                act="commitment.lapse",
                subject_type="commitment",
                subject_id=contract.id,
                billing_account_id=account_id,
                facts={"amount_minor": left, "currency": contract.currency},
            )
    session.flush()  # the next contract's balance is read behind it
    return ended


def _is_billed(session: Session, contract: CommitContract, now: datetime) -> bool:
    """Whether no charge can draw it down any more but late ones of invoiced periods."""
    periods = session.scalars(
        select(BillingPeriod).where(
            BillingPeriod.billing_account_id == contract.billing_account_id,
            BillingPeriod.start_at < contract.ends_at,
            BillingPeriod.end_at > contract.starts_at,
            BillingPeriod.invoiced_at.is_(None),
        )
    ).all()
    if any(period.end_at > now for period in periods):
        return False
    of_periods = select(Charge.id).where(Charge.billing_period_id.in_([period.id for period in periods]))
    return session.scalars(of_periods.limit(1)).first() is None


def _runs_in(contract: CommitContract, period: BillingPeriod) -> bool:
    return contract.starts_at < period.end_at and contract.ends_at > period.start_at


def _entry(
    kind: str, debit: str, credit: str, amount_minor: int, currency: str, contract_id: str, **detail: str
) -> Entry:
    return Entry(
        kind=kind,
        debit=debit,
        credit=credit,
        amount=Money(minor=amount_minor, currency=currency),
        detail=detail | {"contract_id": contract_id},
    )


def _place(account_id: str, currency: str) -> str:
    return f"{account_id}/deferred/{currency}"


def _names(detail: Mapping[str, object], contract: CommitContract) -> bool:
    return detail.get("contract_id") == contract.id


def _moved(session: Session, account_id: str, currencies: Iterable[str]) -> dict[str, dict[str, int]]:
    """{contract: {entry kind: credits - debits on deferred}} from the entries of the account, both sides by index."""
    moved: dict[str, dict[str, int]] = {}
    for currency in sorted(currencies):
        for column, sign in ((_ENTRIES.c.credit_account_id, 1), (_ENTRIES.c.debit_account_id, -1)):
            rows = session.connection().execute(
                select(_ENTRIES.c.kind, _ENTRIES.c.amount_minor, _ENTRIES.c.detail).where(
                    column == _place(account_id, currency), _ENTRIES.c.billing_account_id == account_id
                )
            )
            for kind, minor, detail in rows:
                own = moved.setdefault(str(detail.get("contract_id", "")), {})
                own[kind] = own.get(kind, 0) + sign * minor
    return moved


def _sale_numbers(session: Session, contracts: Sequence[CommitContract]) -> dict[str, str]:
    """{contract: number of its sale's invoice} of those whose sale is issued."""
    ids = {one.sale_invoice_id for one in contracts if one.sale_invoice_id is not None}
    rows = session.execute(
        select(InvoiceHeader.id, InvoiceHeader.number).where(
            InvoiceHeader.id.in_(ids), InvoiceHeader.number.is_not(None)
        )
    )
    numbers = {header_id: str(number) for header_id, number in rows}
    return {one.id: numbers[one.sale_invoice_id] for one in contracts if one.sale_invoice_id in numbers}


def _row(contract: CommitContract, moved: Mapping[str, int], sale_number: str | None, now: datetime) -> ContractRow:
    left = sum(moved.values())
    return ContractRow(
        id=contract.id,
        account_id=contract.billing_account_id,
        name=contract.name,
        currency=contract.currency,
        amount_minor=contract.amount_minor,
        families=tuple(contract.families),
        starts_at=contract.starts_at,
        ends_at=contract.ends_at,
        state=_state(contract, sale_number, left, now),
        sale_invoice_id=contract.sale_invoice_id,
        sale_number=sale_number,
        sold_minor=moved.get("commit_sale", 0),
        left_minor=left,
        drawn_minor=-moved.get("commit_drawdown", 0) - moved.get("commit_return", 0),
        credited_minor=-moved.get("credit_note", 0) - moved.get("refund_credit", 0),
        lapsed_minor=-moved.get("commit_lapse", 0),
        actor=contract.actor,
        created_at=contract.created_at,
    )


def _state(contract: CommitContract, sale_number: str | None, left: int, now: datetime) -> State:
    if commitments.is_withdrawn(contract):
        return "withdrawn"
    if contract.sale_invoice_id is None:
        return "planned"
    if sale_number is None:
        return "for_sale"
    if contract.lapsed_at is not None:
        return "lapsed"
    if left <= 0:
        return "used_up"
    if now >= contract.ends_at:
        return "ended"
    return "upcoming" if now < contract.starts_at else "active"
