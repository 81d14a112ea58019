"""Acts of disputes at a provider: the intent is committed before the call and the outcome after it, nothing in between (Law 6).

An answer that nobody confirmed is looked up, and sent again under its own key only where it certainly did not arrive, within the
time that the provider remembers the key.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import or_, select

from billing.kernel.errors import Invalid, Refusal
from billing.payments.disputes import collecting, evidence, states, submissions, taking
from billing.payments.disputes.submissions import Sending, SubmissionRow
from billing.payments.disputes.tables import Dispute, DisputeEvidence, DisputeSubmission
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.port import Provider
from billing.payments.providers.ports.disputes import DisputeFacts
from billing.payments.tables import Payment
from billing.storage import correlation
from billing.storage.database import Database, Role

_log = logging.getLogger("billing.payments")
_BATCH = 50
_REPEAT_WITHIN = timedelta(hours=23)
_SETTLE = timedelta(seconds=60)
_LOOK_EVERY = timedelta(hours=6)
_LIST_BACK = timedelta(days=3)
_JOB = "job:disputes"
_NEVER_ARRIVED = "never_reached_provider"


def answer(
    database: Database,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    dispute_id: str,
    kind: str,
    expected_sha256: str,
    form_key: str,
    actor: str,
    role: Role = "web",
) -> SubmissionRow:
    """Submit the evidence, or accept the dispute (`kind` evidence or acceptance), for good: submitted, failed or unknown.

    The same form again gives the same answer. Raises what `submissions.begin` raises, Invalid when the provider is not configured.
    """
    with database.transaction(role) as session:
        row = submissions.begin(
            session,
            now=now,
            dispute_id=dispute_id,
            kind=kind,
            expected_sha256=expected_sha256,
            form_key=form_key,
            actor=actor,
        )
        sending = submissions.sending_of(session, row.id)
        if sending.provider not in providers:
            raise Invalid(field="provider", value=sending.provider, reason="provider_not_configured")
    if row.state == "created" and row.created_at == now:
        deliver(database, providers[sending.provider], now=now, sending=sending, role=role)
    with database.reading(role) as session:
        return submissions.get_submission(session, row.id)


def deliver(database: Database, provider: Provider, *, now: datetime, sending: Sending, role: Role = "jobs") -> None:
    """The calls themselves, every file and then the answer, and their outcome; the intent was committed before."""
    with correlation.restored(sending.correlation_id):
        try:
            uploads = _give_files(database, provider, sending, role)
            version = _version(database, sending, role)
            if sending.kind == "acceptance":
                facts = provider.accept_dispute(reference=sending.submission_id, dispute_id=sending.provider_dispute_id)
            else:
                facts = provider.submit_evidence(sending.answer(uploads))
        except ProviderRefused as refused:
            _end(database, now, sending, "failed", role, failure=str(refused))
            return
        except OutcomeUnknown:
            _end(database, now, sending, "unknown", role)
            return
        _end(database, now, sending, "submitted", role)
        _take(database, provider, facts, version, now, role)


def look(database: Database, provider: Provider, *, now: datetime, dispute_id: str, role: Role = "jobs") -> None:
    """Ask the provider how a dispute stands and take it over. Raises OutcomeUnknown, ProviderRefused, ProviderMismatch, NotFound."""
    with database.reading(role) as session:
        item = evidence.get_dispute(session, dispute_id)
        provider_dispute_id, version, thread = item.provider_dispute_id, item.version, item.correlation_id
    with correlation.restored(thread):
        facts = provider.fetch_dispute(provider_dispute_id)
        _record(database, provider, facts, version, now, role)


def run(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """What disputes need without anyone asking; how many moved. One that fails is logged and tried again later.

    Answers of unknown outcome are looked up; cases whose payment is known by now, and open disputes nobody spoke of for six hours,
    are looked at; those nobody told us of are found in the provider's list; deadlines come near; evidence is prepared.
    """
    done = 0
    for submission_id in _unsettled(database, providers, now):
        done += _attempt("answer", submission_id, partial(_settle, database, providers, submission_id, now))
    for dispute_id in _due_looks(database, providers, now):
        done += _attempt("dispute", dispute_id, partial(_look, database, providers, dispute_id, now))
    for dispute_id in _waiting(database):
        with database.transaction("jobs") as session:
            done += taking.pass_time(session, now=now, dispute_id=dispute_id)
    for dispute_id in _unprepared(database):
        done += _attempt("evidence", dispute_id, partial(prepare, database, now=now, dispute_id=dispute_id, actor=_JOB))
    return done


def find_untold(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """Take over the disputes of the last three days that no event told us of; how many. Asks each provider for its list."""
    found = 0
    for provider in providers.values():
        try:
            listed = provider.list_disputes(since=now - _LIST_BACK)
        except (OutcomeUnknown, ProviderRefused) as trouble:
            _log.warning("disputes could not be listed", extra={"provider": provider.name, "cause": str(trouble)})
            continue
        for facts in listed:
            with database.reading("jobs") as session:
                version = taking.find_version(session, provider=provider.name, provider_dispute_id=facts.id)
            if version == 0:
                found += _attempt("dispute", facts.id, partial(_record, database, provider, facts, 0, now, "jobs"))
    return found


def prepare(database: Database, *, now: datetime, dispute_id: str, actor: str, role: Role = "jobs") -> bool:
    """Put the evidence together from our own books, in place of what the draft says; False where there is nothing to say.

    Raises as `evidence.save`.
    """
    with database.reading(role) as session:
        collected = collecting.collect(session, now=now, dispute_id=dispute_id)
    if not collected.texts:
        return False
    with database.transaction(role) as session:
        draft = evidence.get_draft(session, dispute_id)
        draft = evidence.save(
            session, now=now, dispute_id=dispute_id, texts=collected.texts, version=draft.version, actor=actor
        )
        for field, name, content in collected.files:
            draft = evidence.attach(
                session,
                now=now,
                dispute_id=dispute_id,
                field=field,
                name=name,
                content=content,
                version=draft.version,
                actor=actor,
            )
    return True


def _give_files(database: Database, provider: Provider, sending: Sending, role: Role) -> dict[str, str]:
    uploads = dict(sending.uploads)
    for _field, file in sending.files:
        if file.reference not in uploads:
            uploads[file.reference] = provider.give_file(file)
            with database.transaction(role) as session:
                submissions.record_upload(
                    session,
                    submission_id=sending.submission_id,
                    file_id=file.reference,
                    provider_file_id=uploads[file.reference],
                )
    return uploads


def _end(
    database: Database, now: datetime, sending: Sending, state: str, role: Role, *, failure: str | None = None
) -> None:
    with database.transaction(role) as session:
        submissions.record_outcome(session, now=now, submission_id=sending.submission_id, state=state, failure=failure)


def _version(database: Database, sending: Sending, role: Role) -> int:
    with database.reading(role) as session:
        return taking.find_version(session, provider=sending.provider, provider_dispute_id=sending.provider_dispute_id)


def _take(database: Database, provider: Provider, facts: DisputeFacts, version: int, now: datetime, role: Role) -> None:
    """Take over what the answer's answer says; overtaken by an event, it is looked at again by the job."""
    try:
        _record(database, provider, facts, version, now, role)
    except (OutcomeUnknown, Refusal) as trouble:
        _log.warning("dispute not taken over", extra={"dispute": facts.id, "cause": str(trouble)})


