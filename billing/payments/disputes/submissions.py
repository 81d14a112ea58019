"""Answers on their way: stored byte for byte before they are sent, sent once, and what became of them."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel import canonical
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.payments.disputes import evidence, history, states
from billing.payments.disputes.errors import DeadlinePassed, EvidenceChanged, NotAnswerable
from billing.payments.disputes.tables import Dispute, DisputeFile, DisputeSubmission
from billing.payments.providers.ports.disputes import Answer, DisputeFacts, EvidenceFile
from billing.storage import audit, correlation

OPEN = ("created", "unknown")


@dataclass(frozen=True, kw_only=True)
class SubmissionRow:
    """One answer: `kind` is evidence or acceptance, `state` created, unknown, submitted or failed."""

    id: str
    dispute_id: str
    kind: str
    state: str
    sha256: str
    content: dict[str, Any]
    failure: str | None
    submitted_by: str
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Sending:
    """What the provider is asked, all from stored rows: the same each time."""

    submission_id: str
    kind: str
    provider: str
    provider_dispute_id: str
    texts: dict[str, str]
    files: tuple[tuple[str, EvidenceFile], ...]  # (field, file)
    uploads: dict[str, str]
    created_at: datetime
    count_before: int
    correlation_id: str | None

    def answer(self, uploads: dict[str, str]) -> Answer:
        """The final call, with every file's id at the provider."""
        return Answer(
            reference=self.submission_id,
            dispute_id=self.provider_dispute_id,
            texts=self.texts,
            files={field: uploads[file.reference] for field, file in self.files},
        )


def begin(
    session: Session, *, now: datetime, dispute_id: str, kind: str, expected_sha256: str, form_key: str, actor: str
) -> SubmissionRow:
    """Store the intent to answer for good, `kind` evidence or acceptance; the same form twice is one. Locks the dispute.

    `expected_sha256` is of the evidence that the person saw. Raises NotFound, NotAnswerable (answered, ended, already being
    answered, an inquiry that cannot be accepted), DeadlinePassed, EvidenceChanged, Invalid for nothing to say.
    """
    if not form_key or len(form_key) > 200:
        raise Invalid(field="form_key", reason="form_key_missing")
    item = evidence.get_dispute(session, dispute_id, lock=True)
    known = session.execute(
        select(DisputeSubmission).where(
            DisputeSubmission.dispute_id == dispute_id, DisputeSubmission.form_key == form_key
        )
    ).scalar_one_or_none()
    if known is not None:
        if known.kind != kind:
            raise Conflict(dispute_id=dispute_id, reason="form_key_reused")
        return _row(known)
    _require_answerable(session, item, now, kind)
    content = _content(session, item, kind, expected_sha256)
    row = DisputeSubmission(
        id=new_id("dsb"),
        dispute_id=dispute_id,
        kind=kind,
        form_key=form_key,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        submission_count=item.submission_count,
        state="created",
        uploads={},
        submitted_by=actor,
        created_at=now,
        sent_at=now,
        correlation_id=correlation.current(),
    )
    session.add(row)
    session.flush()
    _note(session, now, item, row, "begun", actor)
    return _row(row)


def sending_of(session: Session, submission_id: str) -> Sending:
    """What the provider is or was asked. Raises NotFound."""
    row = _lock(session, submission_id, lock=False)
    item = session.get_one(Dispute, row.dispute_id)
    content = json.loads(row.content)
    files = []
    for said in content.get("files", ()):
        file = session.get_one(DisputeFile, said["id"])
        files.append(
            (
                said["field"],
                EvidenceFile(reference=file.id, name=file.name, media_type=file.media_type, content=file.content),
            )
        )
    return Sending(
        submission_id=row.id,
        kind=row.kind,
        provider=item.provider,
        provider_dispute_id=item.provider_dispute_id,
        texts=content.get("texts", {}),
        files=tuple(files),
        uploads=dict(row.uploads),
        created_at=row.created_at,
        count_before=row.submission_count,
        correlation_id=row.correlation_id,
    )


def record_upload(session: Session, *, submission_id: str, file_id: str, provider_file_id: str) -> None:
    """Keep the provider's id of a file that arrived there."""
    row = _lock(session, submission_id)
    if row.state in OPEN:
        row.uploads = dict(row.uploads) | {file_id: provider_file_id}
        session.flush()


