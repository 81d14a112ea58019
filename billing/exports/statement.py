"""An account's statement as CSV: every movement in one currency with the balance after it, newest first."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.exports import csv
from billing.kernel.money import Money
from billing.ledger import statement
from billing.ledger.explanation import Summary
from billing.ledger.statement import MAX_PAGE

COLUMNS = [
    "account",
    "sequence",
    "transaction_id",
    "recorded_at",
    "effective_at",
    "type",
    "kinds",
    "source_type",
    "source_id",
    "memo",
    "currency",
    "amount",
    "amount_minor",
    "balance_minor",
]


def statement_csv(session: Session, account_id: str, summary: Summary, *, kind: str | None = None) -> csv.Export:
    """The movements of a summary's range, whose manifest sums `amount_minor`: without `kind`, closing less opening.

    Iterate it while the session is open; memory holds one page of movements.
    """
    return csv.Export(columns=COLUMNS, rows=_rows(session, account_id, summary, kind), sum_column="amount_minor")


def _rows(session: Session, account_id: str, summary: Summary, kind: str | None) -> Iterator[tuple[csv.Cell, ...]]:
    code = directory.get_account(session, account_id).code
    before: int | None = summary.last_seq + 1
    while before is not None and before > summary.first_seq + 1:
        page = statement.movements(
            session,
            account_id=account_id,
            currency=summary.currency,
            kind=kind,
            after_seq=summary.first_seq,
            before_seq=before,
            limit=MAX_PAGE,
        )
        for row in page.rows:
            yield (
                code,
                row.chain_seq,
                row.transaction_id,
                row.recorded_at,
                row.effective_at,
                row.type,
                " ".join(row.kinds),
                row.source_type,
                row.source_id,
                row.memo,
                row.currency,
                Money(minor=row.amount_minor, currency=row.currency).to_decimal(),
                row.amount_minor,
                row.balance_minor,
            )
        before = page.next_before_seq
