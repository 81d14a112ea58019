"""A signing key of a test's own, in a folder of its own: the roots' files lie beside it."""

import tempfile
from pathlib import Path

from billing.storage import signing
from tests.session import run_dir


def fresh() -> Path:
    """The file of a new key."""
    path = Path(tempfile.mkdtemp(prefix="keys-", dir=run_dir())) / "signing_key"
    signing.make_file(path)
    return path