def record_outcome(
    session: Session, *, now: datetime, submission_id: str, state: str, failure: str | None = None
) -> None:
    """unknown, submitted or failed; what is submitted or failed stays so. Locks the dispute, then the answer."""
    item = evidence.get_dispute(session, _lock(session, submission_id, lock=False).dispute_id, lock=True)
    row = _lock(session, submission_id)
    if row.state not in OPEN or (row.state == state == "unknown"):
        return
    row.state, row.failure = state, failure[:300] if failure else None
    if state == "unknown":
        row.looked_up_at = now
    else:
        row.ended_at = now
    session.flush()
    _note(session, now, item, row, state, row.submitted_by)


def has_arrived(sending: Sending, facts: DisputeFacts) -> bool:
    """Whether the provider's dispute shows that this answer is the one it has."""
    if facts.answered_by == sending.submission_id:
        return True
    return sending.kind == "acceptance" and facts.status == "lost"


def list_submissions(session: Session, dispute_id: str) -> list[SubmissionRow]:
    """All answers to a dispute, newest first."""
    rows = session.execute(
        select(DisputeSubmission)
        .where(DisputeSubmission.dispute_id == dispute_id)
        .order_by(DisputeSubmission.id.desc())
    ).scalars()
    return [_row(row) for row in rows]


def get_submission(session: Session, submission_id: str) -> SubmissionRow:
    """One answer. Raises NotFound."""
    return _row(_lock(session, submission_id, lock=False))


def _require_answerable(session: Session, item: Dispute, now: datetime, kind: str) -> None:
    if item.state not in states.WAITING:
        raise NotAnswerable(dispute_id=item.id, state=item.state, reason="dispute_answered")
    if kind == "acceptance" and item.is_inquiry:
        raise NotAnswerable(dispute_id=item.id, state=item.state, reason="inquiry_is_refunded")
    if item.due_by is not None and item.due_by <= now:
        raise DeadlinePassed(dispute_id=item.id, due_by=item.due_by.isoformat(), reason="deadline_passed")
    under_way = select(DisputeSubmission.id).where(
        DisputeSubmission.dispute_id == item.id, DisputeSubmission.state.in_((*OPEN, "submitted"))
    )
    if session.execute(under_way.limit(1)).first() is not None and item.provider_state != "appeal_needs_response":
        raise NotAnswerable(dispute_id=item.id, state=item.state, reason="answer_under_way")


def _content(session: Session, item: Dispute, kind: str, expected_sha256: str) -> bytes:
    if kind == "acceptance":
        return canonical.dumps(
            {"answer": "acceptance", "provider": item.provider, "dispute": item.provider_dispute_id}
        ).encode()
    draft = evidence.get_draft(session, item.id)
    if draft.is_empty:
        raise Invalid(field="evidence", reason="evidence_empty")
    if draft.sha256 != expected_sha256:
        raise EvidenceChanged(dispute_id=item.id, reason="evidence_changed")
    return evidence.content_of(item, draft.texts, draft.files)


def _note(session: Session, now: datetime, item: Dispute, row: DisputeSubmission, what: str, actor: str) -> None:
    facts = {"submission_id": row.id, "sha256": row.sha256, "kind": row.kind}
    history.add(
        session,
        item,
        now=now,
        type=f"{row.kind}_{what}",
        actor=actor,
        facts=facts | ({"failure": row.failure} if row.failure else {}),
    )
    audit.record(
        session,
        now=now,
        actor=actor,
        act=f"dispute.{row.kind}_{what}",
        subject_type="payment_dispute",
        subject_id=item.id,
        billing_account_id=item.billing_account_id,
        facts=facts,
    )


def _lock(session: Session, submission_id: str, *, lock: bool = True) -> DisputeSubmission:
    query = select(DisputeSubmission).where(DisputeSubmission.id == submission_id)
    row = session.execute(
        (query.with_for_update() if lock else query).execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if row is None:
        raise NotFound(submission_id=submission_id[:60])
    return row


def _row(row: DisputeSubmission) -> SubmissionRow:
    return SubmissionRow(
        id=row.id,
        dispute_id=row.dispute_id,
        kind=row.kind,
        state=row.state,
        sha256=row.sha256,
        content=json.loads(row.content),
        failure=row.failure,
        submitted_by=row.submitted_by,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
