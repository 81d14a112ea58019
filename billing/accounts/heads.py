"""The lock of a billing account: everything of an account is written while its head is held."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.kernel.errors import NotFound

_CHUNK = 1_000


def lock(session: Session, account_ids: Iterable[str]) -> dict[str, AccountHead]:
    """The heads of these billing accounts by id, read anew and locked until the transaction ends.

    PostgreSQL: FOR UPDATE, always in order of id, so that two batches over the same accounts cannot deadlock; open accounts
    before locking heads (opening waits for the seller). SQLite: the transaction is the only writer already. Callers set the
    sequence fields and flush. Raises NotFound for an id without a head.
    """
    wanted = sorted(set(account_ids))
    heads: dict[str, AccountHead] = {}
    for place in range(0, len(wanted), _CHUNK):
        statement = (
            select(AccountHead)
            .where(AccountHead.billing_account_id.in_(wanted[place : place + _CHUNK]))
            .order_by(AccountHead.billing_account_id)
            .with_for_update()
            # A head read earlier in this session may be older than what the lock has waited for.
            .execution_options(populate_existing=True)
        )
        heads.update((head.billing_account_id, head) for head in session.scalars(statement))
    for account_id in wanted:
        if account_id not in heads:
            raise NotFound(account_id=account_id)
    return heads


def lock_one(session: Session, account_id: str) -> AccountHead:
    """The head of one billing account, as `lock` gives it."""
    return lock(session, (account_id,))[account_id]
