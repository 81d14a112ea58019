"""Dry run of a month: what each account's draft would say and whether it could be issued, beside the month before; nothing is written
but the answer itself.

The answer for one account is found by really drafting, approving and issuing in a transaction that is rolled back (`billing.jobs`),
so that every refusal that would come later is seen before anyone approves.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, func, insert, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.invoicing import drafts, findings, issue, runs
from billing.invoicing.tables import InvoiceDryRunRow, InvoiceHeader, InvoiceLine
from billing.kernel.errors import Refusal
from billing.rating.tables import BillingPeriod, Charge, UnratedUsage

State = Literal["ready", "refused", "missing"]
SHOWN = ("outlier", "look", "refused", "missing")
SORTS = ("account", "net", "change", "total")
_CHUNK = 1_000


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An account that the month may bill, and its net of the month before by currency."""

    account_id: str
    code: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One account's answer. Sums in minor units, below zero for a credit note; a refused one may have them all the same."""

    account_id: str
    account_code: str
    account_name: str
    state: str
    kind: str | None = None
    currency: str | None = None
    line_count: int = 0
    net_minor: int = 0
    tax_minor: int = 0
    total_minor: int = 0
    before_net_minor: int | None = None
    finding: str | None = None  # look or outlier
    change: str | None = None
    refusal_code: str | None = None
    refusal_facts: dict[str, Any] | None = None

    @property
    def change_minor(self) -> int | None:
        """How much more (or less) than the month before."""
        return None if self.before_net_minor is None else self.net_minor - self.before_net_minor


@dataclass(frozen=True, kw_only=True)
class Total:
    """Sums of what could be drafted in one currency."""

    currency: str
    count: int
    net_minor: int
    tax_minor: int
    total_minor: int
    before_net_minor: int


class Priceless(Refusal):
    """Usage of the account waits for a price, and is on no document. Fields: account, records."""

    code = "usage_without_price"


def candidates(session: Session, *, period_label: str) -> list[Candidate]:
    """Accounts whose month has charges that no draft has, by code."""
    rows = session.execute(
        select(BillingAccount.id, BillingAccount.code, BillingAccount.name)
        .join(BillingPeriod, BillingPeriod.billing_account_id == BillingAccount.id)
        .join(Charge, (Charge.billing_period_id == BillingPeriod.id) & Charge.draft_id.is_(None))
        .where(BillingPeriod.label == period_label)
        .group_by(BillingAccount.id, BillingAccount.code, BillingAccount.name)
        .order_by(BillingAccount.code)
    )
    return [Candidate(account_id=row.id, code=row.code, name=row.name) for row in rows]


def rows_of(
    session: Session, *, now: datetime, candidate: Candidate, period_label: str, before: dict[tuple[str, str], int]
) -> list[Row]:
    """What would become of one account, drafted and issued in the caller's transaction, which must be rolled back."""
    first = drafts.generate(session, now=now, period_label=period_label, account_id=candidate.account_id)
    if first is None:
        return []
    headers = session.scalars(
        select(InvoiceHeader)
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .where(
            BillingPeriod.label == period_label,
            InvoiceHeader.billing_account_id == candidate.account_id,
            InvoiceHeader.state.in_(drafts.OPEN_STATES),
        )
        .order_by(InvoiceHeader.id)
    ).all()
    return [_row(session, now, candidate, header, before) for header in headers]


def refused(candidate: Candidate, refusal: Refusal) -> Row:
    """The answer for an account that cannot even be drafted."""
    return replace(
        _named(candidate.account_id, candidate.code, candidate.name, "refused"),
        refusal_code=refusal.code,
        refusal_facts={name: str(value) for name, value in refusal.fields.items()},
    )


def missing(session: Session, *, period_label: str, answered: Iterable[Row]) -> list[Row]:
    """Accounts that were billed the month before, have no document in this one and none in the answers."""
    present = {(row.account_id, row.currency) for row in answered}
    refused_ids = {row.account_id for row in answered if row.currency is None}
    return [
        replace(
            _named(one.account_id, one.account_code, one.account_name, "missing"),
            currency=one.currency,
            before_net_minor=one.before_net_minor,
        )
        for one in runs.get_run(session, period_label=period_label).missing
        if (one.account_id, one.currency) not in present and one.account_id not in refused_ids
    ]


def keep(session: Session, *, work_id: str, rows: Sequence[Row]) -> None:
    """Store the answer, in the order given."""
    for start in range(0, len(rows), _CHUNK):
        values = [
            {
                "work_id": work_id,
                "seq": seq,
                "billing_account_id": row.account_id,
                **{name: getattr(row, name) for name in _COPIED},
            }
            for seq, row in enumerate(rows[start : start + _CHUNK], start=start + 1)
        ]
        session.execute(insert(InvoiceDryRunRow), values)


def list_rows(
    session: Session, *, work_id: str, show: str | None, sort: str = "account", limit: int = 50, offset: int = 0
) -> list[Row]:
    """A page of the answer; `show` outlier, look, refused or missing, `sort` one of SORTS, each also with a leading minus."""
    statement = _shown(select(InvoiceDryRunRow), work_id, show)
    return [
        _stored(row) for row in session.scalars(statement.order_by(*_order(sort)).limit(limit).offset(offset)).all()
    ]


