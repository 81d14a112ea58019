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


def beside(left: Rows, right: Rows, key: Callable[[Any], Any]) -> Iterator[tuple[Any, Any, Any]]:
    """(key, left row or None, right row or None) of two streams that rise by the same key and hold it at most once each."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        at = min(key(row) for row in (one, other) if row is not None)
        in_left = one if one is not None and key(one) == at else None
        in_right = other if other is not None and key(other) == at else None
        yield at, in_left, in_right
        one = next(left, None) if in_left is not None else one
        other = next(right, None) if in_right is not None else other
