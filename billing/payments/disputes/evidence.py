"""The answer to a dispute while people work on it: texts and files, and the exact bytes of what would be submitted."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.kernel import canonical
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.payments.disputes import fields, states
from billing.payments.disputes.errors import EvidenceChanged, NotAnswerable
from billing.payments.disputes.tables import Dispute, DisputeEvidence, DisputeFile
from billing.storage import audit

_NAME_MAX = 120


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """One file of the answer: its field, name, size and hash."""

    id: str
    field: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    made_at: datetime


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The answer as it is now. `version` is 0 while nobody has begun; `sha256` is of the bytes that would be submitted."""

    dispute_id: str
    texts: Mapping[str, str]
    files: tuple[FileRow, ...]
    version: int
    sha256: str
    updated_by: str | None
    updated_at: datetime | None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to submit."""
        return not self.texts and not self.files


def get_draft(session: Session, dispute_id: str) -> Draft:
    """The answer to a dispute, empty where nobody has begun. Raises NotFound."""
    item = get_dispute(session, dispute_id)
    row = session.get(DisputeEvidence, dispute_id)
    files = _files(session, dict(row.files) if row else {})
    texts = dict(row.texts) if row else {}
    return Draft(
        dispute_id=dispute_id,
        texts=texts,
        files=files,
        version=row.version if row else 0,
        sha256=hashlib.sha256(content_of(item, texts, files)).hexdigest(),
        updated_by=row.updated_by if row else None,
        updated_at=row.updated_at if row else None,
    )


def save(
    session: Session, *, now: datetime, dispute_id: str, texts: Mapping[str, str], version: int, actor: str
) -> Draft:
    """Replace the texts; the files stay. Locks the dispute.

    Raises NotFound, NotAnswerable, EvidenceChanged when `version` is not the newest, and as `fields.require_texts`.
    """
    found = fields.require_texts(texts)
    row = _lock(session, now, dispute_id, version, actor)
    row.texts = found
    return _saved(session, now, row, actor, {"fields": sorted(found)})


def attach(
    session: Session,
    *,
    now: datetime,
    dispute_id: str,
    field: str,
    name: str,
    content: bytes,
    version: int,
    actor: str,
) -> Draft:
    """Put a file into a field, in place of the one there. Its bytes are kept for ever. Locks the dispute.

    Raises as `save`, and Invalid as `fields.require_file` or where all files together are too large.
    """
    media_type = fields.require_file(field, content)
    name = names.require_name(name, "name", max_length=_NAME_MAX)
    row = _lock(session, now, dispute_id, version, actor)
    file = _keep(session, now, dispute_id, name, media_type, content, actor)
    row.files = dict(row.files) | {field: file.id}
    return _saved(session, now, row, actor, {"field": field, "sha256": file.sha256})


def detach(session: Session, *, now: datetime, dispute_id: str, field: str, version: int, actor: str) -> Draft:
    """Take the file out of a field. Raises as `save`, and Invalid(unknown_field) where the field holds none."""
    row = _lock(session, now, dispute_id, version, actor)
    if field not in row.files:
        raise Invalid(field=field[:60], reason="unknown_field")
    row.files = {name: file_id for name, file_id in row.files.items() if name != field}
    return _saved(session, now, row, actor, {"field": field, "removed": True})


def get_dispute(session: Session, dispute_id: str, *, lock: bool = False) -> Dispute:
    """The dispute's row, read anew. Raises NotFound."""
    query = select(Dispute).where(Dispute.id == dispute_id).execution_options(populate_existing=True)
    item = session.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    if item is None:
        raise NotFound(dispute_id=dispute_id[:60])
    return item


def get_file(session: Session, *, dispute_id: str, file_id: str) -> DisputeFile:
    """One file with its bytes. Raises NotFound."""
    file = session.get(DisputeFile, file_id)
    if file is None or file.dispute_id != dispute_id:
        raise NotFound(file_id=file_id[:60])
    return file


def content_of(item: Dispute, texts: Mapping[str, str], files: tuple[FileRow, ...]) -> bytes:
    """What would be submitted, as canonical bytes: to which dispute, every text, and of each file field, name, type, size and hash."""
    return canonical.dumps(
        {
            "answer": "evidence",
            "provider": item.provider,
            "dispute": item.provider_dispute_id,
            "texts": dict(texts),
            "files": [
                {
                    "field": file.field,
                    "id": file.id,
                    "name": file.name,
                    "media_type": file.media_type,
                    "size_bytes": file.size_bytes,
                    "sha256": file.sha256,
                }
                for file in files
            ],
        }
    ).encode()


def _lock(session: Session, now: datetime, dispute_id: str, version: int, actor: str) -> DisputeEvidence:
    item = get_dispute(session, dispute_id, lock=True)
    if item.state not in states.WAITING:
        raise NotAnswerable(dispute_id=dispute_id, state=item.state, reason="dispute_answered")
    row = session.get(DisputeEvidence, dispute_id, populate_existing=True)
    if (row.version if row else 0) != version:
        raise EvidenceChanged(dispute_id=dispute_id, reason="evidence_changed")
    if row is None:
        row = DisputeEvidence(dispute_id=dispute_id, texts={}, files={}, version=0, updated_by=actor, updated_at=now)
        session.add(row)
    return row


def _keep(
    session: Session, now: datetime, dispute_id: str, name: str, media_type: str, content: bytes, actor: str
) -> DisputeFile:
    sha256 = hashlib.sha256(content).hexdigest()
    known = (
        session.execute(
            select(DisputeFile).where(
                DisputeFile.dispute_id == dispute_id, DisputeFile.sha256 == sha256, DisputeFile.name == name
            )
        )
        .scalars()
        .first()
    )
    if known is not None:
        return known
    file = DisputeFile(
        id=new_id("dpf"),
        dispute_id=dispute_id,
        name=name,
        media_type=media_type,
        sha256=sha256,
        content=content,
        made_by=actor,
        made_at=now,
    )
    session.add(file)
    session.flush()  # the draft names it
    return file


def _saved(session: Session, now: datetime, row: DisputeEvidence, actor: str, facts: dict[str, object]) -> Draft:
    files = _files(session, dict(row.files))
    size = sum(file.size_bytes for file in files)
    if size > fields.FILES_MAX_BYTES:
        raise Invalid(field="file", limit_bytes=fields.FILES_MAX_BYTES, reason="evidence_files_too_large")
    row.version, row.updated_by, row.updated_at = row.version + 1, actor, now
    item = get_dispute(session, row.dispute_id)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="dispute.evidence",
        subject_type="payment_dispute",
        subject_id=row.dispute_id,
        billing_account_id=item.billing_account_id,
        facts=facts | {"version": row.version},
    )
    session.flush()
    return get_draft(session, row.dispute_id)


def _files(session: Session, by_field: Mapping[str, str]) -> tuple[FileRow, ...]:
    rows = {
        row.id: row
        for row in session.execute(
            select(
                DisputeFile.id,
                DisputeFile.name,
                DisputeFile.media_type,
                DisputeFile.sha256,
                DisputeFile.made_at,
                func.length(DisputeFile.content).label("size_bytes"),
            ).where(DisputeFile.id.in_(list(by_field.values())))
        )
    }
    return tuple(
        FileRow(
            id=file_id,
            field=field,
            name=rows[file_id].name,
            media_type=rows[file_id].media_type,
            size_bytes=int(rows[file_id].size_bytes),
            sha256=rows[file_id].sha256,
            made_at=rows[file_id].made_at,
        )
        for field, file_id in sorted(by_field.items())
    )
