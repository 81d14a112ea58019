"""Events of a file, stored a batch at a time, each line with its own outcome."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from billing.metering import import_accounts, ingest, intake, known
from billing.metering.import_accounts import Options, Stored
from billing.metering.jobs import clean
from billing.metering.sources import event_file
from billing.metering.sources.port import EventFacts, EventLine, Parsed, Reject


def store(session: Session, batch: Sequence[Parsed], options: Options, *, now: datetime, import_id: str) -> Stored:
    """Store one batch of parsed lines. Locks the heads of all accounts it writes to, in id order.

    An open line is counted and stores nothing: its usage is told again when it has ended, under the same id. Raises
    IntegrityError when another transaction stored one of the events meanwhile: roll back and repeat.
    """
    stored = Stored()
    lines = [item for _, _, item in batch if isinstance(item, EventLine)]
    codes = {line.account_code for line in lines if line.account_code is not None}
    accounts, refused = import_accounts.find_or_open(session, codes, missing_from=codes, options=options, now=now)
    ended: list[tuple[int, str, EventFacts]] = []
    still_open: list[tuple[str, str]] = []
    for number, text, item in batch:
        if isinstance(item, Reject):
            stored.rejects.append(clean(item))
        elif isinstance(item, EventLine):
            code = options.account_code or item.account_code
            account_id = accounts.get(code) if code is not None else None
            if account_id is None:
                reason, detail = refused.get(code or "", _unknown(code))
                stored.rejects.append(clean(Reject(number, item.facts.source_id, reason, detail, text)))
                continue
            facts = _of_account(item, account_id, options)
            if item.is_open:
                still_open.append((facts.source, facts.source_id))
            else:
                ended.append((number, text, facts))
    results = ingest.ingest_events(
        session, [facts for _, _, facts in ended], now=now, import_id=import_id, keep_rejects=False
    )
    for (number, text, facts), result in zip(ended, results, strict=True):
        if result.status == "accepted":
            stored.accepted += 1
        elif result.status == "duplicate":
            stored.duplicate += 1
        else:
            reject = Reject(number, facts.source_id, result.reason or "", result.detail or "", text)
            stored.rejects.append(clean(reject))
    seen = known.find_hashes(session, {pair for pair in still_open if pair[1].isprintable()})
    stored.duplicate += sum(pair in seen for pair in still_open)
    stored.opened += sum(pair not in seen for pair in still_open)
    return stored


def _of_account(item: EventLine, account_id: str, options: Options) -> EventFacts:
    """The facts with their account. CloudEvents are known by the same name as if they had come by the API."""
    facts = item.facts
    source = intake.source_of(account_id, facts.source) if options.source == event_file.NAME else facts.source
    project = facts.project_code
    if options.account_code is not None and project is None and item.account_code != options.account_code:
        project = item.account_code
    return facts._replace(account_id=account_id, source=source, project_code=project)


def _unknown(code: str | None) -> tuple[str, str]:
    if code is None:
        return "missing_account", "the line names no account: import with --account"
    return "unknown_account", f"no billing account {code[:64]}: create it, or import with --create-accounts"
