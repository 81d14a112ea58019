"""Is this file the one we issued under this number? Answered without a word about anybody: a fingerprint of both is known or not."""

import hashlib
import re

from sqlalchemy import exists, select, text
from sqlalchemy.orm import Session

from billing.invoicing.documents.tables import DocumentFingerprint
from billing.kernel.errors import Invalid
from billing.storage import limits

PER_ADDRESS = limits.Policy(name="verify_document", limit=60, window_s=900)
"""How often one network may ask: nobody finds a fingerprint by trying, and a queue of auditors is not turned away."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def of(number: str, sha256: str) -> str:
    """SHA-256 in hex over "number, line feed, the file's SHA-256 in lower-case hex". Raises Invalid(field="sha256") for another shape."""
    sha256 = sha256.strip().lower()
    if not _SHA256.fullmatch(sha256):
        raise Invalid(field="sha256", value=sha256[:80], reason="not_a_sha256")
    return hashlib.sha256(f"{number}\n{sha256}".encode()).hexdigest()


def record(session: Session, *, number: str, sha256: str) -> None:
    """Make a rendered file of an issued document known, in the transaction that stores it; a repeat changes nothing."""
    fingerprint = of(number, sha256)
    if not _is_known(session, fingerprint):
        session.add(DocumentFingerprint(fingerprint=fingerprint))
        session.flush()  # before the next look: the same file may be known twice in one transaction


def is_genuine(session: Session, number: str, sha256: str) -> bool:
    """Whether a file of this hash was issued under this number. One look-up whatever is wrong: the number, the hash or both.

    Raises Invalid(field="sha256") for what is no SHA-256 in hex.
    """
    return _is_known(session, of(number.strip(), sha256))


def _is_known(session: Session, fingerprint: str) -> bool:
    if session.get_bind().dialect.name == "postgresql":
        # The wall lets a request see this one row (`walls.LOOKED_UP`).
        session.execute(text("SELECT set_config('plumbline.looked_up', :one, true)"), {"one": fingerprint})
    return bool(session.scalar(select(exists().where(DocumentFingerprint.fingerprint == fingerprint))))
