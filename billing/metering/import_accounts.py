"""Whose usage the lines of a file are: accounts by their codes, found or opened."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.accounts.tables import BillingAccount
from billing.catalog import onboarding
from billing.kernel.errors import NotFound, Refusal
from billing.metering.sources.port import Reject


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one import was told. With `account_code` all lines are of that account, and the file's accounts are its projects."""

    source: str
    actor: str
    create_accounts: bool
    account_code: str | None


@dataclass(kw_only=True)
class Stored:
    """What became of a batch."""

    accepted: int = 0
    duplicate: int = 0
    opened: int = 0
    rejects: list[Reject] = field(default_factory=list)


def check(session: Session, options: Options) -> None:
    """Raises NotFound when the account named for all lines is none that can be billed."""
    if options.account_code is not None and not _find(session, [options.account_code]):
        raise NotFound(kind="billing_account", code=options.account_code[:80])


def find_or_open(
    session: Session, codes: Collection[str], *, missing_from: Collection[str], options: Options, now: datetime
) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """({code: id of its account}, {code: why it could not be opened}). Opens those of `missing_from` where it is told to.

    Call it before locking heads: opening waits for the seller.
    """
    if options.account_code is not None:
        return _find(session, [options.account_code]), {}
    accounts = _find(session, codes)
    refused: dict[str, tuple[str, str]] = {}
    if not options.create_accounts:
        return accounts, refused
    for code in sorted(set(missing_from) - accounts.keys()):
        try:
            directory.require_account_code(code)  # a seller's own account is found by its code, and is no tenant
            with session.begin_nested():
                made = onboarding.find_or_open_account(session, now=now, code=code, actor=options.actor)
        except Refusal as refusal:
            refused[code] = ("bad_account", f"no billing account can be made: {refusal}")
        else:
            accounts[code] = made.id
    return accounts, refused


def _find(session: Session, codes: Collection[str]) -> dict[str, str]:
    query = select(BillingAccount.code, BillingAccount.id).where(
        BillingAccount.code.in_([code for code in codes if code.isprintable()]), BillingAccount.kind != "house"
    )
    return dict(session.execute(query).all())
