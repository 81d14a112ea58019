"""Invoice runs: all drafts and invoices of one month side by side, with what the same account was billed the month before."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.catalog.tables import CommitContract
from billing.invoicing.tables import InvoiceHeader, InvoiceLine
from billing.kernel import money, periods
from billing.rating.tables import BillingPeriod

Outlier = Literal["risen", "fallen", "nothing"]

# A change is worth a look when it is both large and not small change: half as much again (or half), and 50 major units.
_RISEN, _FALLEN = (3, 2), (1, 2)
_LEAST_MAJOR = 50


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One month in one currency: how many documents stand where, and their sums (void ones left out)."""

    period: str
    currency: str
    draft_count: int
    approved_count: int
    issued_count: int
    net_minor: int
    tax_minor: int
    total_minor: int
    before_net_minor: int  # of the month before
    oldest_draft_at: datetime | None

    @property
    def count(self) -> int:
        """Documents that are not void."""
        return self.draft_count + self.approved_count + self.issued_count


@dataclass(frozen=True, kw_only=True)
class RunItem:
    """One document of a run. `before_net_minor` is the account's net of the month before, None when it had no invoice then."""

    id: str
    number: str | None
    account_id: str
    account_code: str
    account_name: str
    state: str
    currency: str
    line_count: int
    net_minor: int
    tax_minor: int
    total_minor: int
    before_net_minor: int | None
    outlier: Outlier | None

    @property
    def change_minor(self) -> int | None:
        """How much more (or less) than the month before."""
        return None if self.before_net_minor is None else self.net_minor - self.before_net_minor


@dataclass(frozen=True, kw_only=True)
class SaleRow:
    """The drafted or approved sale of a commitment; `total_minor` with tax."""

    id: str
    contract_name: str
    account_name: str
    state: str
    currency: str
    total_minor: int
    drafted_at: datetime


@dataclass(frozen=True, kw_only=True)
class Missing:
    """An account that was billed the month before and has no document in this run."""

    account_id: str
    account_code: str
    account_name: str
    currency: str
    before_net_minor: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """One month: its documents by account, and who is missing."""

    period: str
    items: tuple[RunItem, ...]
    missing: tuple[Missing, ...]


def list_runs(session: Session) -> list[RunRow]:
    """All months that have documents, newest first, one row per currency."""
    rows = session.execute(
        select(
            BillingPeriod.label,
            InvoiceHeader.currency,
            InvoiceHeader.state,
            func.count(),
            func.sum(InvoiceHeader.net_minor),
            func.sum(InvoiceHeader.tax_minor),
            func.sum(InvoiceHeader.total_minor),
            func.min(InvoiceHeader.drafted_at),
        )
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .where(InvoiceHeader.kind == "invoice", InvoiceHeader.state != "void")
        .group_by(BillingPeriod.label, InvoiceHeader.currency, InvoiceHeader.state)
    ).all()
    by_run: defaultdict[tuple[str, str], dict[str, tuple[int, int, int, int, datetime]]] = defaultdict(dict)
    for label, currency, state, count, net, tax, total, oldest in rows:
        by_run[label, currency][state] = (count, int(net), int(tax), int(total), oldest)
    nets = {key: sum(state[1] for state in states.values()) for key, states in by_run.items()}
    return [
        RunRow(
            period=label,
            currency=currency,
            draft_count=_count(states, "draft"),
            approved_count=_count(states, "approved"),
            issued_count=_count(states, "issued"),
            net_minor=nets[label, currency],
            tax_minor=sum(state[2] for state in states.values()),
            total_minor=sum(state[3] for state in states.values()),
            before_net_minor=nets.get((label_before(label), currency), 0),
            oldest_draft_at=states["draft"][4] if "draft" in states else None,
        )
        for (label, currency), states in sorted(by_run.items(), reverse=True)
    ]


def list_sales(session: Session) -> list[SaleRow]:
    """Every sale of a commitment that is drafted or approved, oldest first: no month has it."""
    rows = session.execute(
        select(InvoiceHeader, CommitContract.name, BillingAccount.name)
        .join(CommitContract, CommitContract.sale_invoice_id == InvoiceHeader.id)
        .join(BillingAccount, BillingAccount.id == InvoiceHeader.billing_account_id)
        .where(InvoiceHeader.state.in_(("draft", "approved")))
        .order_by(InvoiceHeader.drafted_at, InvoiceHeader.id)
    ).all()
    return [
        SaleRow(
            id=header.id,
            contract_name=contract_name,
            account_name=account_name,
            state=header.state,
            currency=header.currency,
            total_minor=header.total_minor,
            drafted_at=header.drafted_at,
        )
        for header, contract_name, account_name in rows
    ]


