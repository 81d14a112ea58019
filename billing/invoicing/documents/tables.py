"""Tables of rendered documents that belong to no tenant."""

from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Hash, table_args


class DocumentFingerprint(Base):
    """By which anyone can ask whether a file is genuine: SHA-256 over a document's number and its file's SHA-256, nothing else.

    On PostgreSQL the role of requests sees the one row it names (`walls.LOOKED_UP`), so that they cannot be listed.
    """

    __tablename__ = "document_fingerprints"

    fingerprint: Mapped[str] = mapped_column(Hash, primary_key=True)

    __table_args__ = table_args(guard=APPEND_ONLY)
