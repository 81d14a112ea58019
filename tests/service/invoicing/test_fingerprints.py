"""Whether a file is genuine can be asked one file at a time, and the list of fingerprints cannot be read by requests."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from billing.invoicing.documents import fingerprints
from billing.invoicing.documents.tables import DocumentFingerprint
from billing.kernel.errors import Invalid
from billing.storage import tenancy
from billing.storage.database import Database

A, B = "a" * 64, "b" * 64


def test_a_file_is_genuine_under_its_own_number_only(database: Database) -> None:
    with database.transaction("jobs") as session:
        fingerprints.record(session, number="INV-1", sha256=A)
        fingerprints.record(session, number="INV-1", sha256=A)  # a repeat changes nothing
        fingerprints.record(session, number="INV-2", sha256=B)
    with tenancy.scope(tenancy.NOTHING), database.reading() as session:
        asked = [(number, sha) for number in ("INV-1", "INV-2", "INV-3") for sha in (A, B)]
        genuine = [pair for pair in asked if fingerprints.is_genuine(session, *pair)]
        assert genuine == [("INV-1", A), ("INV-2", B)]
        assert fingerprints.is_genuine(session, " INV-1 ", A.upper())


def test_what_is_no_hash_is_refused(database: Database) -> None:
    with database.reading() as session:
        for bad in ("", "a" * 63, "g" * 64, "a" * 65):
            with pytest.raises(Invalid):
                fingerprints.is_genuine(session, "INV-1", bad)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_request_sees_only_the_fingerprint_it_names_and_writes_none(database: Database) -> None:
    with database.transaction("jobs") as session:
        fingerprints.record(session, number="INV-1", sha256=A)
        fingerprints.record(session, number="INV-2", sha256=B)
    with tenancy.scope(tenancy.NOTHING), database.reading() as session:
        assert session.scalars(select(DocumentFingerprint.fingerprint)).all() == []
        assert fingerprints.is_genuine(session, "INV-1", A)
        assert session.scalars(select(DocumentFingerprint.fingerprint)).all() == [fingerprints.of("INV-1", A)]
    with tenancy.scope(tenancy.NOTHING), pytest.raises(DBAPIError), database.transaction() as session:
        session.execute(text("INSERT INTO document_fingerprints VALUES ('forged')"))
