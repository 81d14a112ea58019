"""Sends what waits: intent, call, outcome, each delivery in two short transactions with nothing open between them (Law 6).

No two workers send one delivery, and none is sent twice, but for one gap that no mail server lets anybody close: a process that dies
after the server's 250 and before our row, or an answer that is lost, is followed by a second copy under the same Message-ID.
"""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta

from billing.kernel.errors import Refusal
from billing.notices import deliveries, letters, mail
from billing.notices.attachments import NotRendered
from billing.notices.channels.port import Mail, NotTaken, Refused, Unreachable
from billing.notices.deliveries import Claim
from billing.notices.mail import HeaderRefused, Mailer
from billing.storage import correlation
from billing.storage.database import Database

_log = logging.getLogger("billing.notices")
# Other jobs of the scheduler wait meanwhile: what is left is sent at the next look.
_MOST = timedelta(seconds=10)


def send_due(database: Database, mailer: Mailer, *, now: datetime) -> int:
    """Send the deliveries that are due, the longest waiting first, for ten seconds at most; returns how many were taken.

    When the mail server takes nothing at all, the others are left for the next look. Any number of workers may do this at once.
    """
    started, done = time.monotonic(), 0
    with mailer.channel.connection() as carry:
        while True:
            at = now + timedelta(seconds=time.monotonic() - started)
            if at - now >= _MOST:
                return done
            with database.transaction("jobs") as session:
                claimed = deliveries.claim(session, now=at)
            if claimed is None:
                return done
            with correlation.scope(claimed.correlation_id) if claimed.correlation_id else nullcontext():
                try:
                    done += _try(database, mailer, carry, claimed, at)
                except Unreachable:
                    return done


def _try(database: Database, mailer: Mailer, carry: Callable[[Mail], None], claimed: Claim, at: datetime) -> bool:
    """One attempt and its outcome; whether it was taken. Raises Unreachable once the outcome is written."""
    try:
        carry(_make(database, mailer, claimed, at))
    except NotRendered:
        with database.transaction("jobs") as session:
            deliveries.put_off(session, now=at, claimed=claimed)
        return False
    except NotTaken as trouble:
        _log.warning("mail not taken", extra={"delivery_id": claimed.id, "cause": str(trouble)})
        with database.transaction("jobs") as session:
            deliveries.record_not_taken(
                session, now=at, claimed=claimed, error=str(trouble), is_final=isinstance(trouble, Refused)
            )
        if isinstance(trouble, Unreachable):
            raise
        return False
    with database.transaction("jobs") as session:
        deliveries.record_sent(session, now=at, claimed=claimed)
    _log.info("mail sent", extra={"delivery_id": claimed.id, "attempt": claimed.attempt})
    return True


def _make(database: Database, mailer: Mailer, claimed: Claim, at: datetime) -> Mail:
    """The mail of a claimed delivery. One that cannot be made is refused, not tried again: it would fail in the same way."""
    with database.reading("jobs") as session:
        try:
            letter = letters.get_letter(session, now=at, delivery_id=claimed.id)
        except (Refusal, KeyError, LookupError) as error:
            raise _unmade(claimed, error) from error
    try:
        rendered = letters.write(letter, base_url=mailer.base_url, token_of=mailer.token_of)
        return mail.build(letter, rendered, sender_name=mailer.sender_name, sender=mailer.sender, now=at)
    except Exception as error:
        raise _unmade(claimed, error) from error


def _unmade(claimed: Claim, error: Exception) -> Refused:
    if isinstance(error, Refusal):
        return Refused(str(error.fields.get("reason", error.code)))
    if isinstance(error, HeaderRefused):
        return Refused("header_refused", str(error))
    _log.exception("mail cannot be made", extra={"delivery_id": claimed.id})
    return Refused("cannot_be_written", f"{type(error).__name__}: {error}")