def _record(
    database: Database, provider: Provider, facts: DisputeFacts, version: int, now: datetime, role: Role
) -> bool:
    with database.transaction(role) as session:
        taking.record(
            session,
            now=now,
            provider=provider.name,
            is_live=provider.is_live,
            facts=facts,
            version=version,
            actor=f"provider:{provider.name}",
        )
    return True


def _attempt(what: str, subject_id: str, act: Callable[[], bool]) -> bool:
    try:
        return bool(act())
    except (OutcomeUnknown, ProviderRefused, Refusal) as trouble:
        _log.warning("dispute left for later", extra={what: subject_id, "cause": str(trouble)})
        return False


def _look(database: Database, providers: Mapping[str, Provider], dispute_id: str, now: datetime) -> bool:
    with database.reading("jobs") as session:
        item = evidence.get_dispute(session, dispute_id)
        provider, before = providers[item.provider], (item.state, item.funds, item.finding)
    look(database, provider, now=now, dispute_id=dispute_id)
    with database.reading("jobs") as session:
        item = evidence.get_dispute(session, dispute_id)
        return (item.state, item.funds, item.finding) != before


def _settle(database: Database, providers: Mapping[str, Provider], submission_id: str, now: datetime) -> bool:
    """Find out whether an answer arrived; one that certainly did not is sent again under its key, or after 23 h given up."""
    with database.reading("jobs") as session:
        sending = submissions.sending_of(session, submission_id)
    provider = providers[sending.provider]
    version = _version(database, sending, "jobs")
    facts = provider.fetch_dispute(sending.provider_dispute_id)
    if submissions.has_arrived(sending, facts):
        _end(database, now, sending, "submitted", "jobs")
        _take(database, provider, facts, version, now, "jobs")
    elif now - sending.created_at < _REPEAT_WITHIN and states.state_of(facts.status, due_by=facts.due_by, now=now) in (
        states.WAITING
    ):
        deliver(database, provider, now=now, sending=sending)
    else:
        _end(database, now, sending, "failed", "jobs", failure=_NEVER_ARRIVED)
    with database.reading("jobs") as session:
        return submissions.get_submission(session, submission_id).state not in submissions.OPEN


