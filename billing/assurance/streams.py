"""Rows in order, one batch at a time: checks look at every row there is, and their memory stays flat."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Executable, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount

BATCH = 2_000

Rows = Iterator[Any]  # rows that unpack, with their columns by name


def stream(session: Session, statement: Executable) -> Rows:
    """The statement's rows as tuples, read through a server-side cursor."""
    with session.connection().execute(statement.execution_options(yield_per=BATCH)) as rows:
        yield from rows


def grouped(rows: Rows, key: Callable[[Any], Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Neighbouring rows with the same key."""
    for value, group in groupby(rows, key):
        yield value, list(group)


def account_ids(session: Session, account_id: str | None = None) -> list[str]:
    """Every billing account, the house's included, or only the one asked for."""
    if account_id is not None:
        return [account_id]
    return list(session.scalars(select(BillingAccount.id).order_by(BillingAccount.id)))
