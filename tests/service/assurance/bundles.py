"""Bundles in tests: made from the walk's books, read by the verifier as a stranger would."""

import hashlib
import json
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

from billing.accounts import directory
from billing.assurance import bundle, verifier
from billing.assurance.bundle import Checkpoint, Range
from billing.assurance.bundle_file import BundleFile
from billing.ledger import roots
from billing.storage import signing
from billing.storage.database import Database
from tests.service.assurance.walk import LATER, SIGNER

VERIFIER = Path(verifier.__file__).with_name("plumbline_verify.py")


def checkpoint(database: Database, account_id: str) -> Checkpoint:
    """A fresh root where there is something new, and the account's proof under it."""
    with database.transaction("jobs") as session:
        roots.sign(session, SIGNER, now=LATER, actor="test")
    with database.reading("jobs") as session:
        return Checkpoint(inclusion=roots.prove(session, account_id), keys=signing.list_keys(session), signer=SIGNER)


def make(
    database: Database, account_id: str, *, from_at: datetime | None = None, to_at: datetime | None = None
) -> bytes:
    """An account's bundle."""
    found = checkpoint(database, account_id)
    with database.reading("jobs") as session:
        account = directory.get_account(session, account_id)
        return b"".join(bundle.stream(session, account, found, Range(from_at=from_at, to_at=to_at)))


def members(data: bytes, folder: Path) -> dict[str, bytes]:
    """Every member's bytes."""
    path = folder / "read.zip"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rows(data: bytes) -> list[dict[str, Any]]:
    """The rows of a member."""
    return [json.loads(line)[1] for line in data.splitlines()]


def packed(told: dict[str, bytes | list[dict[str, Any]]], *, signer: signing.Signer | None = None) -> bytes:
    """A bundle of altered members, all its own hashes made anew; with a signer, the manifest's signature too."""
    file, parts = BundleFile(), []
    for name, content in told.items():
        if name in ("manifest.json", "signature.json"):
            continue
        if name.endswith(".jsonl") and isinstance(content, bytes):
            content = rows(content)
        parts += file.add(name, [content]) if isinstance(content, bytes) else file.add_rows(name, content)
    original = told["manifest.json"]
    assert isinstance(original, bytes)
    manifest = bundle._line(json.loads(original) | {"files": file.files})
    parts += file.add("manifest.json", [manifest])
    signature = told["signature.json"]
    if signer is not None:
        signed = signer.sign(bundle._SIGNED + hashlib.sha256(manifest).digest())
        signature = bundle._line({"fingerprint": signer.fingerprint, "signature": signed})
    assert isinstance(signature, bytes)
    parts += file.add("signature.json", [signature])
    return b"".join([*parts, *file.close()])


def run(folder: Path, data: bytes, *arguments: str) -> tuple[int, str]:
    """(exit status, what it printed) of the verifier in an empty directory, apart from this installation."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plumbline_verify.py").write_bytes(VERIFIER.read_bytes())
    (folder / "bundle.zip").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-I", "plumbline_verify.py", "bundle.zip", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == "" or done.returncode == 64, done.stderr
    return done.returncode, done.stdout
