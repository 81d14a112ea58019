"""By which anyone can ask whether a file is genuine, and by nothing else."""

import hashlib

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    op.create_table(
        "document_fingerprints",
        sa.Column("fingerprint", types.ident(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_document_fingerprints")),
        sqlite_strict=True,
    )
    # Documents that were issued before can be asked for as well.
    bind = op.get_bind()
    rows = bind.execute(
        sa.text(
            "SELECT h.number AS number, d.sha256 AS sha256 FROM invoice_documents d"
            " JOIN invoice_headers h ON h.id = d.invoice_id WHERE h.number IS NOT NULL"
        )
    )
    known = sorted({_fingerprint(row.number, row.sha256) for row in rows})
    for start in range(0, len(known), 1000):
        bind.execute(
            sa.text("INSERT INTO document_fingerprints (fingerprint) VALUES (:fingerprint)"),
            [{"fingerprint": each} for each in known[start : start + 1000]],
        )


def downgrade() -> None:
    op.drop_table("document_fingerprints")


def _fingerprint(number: str, sha256: str) -> str:
    return hashlib.sha256(f"{number}\n{sha256}".encode()).hexdigest()
