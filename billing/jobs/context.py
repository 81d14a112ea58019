"""What every step is given, and how a step walks over accounts so that one that fails does not hold up the others."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts.vat_consultations import Register
from billing.kernel.errors import Refusal
from billing.ledger.root_files import Keeping
from billing.notices.mail import Mailer
from billing.payments.providers.port import Provider
from billing.storage.database import Database

_log = logging.getLogger("billing.jobs")


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """One run of one step: the database, the payment providers by name, the instant the run stands for, and what sends mail.

    Without `mail` notices are shown in the portal only; without `keeping`, which says where the signing key and the roots' files
    are, no root is signed; without `vat_register` no VAT id is asked about.
    """

    database: Database
    providers: Mapping[str, Provider]
    now: datetime
    mail: Mailer | None = None
    keeping: Callable[[], Keeping] | None = None
    vat_register: Register | None = None

    @property
    def verify_url(self) -> str | None:
        """The public page that documents name, where anybody may ask whether a file is genuine; None without an address."""
        return f"{self.mail.base_url}/documents/verify" if self.mail is not None else None


class SomeFailed(Exception):
    """Some accounts of a step failed; the others are done. The text names the first few."""


def each_account(context: JobContext, account_ids: Iterable[str], act: Callable[[Session, str], int]) -> int:
    """Call `act(session, account_id)` in one transaction per account and sum what it returns.

    An account that raises is rolled back and logged, the rest goes on; at the end SomeFailed is raised if there was any, so that
    the run counts as failed and is looked at.
    """
    done, failures = 0, []
    for account_id in account_ids:
        try:
            with context.database.transaction("jobs") as session:
                done += act(session, account_id)
        except Exception as error:
            if not isinstance(error, Refusal):
                _log.exception("account failed", extra={"billing_account_id": account_id})
            failures.append(f"{account_id}: {type(error).__name__}: {error}")
    if failures:
        raise SomeFailed(f"{len(failures)} failed, {done} done; {'; '.join(failures[:3])}"[:2000])
    return done