def _unsettled(database: Database, providers: Mapping[str, Provider], now: datetime) -> list[str]:
    """Answers to look up, marked as looked up so that two runs do not ask twice."""
    query = (
        select(DisputeSubmission)
        .join(Dispute, Dispute.id == DisputeSubmission.dispute_id)
        .where(
            DisputeSubmission.state.in_(submissions.OPEN),
            DisputeSubmission.created_at <= now - _SETTLE,
            DisputeSubmission.looked_up_at.is_(None) | (DisputeSubmission.looked_up_at <= now - _SETTLE),
            Dispute.provider.in_(list(providers)),
        )
        .order_by(DisputeSubmission.created_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, of=DisputeSubmission)
    )
    with database.transaction("jobs") as session:
        rows = list(session.execute(query).scalars())
        for row in rows:
            row.looked_up_at = now
        return [row.id for row in rows]


def _due_looks(database: Database, providers: Mapping[str, Provider], now: datetime) -> list[str]:
    """Open disputes that nobody spoke of for long, and cases whose payment we know by now."""
    is_known = (
        select(Payment.id)
        .where(Payment.provider == Dispute.provider, Payment.provider_payment_id == Dispute.provider_payment_id)
        .exists()
    )
    query = (
        select(Dispute.id)
        .where(
            or_(
                Dispute.state.in_(states.OPEN) & (Dispute.looked_up_at <= now - _LOOK_EVERY),
                (Dispute.finding == "payment_unknown") & is_known,
            ),
            Dispute.provider.in_(list(providers)),
        )
        .order_by(Dispute.looked_up_at)
        .limit(_BATCH)
    )
    with database.reading("jobs") as session:
        return list(session.execute(query).scalars())


def _waiting(database: Database) -> list[str]:
    query = select(Dispute.id).where(Dispute.state.in_(("opened", "needs_response")), Dispute.due_by.is_not(None))
    with database.reading("jobs") as session:
        return list(session.execute(query.order_by(Dispute.due_by).limit(1_000)).scalars())


def _unprepared(database: Database) -> list[str]:
    query = (
        select(Dispute.id)
        .outerjoin(DisputeEvidence, DisputeEvidence.dispute_id == Dispute.id)
        .where(
            Dispute.state.in_(states.WAITING),
            Dispute.payment_id.is_not(None),
            DisputeEvidence.dispute_id.is_(None),
        )
        .order_by(Dispute.due_by)
        .limit(_BATCH)
    )
    with database.reading("jobs") as session:
        return list(session.execute(query).scalars())