def get_run(session: Session, *, period_label: str) -> Run:
    """The documents of one month, by account code, each beside the month before. An unknown month is an empty run.

    Raises Invalid(reason="not_a_month") for text that is no month.
    """
    before = _nets_of(session, label_before(period_label))
    lines = (
        select(func.count())
        .where(InvoiceLine.invoice_id == InvoiceHeader.id)
        .correlate(InvoiceHeader)
        .scalar_subquery()
    )
    rows = session.execute(
        select(InvoiceHeader, BillingAccount.code, BillingAccount.name, lines)
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .join(BillingAccount, BillingAccount.id == InvoiceHeader.billing_account_id)
        .where(BillingPeriod.label == period_label, InvoiceHeader.kind == "invoice", InvoiceHeader.state != "void")
        .order_by(BillingAccount.code, InvoiceHeader.currency, InvoiceHeader.id)
    ).all()
    items = tuple(
        RunItem(
            id=header.id,
            number=header.number,
            account_id=header.billing_account_id,
            account_code=code,
            account_name=name,
            state=header.state,
            currency=header.currency,
            line_count=line_count,
            net_minor=header.net_minor,
            tax_minor=header.tax_minor,
            total_minor=header.total_minor,
            before_net_minor=before.get((header.billing_account_id, header.currency)),
            outlier=outlier_of(
                header.net_minor, before.get((header.billing_account_id, header.currency)), header.currency
            ),
        )
        for header, code, name, line_count in rows
    )
    present = {(item.account_id, item.currency) for item in items}
    gone = {key: net for key, net in before.items() if key not in present}
    return Run(period=period_label, items=items, missing=_missing(session, gone))


def outlier_of(net_minor: int, before_net_minor: int | None, currency: str) -> Outlier | None:
    """Whether a person should look: nothing to bill, or half as much again (or half) and at least 50 major units apart."""
    if net_minor == 0:
        return "nothing"
    if before_net_minor is None:
        return None
    if abs(net_minor - before_net_minor) < _LEAST_MAJOR * 10 ** money.exponent(currency):
        return None
    if net_minor * _RISEN[1] >= before_net_minor * _RISEN[0]:
        return "risen"
    if net_minor * _FALLEN[1] <= before_net_minor * _FALLEN[0]:
        return "fallen"
    return None


def label_before(period_label: str) -> str:
    """The month before: "2026-01" gives "2025-12". Raises Invalid(reason="not_a_month")."""
    first_at = periods.month(period_label, "UTC").start_at
    return periods.label_of(first_at - timedelta(days=1), "month", "UTC")


def _count(states: dict[str, tuple[int, int, int, int, datetime]], state: str) -> int:
    return states[state][0] if state in states else 0


def _nets_of(session: Session, label: str) -> dict[tuple[str, str], int]:
    """{(account id, currency): net of the month's documents}."""
    rows = session.execute(
        select(InvoiceHeader.billing_account_id, InvoiceHeader.currency, func.sum(InvoiceHeader.net_minor))
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .where(BillingPeriod.label == label, InvoiceHeader.kind == "invoice", InvoiceHeader.state != "void")
        .group_by(InvoiceHeader.billing_account_id, InvoiceHeader.currency)
    ).all()
    return {(account_id, currency): int(net) for account_id, currency, net in rows}


def _missing(session: Session, gone: dict[tuple[str, str], int]) -> tuple[Missing, ...]:
    ids: Sequence[str] = sorted({account_id for account_id, _ in gone})
    accounts = session.execute(
        select(BillingAccount.id, BillingAccount.code, BillingAccount.name).where(BillingAccount.id.in_(ids))
    ).all()
    named = {account_id: (code, name) for account_id, code, name in accounts}
    found = (
        Missing(
            account_id=account_id,
            account_code=named[account_id][0],
            account_name=named[account_id][1],
            currency=currency,
            before_net_minor=net,
        )
        for (account_id, currency), net in gone.items()
    )
    return tuple(sorted(found, key=lambda item: (item.account_code, item.currency)))
