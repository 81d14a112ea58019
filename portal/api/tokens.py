"""Bearer tokens of a configured issuer (AC2): signed, for us, in time, and naming a tenant and scopes that exist here."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing.accounts import names, permissions
from portal.api.key_sets import ALGORITHMS, KeySet

_MAX_TOKEN = 8 * 1024
_LEEWAY_S = 60
_KID = re.compile(r"[A-Za-z0-9._~+/=:-]{1,200}")
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MAX_SUBJECT = 100


@dataclass(frozen=True, kw_only=True)
class Token:
    """What a checked token says: for whom it speaks, the tenant by id or code, and what it may do."""

    subject: str
    tenant: str
    scopes: frozenset[str]


class Issuer:
    """The one issuer whose tokens are taken; `key_set` is a URL or the path of a file."""

    def __init__(self, *, issuer: str, audience: str, key_set: str) -> None:
        self._issuer, self._audience = issuer, audience
        self._keys = KeySet(key_set)

    def check(self, text: str) -> Token | None:
        """What the token says, None for one that is not good for any reason. Raises key_sets.Unreachable."""
        import jwt  # where an issuer is configured

        if len(text) > _MAX_TOKEN or not _SHAPE.fullmatch(text):
            return None
        try:
            header = jwt.get_unverified_header(text)
            kid = header.get("kid")
            if header.get("alg") not in ALGORITHMS or not (kid is None or _KID.fullmatch(kid)):
                return None
            key = self._keys.find(kid)
            if key is None or key.algorithm_name != header["alg"]:
                return None
            claims = jwt.decode(
                text,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "tenant", "scope"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return _token(claims)


def _token(claims: Mapping[str, Any]) -> Token | None:
    subject, tenant, scope = claims["sub"], claims["tenant"], claims["scope"]
    if not isinstance(scope, str) or not all(isinstance(text, str) and text for text in (subject, tenant)):
        return None
    if not names.is_safe(subject) or not names.is_safe(tenant) or len(tenant) > names.CODE_MAX:
        return None
    return Token(
        subject=subject if len(subject) <= _MAX_SUBJECT else hashlib.sha256(subject.encode()).hexdigest(),
        tenant=tenant,
        scopes=frozenset(scope.split()) & permissions.SCOPES,
    )
