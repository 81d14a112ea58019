"""The public keys of a token issuer (JWKS, RFC 7517), fetched or read from a file, kept, and looked at again when one is missing.

A fetch happens at most once in `REFETCH_FLOOR_S`, whatever key ids callers invent, and never inside a transaction.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jwt import PyJWK  # loaded with the first token, as many installations have no issuer

REFETCH_FLOOR_S = 30
_MAX_AGE_S = 3600
_TIMEOUT_S = 5
_MAX_BYTES = 256 * 1024
_LEAST_RSA_BITS = 2048
# Signatures that only the issuer can make; what is not here, such as none and HS256, does not exist for us.
ALGORITHMS = ("RS256", "ES256", "EdDSA")


class Unreachable(Exception):
    """The issuer's keys were never read and cannot be read now."""


class KeySet:
    """The keys behind one URL or path, for all threads of a process."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._keys: dict[str | None, PyJWK] = {}
        self._tried_at: float | None = None  # by the monotonic clock
        self._read_at: float | None = None

    def find(self, kid: str | None) -> "PyJWK | None":
        """The key of that id; without an id the only one there is. None for one that the issuer does not have.

        Raises Unreachable.
        """
        with self._lock:
            is_old = self._read_at is None or time.monotonic() - self._read_at > _MAX_AGE_S
            if is_old or self._of(kid) is None:
                self._refresh()
            if self._read_at is None:
                raise Unreachable()
            return self._of(kid)

    def _of(self, kid: str | None) -> "PyJWK | None":
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return None if kid is None else self._keys.get(kid)

    def _refresh(self) -> None:
        """Read the keys anew, unless that was tried a moment ago. What cannot be read leaves the keys as they were."""
        import jwt

        if self._tried_at is not None and time.monotonic() - self._tried_at < REFETCH_FLOOR_S:
            return
        self._tried_at = time.monotonic()
        try:
            found = json.loads(_read(self._source))
            self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(found).keys if _is_usable(key)}
        except (OSError, ValueError, AttributeError, jwt.PyJWTError):
            return
        self._read_at = time.monotonic()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: "Message[str, str]", newurl: str
    ) -> None:
        return None


def _read(source: str) -> bytes:
    """The bytes of a JWKS; at most 256 kB are read, redirects are not followed. Raises OSError, ValueError."""
    if not source.startswith(("http://", "https://")):
        raw = Path(source).read_bytes()
    else:
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(source, timeout=_TIMEOUT_S) as answer:
            raw = answer.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError("the key set is too large")
    return raw


def _is_usable(key: "PyJWK") -> bool:
    """Whether the key is for signatures of a kind we take: no shared secrets, no short RSA keys."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    material: Any = key.key
    if isinstance(material, RSAPublicKey) and material.key_size < _LEAST_RSA_BITS:
        return False
    return key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig") and not hasattr(material, "sign")
