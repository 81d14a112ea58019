"""How far the books are held by a signature: the newest root, what was posted since, and its files outside the database."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.ledger import root_files, roots
from billing.ledger.roots import RootRow


@dataclass(frozen=True, kw_only=True)
class State:
    """Chains and transactions there are; the newest root; transactions posted since; of the roots, how many have their file."""

    chain_count: int
    transaction_count: int
    root: RootRow | None
    unsigned_count: int
    root_count: int
    file_count: int
    missing: tuple[int, ...]

    @property
    def is_exported(self) -> bool:
        """Whether every root has its file and no file lacks its root."""
        return not self.missing and self.file_count == self.root_count


def state(session: Session, folder: Path | None = None) -> State:
    """One query over the accounts' heads and one for the newest root; the folder is only listed, nothing in it is read."""
    chains, transactions = session.execute(
        select(func.count(), func.coalesce(func.sum(AccountHead.chain_seq), 0)).where(AccountHead.chain_seq > 0)
    ).one()
    newest = roots.find_newest(session)
    files = root_files.list_files(folder) if folder is not None else {}
    count = newest.seq if newest else 0
    return State(
        chain_count=chains,
        transaction_count=int(transactions),
        root=newest,
        unsigned_count=int(transactions) - (newest.transaction_count if newest else 0),
        root_count=count,
        file_count=len(files),
        missing=tuple(seq for seq in range(1, count + 1) if seq not in files),
    )
