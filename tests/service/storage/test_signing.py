"""The signing key: its private half is a file, its public halves are rows, and each new key is vouched for by the one before it."""

import hashlib
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing.storage import signing
from billing.storage.database import Database
from billing.storage.signing import SigningKeyUnusable

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "keys" / "signing_key"
    signing.make_file(made)
    return made


def rotate(database: Database, path: Path) -> signing.KeyRow:
    with database.transaction() as session:
        return signing.rotate(session, path, now=NOW, actor="cli:test")


def test_a_known_seed_signs_as_rfc_8032_says() -> None:
    # RFC 8032, section 7.1, TEST 2
    signer = signing.Signer(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert signer.public_key == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert signer.sign(b"\x72") == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert signer.fingerprint == hashlib.sha256(bytes.fromhex(signer.public_key)).hexdigest()


def test_a_signature_is_of_its_message_and_key_alone(path: Path, tmp_path: Path) -> None:
    signer = signing.read_file(path)
    signature = signer.sign(b"words")
    assert signing.is_signed(b"words", signature, signer.public_key)
    other = tmp_path / "other"
    signing.make_file(other)
    for message, signed, key in (
        (b"other", signature, signer.public_key),
        (b"words", signature[:-2] + "00", signer.public_key),
        (b"words", "", signer.public_key),
        (b"words", "zz", signer.public_key),
        (b"words", signature, "00"),
        (b"words", signature, signing.read_file(other).public_key),
    ):
        assert not signing.is_signed(message, signed, key)


def test_the_file_is_for_its_owner_alone_and_is_made_once(path: Path) -> None:
    assert oct(os.stat(path).st_mode)[-3:] == "600"
    before = path.read_bytes()
    signing.make_file(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["", "zz" * 32, "ab" * 31, "ab" * 33, "é" * 32])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(SigningKeyUnusable):
        signing.read_file(path)
    with pytest.raises(SigningKeyUnusable):
        signing.read_file(tmp_path / "absent")


def test_the_first_key_becomes_known_at_its_first_use(database: Database, path: Path) -> None:
    signer = signing.read_file(path)
    for _ in range(2):
        with database.transaction() as session:
            assert signing.current(session, signer, now=NOW).fingerprint == signer.fingerprint
    with database.reading() as session:
        (row,) = signing.list_keys(session)
    assert (row.previous_id, row.is_vouched) == (None, True)


def test_a_new_key_is_vouched_for_by_the_old_one_which_signs_no_more(database: Database, path: Path) -> None:
    old = signing.read_file(path)
    made = rotate(database, path)
    signing.finish_rotation(path)
    new = signing.read_file(path)
    assert new.fingerprint == made.fingerprint != old.fingerprint
    assert signing.read_file(Path(f"{path}.{old.fingerprint[:8]}")).fingerprint == old.fingerprint
    with database.reading() as session:
        keys = signing.list_keys(session)
    assert [key.fingerprint for key in keys] == [old.fingerprint, new.fingerprint]
    assert all(key.is_vouched for key in keys)
    with database.transaction() as session:
        assert signing.current(session, new, now=NOW).id == made.id
    with pytest.raises(SigningKeyUnusable) as refused, database.transaction() as session:
        signing.current(session, old, now=NOW)
    assert refused.value.fields["reason"] == "superseded"


def test_a_strangers_key_is_refused(database: Database, path: Path, tmp_path: Path) -> None:
    with database.transaction() as session:
        signing.current(session, signing.read_file(path), now=NOW)
    other = tmp_path / "other"
    signing.make_file(other)
    with pytest.raises(SigningKeyUnusable) as refused, database.transaction() as session:
        signing.current(session, signing.read_file(other), now=NOW)
    assert refused.value.fields["reason"] == "unknown"


def test_a_rotation_cut_off_before_its_commit_leaves_the_old_key_in_force(database: Database, path: Path) -> None:
    old = signing.read_file(path)
    with suppress(ZeroDivisionError), database.transaction() as session:
        signing.rotate(session, path, now=NOW, actor="cli:test")
        raise ZeroDivisionError
    with database.transaction() as session:
        assert signing.current(session, old, now=NOW).fingerprint == old.fingerprint
    made = rotate(database, path)  # a new one, not the one that was never committed
    signing.finish_rotation(path)
    assert signing.read_file(path).fingerprint == made.fingerprint


def test_a_rotation_cut_off_after_its_commit_is_finished_by_calling_again(database: Database, path: Path) -> None:
    made = rotate(database, path)
    assert rotate(database, path).id == made.id
    signing.finish_rotation(path)
    assert signing.read_file(path).fingerprint == made.fingerprint
    with database.reading() as session:
        assert len(signing.list_keys(session)) == 2
