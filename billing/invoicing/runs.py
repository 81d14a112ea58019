"""Invoice runs: all drafts and invoices of one month side by side, with what the same account was billed the month before."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, func, select
from sqlalchemy.orm import Session, aliased

from billing.accounts.tables import BillingAccount
from billing.catalog.tables import CommitContract
from billing.invoicing import findings
from billing.invoicing.findings import Finding
from billing.invoicing.tables import InvoiceHeader, InvoiceLine
from billing.kernel import periods
from billing.rating.tables import BillingPeriod


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
    """One document of a run; the sums of a credit note of charges are below zero. `state` draft, in_review, approved or issued.

    `before_net_minor` is the account's net of the month before, None when it had no document then.
    """

    id: str
    kind: str
    number: str | None
    account_id: str
    account_code: str
    account_name: str
    state: str
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    before_net_minor: int | None
    finding: Finding | None

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
            func.sum(_signed(InvoiceHeader.net_minor)),
            func.sum(_signed(InvoiceHeader.tax_minor)),
            func.sum(_signed(InvoiceHeader.total_minor + InvoiceHeader.rounding_minor)),
            func.min(InvoiceHeader.drafted_at),
        )
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .where(*_in_run())
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

    Invoices that were credited whole and billed again are left out: the new one stands for them. Raises
    Invalid(reason="not_a_month") for text that is no month.
    """
    before = nets_of(session, label_before(period_label))
    items = _items(session, _documents().where(BillingPeriod.label == period_label), before)
    present = {(item.account_id, item.currency) for item in items}
    gone = {key: net for key, net in before.items() if key not in present}
    return Run(period=period_label, items=items, missing=_missing(session, gone))


def find_item(session: Session, invoice_id: str) -> RunItem | None:
    """One document as its run shows it; None for one that no month bills, and for credit notes of lines billed before."""
    row = session.execute(
        select(BillingPeriod.label, InvoiceHeader.billing_account_id)
        .join(InvoiceHeader, InvoiceHeader.billing_period_id == BillingPeriod.id)
        .where(InvoiceHeader.id == invoice_id)
    ).one_or_none()
    if row is None:
        return None
    before = nets_of(session, label_before(row.label), account_id=row.billing_account_id)
    found = _items(session, _documents().where(InvoiceHeader.id == invoice_id), before)
    return found[0] if found else None


def line_counts(session: Session, invoice_ids: Sequence[str]) -> dict[str, int]:
    """{document: its lines} of those on a page."""
    rows = session.execute(
        select(InvoiceLine.invoice_id, func.count())
        .where(InvoiceLine.invoice_id.in_(invoice_ids))
        .group_by(InvoiceLine.invoice_id)
    ).all()
    return dict(rows)


def label_before(period_label: str) -> str:
    """The month before: "2026-01" gives "2025-12". Raises Invalid(reason="not_a_month")."""
    first_at = periods.month(period_label, "UTC").start_at
    return periods.label_of(first_at - timedelta(days=1), "month", "UTC")


def _count(states: dict[str, tuple[int, int, int, int, datetime]], state: str) -> int:
    return states[state][0] if state in states else 0


def nets_of(session: Session, label: str, *, account_id: str | None = None) -> dict[tuple[str, str], int]:
    """{(account id, currency): net of the month's documents}; a credit note of charges counts below zero."""
    statement = (
        select(InvoiceHeader.billing_account_id, InvoiceHeader.currency, func.sum(_signed(InvoiceHeader.net_minor)))
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .where(BillingPeriod.label == label, *_in_run())
        .group_by(InvoiceHeader.billing_account_id, InvoiceHeader.currency)
    )
    if account_id is not None:
        statement = statement.where(InvoiceHeader.billing_account_id == account_id)
    return {(owner, currency): int(net) for owner, currency, net in session.execute(statement)}


def _in_run() -> tuple[ColumnElement[bool], ...]:
    again = aliased(InvoiceHeader)
    return (
        (InvoiceHeader.kind == "invoice") | InvoiceHeader.takes_charges,
        InvoiceHeader.state != "void",
        ~exists().where(again.replaces_id == InvoiceHeader.id),
    )


def _signed(column: Any) -> Any:
    return case((InvoiceHeader.kind == "credit_note", -column), else_=column)


def _documents() -> Select[*tuple[Any, ...]]:
    """(id, number, kind, account, code, name, state, review start, currency, net, tax, total): never the snapshot."""
    statement: Select[*tuple[Any, ...]] = (
        select(
            InvoiceHeader.id,
            InvoiceHeader.number,
            InvoiceHeader.kind,
            InvoiceHeader.billing_account_id,
            BillingAccount.code,
            BillingAccount.name,
            InvoiceHeader.state,
            InvoiceHeader.review_started_at,
            InvoiceHeader.currency,
            _signed(InvoiceHeader.net_minor).label("net_minor"),
            _signed(InvoiceHeader.tax_minor).label("tax_minor"),
            _signed(InvoiceHeader.total_minor + InvoiceHeader.rounding_minor).label("total_minor"),
        )
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .join(BillingAccount, BillingAccount.id == InvoiceHeader.billing_account_id)
        .where(*_in_run())
        .order_by(BillingAccount.code, InvoiceHeader.currency, InvoiceHeader.id)
    )
    return statement


def _items(
    session: Session, statement: Select[*tuple[Any, ...]], before: Mapping[tuple[str, str], int]
) -> tuple[RunItem, ...]:
    made = []
    for row in session.execute(statement):
        before_net = before.get((row.billing_account_id, row.currency))
        made.append(
            RunItem(
                id=row.id,
                kind=row.kind,
                number=row.number,
                account_id=row.billing_account_id,
                account_code=row.code,
                account_name=row.name,
                state="in_review" if row.state == "draft" and row.review_started_at is not None else row.state,
                currency=row.currency,
                net_minor=row.net_minor,
                tax_minor=row.tax_minor,
                total_minor=row.total_minor,
                before_net_minor=before_net,
                finding=findings.of(row.net_minor, before_net, row.currency),
            )
        )
    return tuple(made)


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
