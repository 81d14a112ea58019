"""The journal of one seller and accounting period for a general ledger: two lines an entry, debit and credit, in the chart's numbers.

Within each transaction and currency the lines balance, so the file does; read back and summed by account it is the trial balance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from billing.accounts import directory
from billing.accounts.tables import BillingAccount
from billing.exports import csv
from billing.kernel.errors import NotFound
from billing.kernel.periods import month
from billing.ledger import chart
from billing.ledger.tables import HOUSE, AccountingPeriod, LedgerAccount, LedgerEntry, LedgerTransaction

COLUMNS = [
    "period",
    "seller",
    "journal_id",
    "line",
    "effective_at",
    "recorded_at",
    "kind",
    "account_number",
    "account_name",
    "owner",
    "currency",
    "debit_minor",
    "credit_minor",
    "source_type",
    "source_id",
]
_BATCH = 2_000


@dataclass(kw_only=True)
class Journal:
    """One file to be: iterate `export` once for its bytes, then ask for the manifest. `sums` fills as it is written."""

    period: str
    seller_code: str
    is_closed: bool
    export: csv.Export
    sums: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """`journal-north-2026-10.csv`."""
        return f"journal-{self.seller_code}-{self.period}.csv"

    def to_manifest(self) -> dict[str, Any]:
        """{"period", "seller", "is_closed", "count", "sums": {currency: {"debit_minor", "credit_minor"}}, "sha256", ...}."""
        return {
            "period": self.period,
            "seller": self.seller_code,
            "is_closed": self.is_closed,
            **self.export.manifest.to_json(),
            "sums": dict(sorted(self.sums.items())),
        }


def journal(session: Session, *, seller_id: str, period: str) -> Journal:
    """The journal of a seller's accounting period, streamed while the session is open; memory stays flat.

    Raises Invalid for a label that is no month, NotFound for a month in which nothing was ever posted.
    """
    month(period, "UTC")
    seller = directory.get_seller(session, seller_id)
    found = session.execute(
        select(AccountingPeriod.id, AccountingPeriod.state).where(
            AccountingPeriod.seller_id == seller.id, AccountingPeriod.month == period
        )
    ).one_or_none()
    if found is None:
        raise NotFound(kind="accounting_period", id=period)
    sums: dict[str, dict[str, int]] = {}
    export = csv.Export(columns=COLUMNS, rows=_rows(session, found.id, period, seller.code, sums))
    return Journal(period=period, seller_code=seller.code, is_closed=found.state == "closed", export=export, sums=sums)


def _rows(
    session: Session, period_id: str, period: str, seller_code: str, sums: dict[str, dict[str, int]]
) -> Iterator[tuple[csv.Cell, ...]]:
    debit, credit = aliased(LedgerAccount), aliased(LedgerAccount)
    statement = (
        select(
            LedgerTransaction.id,
            LedgerTransaction.effective_at,
            LedgerTransaction.recorded_at,
            LedgerTransaction.source_type,
            LedgerTransaction.source_id,
            BillingAccount.code,
            LedgerEntry.seq,
            LedgerEntry.kind,
            LedgerEntry.currency,
            LedgerEntry.amount_minor,
            debit.name.label("debit"),
            debit.owner.label("debit_owner"),
            credit.name.label("credit"),
            credit.owner.label("credit_owner"),
        )
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .join(BillingAccount, BillingAccount.id == LedgerTransaction.billing_account_id)
        .join(debit, debit.id == LedgerEntry.debit_account_id)
        .join(credit, credit.id == LedgerEntry.credit_account_id)
        .where(LedgerTransaction.accounting_period_id == period_id)
        .order_by(LedgerTransaction.billing_account_id, LedgerTransaction.chain_seq, LedgerEntry.seq)
    )
    with session.connection().execute(statement.execution_options(yield_per=_BATCH)) as rows:
        for row in rows:
            own = sums.setdefault(row.currency, {"debit_minor": 0, "credit_minor": 0})
            own["debit_minor"] += row.amount_minor
            own["credit_minor"] += row.amount_minor
            sides = (
                (row.debit, row.debit_owner, row.amount_minor, 0),
                (row.credit, row.credit_owner, 0, row.amount_minor),
            )
            for place, (name, owner, debit_minor, credit_minor) in enumerate(sides, start=2 * row.seq - 1):
                yield (
                    period,
                    seller_code,
                    row.id,
                    place,
                    row.effective_at,
                    row.recorded_at,
                    row.kind,
                    chart.number_of(name),
                    name,
                    HOUSE if owner == HOUSE else row.code,
                    row.currency,
                    debit_minor,
                    credit_minor,
                    row.source_type,
                    row.source_id,
                )
