"""Commitments: none is drawn below zero or above what was sold, and `deferred` holds what is left of them and nothing else."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance.report import Tally, count
from billing.catalog.tables import CommitContract
from billing.invoicing import contracts
from billing.ledger import balances
from billing.ledger.tables import LedgerAccount

NAME = "commitment"


def check(session: Session, tally: Tally) -> None:
    """Look at every commitment, and at every account's `deferred`."""
    looked = 0
    left_of: dict[tuple[str, str], int] = {}
    account_ids = session.scalars(select(CommitContract.billing_account_id).distinct()).all()
    for account_id in account_ids:
        for contract, left in contracts.all_left(session, account_id):
            looked += 1
            tally.look()
            key = (account_id, contract.currency)
            left_of[key] = left_of.get(key, 0) + left
            if not 0 <= left <= contract.amount_minor:
                sentence = f"commitment {contract.name} of {contract.amount_minor} has {left} left"
                tally.differ(contract.id, sentence, left_minor=left, amount_minor=contract.amount_minor)
            if contract.lapsed_at is not None and contract.lapsed_at < contract.ends_at and contract.sale_invoice_id:
                tally.differ(contract.id, f"commitment {contract.name} lapsed before its time was over")
    there = select(func.count()).select_from(CommitContract)
    tally.expect("commit_contracts", looked, count(session, there))
    held = session.execute(
        select(LedgerAccount.id, LedgerAccount.owner, LedgerAccount.currency).where(LedgerAccount.name == "deferred")
    ).all()
    for ledger_account_id, owner, currency in held:
        tally.look()
        figure = balances.of_ledger_account(session, ledger_account_id)
        if figure != left_of.get((owner, currency), 0):
            sentence = f"holds {figure}, the account's commitments have {left_of.get((owner, currency), 0)} left"
            tally.differ(ledger_account_id, sentence, ledger_minor=figure)