def stream_rows(session: Session, *, work_id: str) -> Iterator[Row]:
    """The whole answer in its order, some at a time."""
    statement = _shown(select(InvoiceDryRunRow), work_id, None).order_by(InvoiceDryRunRow.seq)
    for row in session.scalars(statement.execution_options(yield_per=_CHUNK)):
        yield _stored(row)


def counts(session: Session, *, work_id: str) -> dict[str, int]:
    """How many rows each view shows; "" is all of them."""
    found = {"": 0} | dict.fromkeys(SHOWN, 0)
    rows = session.execute(
        select(InvoiceDryRunRow.state, InvoiceDryRunRow.finding, func.count())
        .where(InvoiceDryRunRow.work_id == work_id)
        .group_by(InvoiceDryRunRow.state, InvoiceDryRunRow.finding)
    )
    for state, finding, count in rows:
        found[""] += count
        for name in SHOWN:
            found[name] += count if name in (state, finding) else 0
    return found


def totals(session: Session, *, work_id: str) -> list[Total]:
    """Sums of what could be drafted, by currency."""
    rows = session.execute(
        select(
            InvoiceDryRunRow.currency,
            func.count(),
            func.sum(InvoiceDryRunRow.net_minor),
            func.sum(InvoiceDryRunRow.tax_minor),
            func.sum(InvoiceDryRunRow.total_minor),
            func.coalesce(func.sum(InvoiceDryRunRow.before_net_minor), 0),
        )
        .where(
            InvoiceDryRunRow.work_id == work_id,
            InvoiceDryRunRow.state != "missing",
            InvoiceDryRunRow.currency.is_not(None),
        )
        .group_by(InvoiceDryRunRow.currency)
        .order_by(InvoiceDryRunRow.currency)
    )
    return [
        Total(
            currency=str(currency),
            count=count,
            net_minor=int(net or 0),
            tax_minor=int(tax or 0),
            total_minor=int(total or 0),
            before_net_minor=int(before or 0),
        )
        for currency, count, net, tax, total, before in rows
    ]


_COPIED = (
    *("account_code", "account_name", "state", "kind", "currency", "line_count", "net_minor", "tax_minor"),
    *("total_minor", "before_net_minor", "finding", "change", "refusal_code", "refusal_facts"),
)


def _row(
    session: Session,
    now: datetime,
    candidate: Candidate,
    header: InvoiceHeader,
    before: dict[tuple[str, str], int],
) -> Row:
    sign = -1 if header.kind == "credit_note" else 1
    net_minor, before_net = sign * header.net_minor, before.get((candidate.account_id, header.currency))
    found = findings.of(net_minor, before_net, header.currency)
    made = replace(
        _named(candidate.account_id, candidate.code, candidate.name, "ready"),
        kind=header.kind,
        currency=header.currency,
        line_count=session.scalar(
            select(func.count()).select_from(InvoiceLine).where(InvoiceLine.invoice_id == header.id)
        )
        or 0,
        net_minor=net_minor,
        tax_minor=sign * header.tax_minor,
        total_minor=sign * (header.total_minor + header.rounding_minor),
        before_net_minor=before_net,
        finding=found.level if found else None,
        change=found.change if found else None,
    )
    try:
        _require_prices(session, candidate)
        drafts.approve(session, now=now, draft_id=header.id, actor="job:dry-run")
        issue.issue(session, now=now, draft_id=header.id, actor="job:dry-run")
    except Refusal as refusal:
        told = refused(candidate, refusal)
        return replace(made, state="refused", refusal_code=told.refusal_code, refusal_facts=told.refusal_facts)
    return made


def _require_prices(session: Session, candidate: Candidate) -> None:
    waiting = session.scalar(
        select(func.count()).select_from(UnratedUsage).where(UnratedUsage.billing_account_id == candidate.account_id)
    )
    if waiting:
        raise Priceless(account=candidate.code, records=waiting)


def _named(account_id: str, code: str, name: str, state: State) -> Row:
    return Row(account_id=account_id, account_code=code, account_name=name, state=state)


def _stored(row: InvoiceDryRunRow) -> Row:
    return Row(account_id=row.billing_account_id, **{name: getattr(row, name) for name in _COPIED})


def _shown(statement: Select[InvoiceDryRunRow], work_id: str, show: str | None) -> Select[InvoiceDryRunRow]:
    statement = statement.where(InvoiceDryRunRow.work_id == work_id)
    if show in ("refused", "missing"):
        return statement.where(InvoiceDryRunRow.state == show)
    return statement.where(InvoiceDryRunRow.finding == show) if show else statement


def _order(sort: str) -> tuple[ColumnElement[Any], ...]:
    change = InvoiceDryRunRow.net_minor - func.coalesce(InvoiceDryRunRow.before_net_minor, 0)
    columns: dict[str, tuple[Any, ...]] = {
        "account": (InvoiceDryRunRow.account_code,),
        "net": (InvoiceDryRunRow.currency, InvoiceDryRunRow.net_minor),
        "change": (InvoiceDryRunRow.currency, change),
        "total": (InvoiceDryRunRow.currency, InvoiceDryRunRow.total_minor),
    }
    wanted = columns.get(sort.removeprefix("-"), columns["account"])
    turned = tuple(column.desc() if sort.startswith("-") else column.asc() for column in wanted)
    return (*turned, InvoiceDryRunRow.seq)
