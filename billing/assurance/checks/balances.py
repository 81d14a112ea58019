"""Laws 3 and 5: balances as they are read sum to zero in each currency, and every checkpoint is the sum of its entries."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.report import Tally
from billing.ledger import trial_balance
from billing.ledger.tables import BalanceCheckpoint, LedgerEntry

NAME = "balance"


def check(session: Session, tally: Tally) -> None:
    """Look at every book account's figure, and at every checkpoint that counts."""
    found = trial_balance.now(session)
    tally.look(len(found.rows))
    for total in found.totals:
        if total.difference_minor:
            sentence = f"debits and credits differ by {total.difference_minor} minor units"
            tally.differ(total.currency, sentence, difference_minor=total.difference_minor)
    statement = select(
        BalanceCheckpoint.ledger_account_id,
        BalanceCheckpoint.billing_account_id,
        BalanceCheckpoint.through_chain_seq,
        BalanceCheckpoint.sum_minor,
    ).order_by(
        BalanceCheckpoint.ledger_account_id,
        BalanceCheckpoint.billing_account_id,
        BalanceCheckpoint.through_chain_seq,
        BalanceCheckpoint.revision.desc(),
    )
    for (ledger_account_id, chain_id), rows in streams.grouped(streams.stream(session, statement), lambda row: row[:2]):
        through, running = 0, 0
        counted = {row.through_chain_seq: row.sum_minor for row in reversed(rows)}  # the highest revision stays
        tally.look(len(rows))
        for row_seq, sum_minor in sorted(counted.items()):
            running += _sum_between(session, ledger_account_id, chain_id, through, row_seq)
            through = row_seq
            if running != sum_minor:
                sentence = f"its checkpoint at number {row_seq} of {chain_id} says {sum_minor}, its entries {running}"
                tally.differ(ledger_account_id, sentence, checkpoint_minor=sum_minor, entries_minor=running)


def _sum_between(session: Session, ledger_account_id: str, chain_id: str, after: int, through: int) -> int:
    return sum(
        sign * int(session.execute(_side(side, ledger_account_id, chain_id, after, through)).scalar_one())
        for sign, side in ((1, LedgerEntry.credit_account_id), (-1, LedgerEntry.debit_account_id))
    )


def _side(side: Any, ledger_account_id: str, chain_id: str, after: int, through: int) -> Select[Any]:
    return select(func.coalesce(func.sum(LedgerEntry.amount_minor), 0)).where(
        side == ledger_account_id,
        LedgerEntry.billing_account_id == chain_id,
        LedgerEntry.chain_seq > after,
        LedgerEntry.chain_seq <= through,
    )
