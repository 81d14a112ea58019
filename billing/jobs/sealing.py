"""Signing a root and laying it outside the database: a transaction, then a file, in that order."""

from datetime import datetime

from billing.assurance.bundle import Checkpoint
from billing.ledger import root_files, roots
from billing.ledger.root_files import Keeping
from billing.ledger.roots import RootRow
from billing.storage import signing, tenancy
from billing.storage.database import Database


def sign_root(database: Database, keeping: Keeping, *, now: datetime, actor: str) -> RootRow | None:
    """The root that was signed over all chains as they stand, None when there was nothing new; its file is written after the commit.

    A process that dies between the two leaves a root without a file: the next one writes it. Raises what `roots.sign` and
    `root_files.export` raise. Sees all chains, whatever scope the caller is in.
    """
    signer = signing.read_file(keeping.key_path)
    with tenancy.scope(tenancy.EVERYTHING):
        with database.transaction("jobs") as session:
            signed = roots.sign(session, signer, now=now, actor=actor)
        with database.reading("jobs") as session:
            root_files.export(session, keeping.folder)
    return signed


def checkpoint(database: Database, keeping: Keeping, *, account_id: str, now: datetime, actor: str) -> Checkpoint:
    """Sign a fresh root where there is something new, and prove that the account's head is under the newest: what a bundle ends at.

    Raises NothingSigned for an account to which nothing was posted, and what `sign_root` raises.
    """
    sign_root(database, keeping, now=now, actor=actor)
    with tenancy.scope(tenancy.EVERYTHING), database.reading("jobs") as session:
        return Checkpoint(
            inclusion=roots.prove(session, account_id),
            keys=signing.list_keys(session),
            signer=signing.read_file(keeping.key_path),
        )
