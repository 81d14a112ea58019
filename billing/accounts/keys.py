"""Keys of machines: `plk_<prefix>_<secret>`, shown once, kept as a hash. 256 random bits need no slow hash."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import names, permissions
from billing.accounts.errors import KeyRefused
from billing.accounts.tables import ApiKey, Tenant
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit

_SHAPE = re.compile(r"plk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


def create_key(
    session: Session, *, now: datetime, tenant_id: str | None, label: str, scopes: Iterable[str], actor: str = "system"
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which cannot be read again. Without a tenant it is a service key.

    Raises Invalid for scopes outside `permissions.SCOPES` or none at all, NotFound for the tenant.
    """
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in permissions.SCOPES]
    if unknown or not wanted:
        raise Invalid(
            field="scopes", value=names.shown(" ".join(unknown)), reason="unknown_scope" if unknown else "empty"
        )
    if tenant_id is not None and session.get(Tenant, tenant_id) is None:
        raise NotFound(tenant_id=tenant_id)
    prefix = secrets.token_hex(6)
    plaintext = f"plk_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        id=new_id("key"),
        tenant_id=tenant_id,
        label=names.require_name(label, "label"),
        prefix=prefix,
        key_hash=_hash(plaintext),
        scopes=" ".join(wanted),
        created_at=now,
    )
    session.add(key)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="key.create",
        subject_type="api_key",
        subject_id=key.id,
        facts={"tenant_id": tenant_id, "scopes": key.scopes},
    )
    session.flush()  # its prefix must collide here, not at the commit
    return key, plaintext


def verify(session: Session, plaintext: str) -> ApiKey:
    """The key that a machine presents. Raises KeyRefused for anything else, with one answer for all causes."""
    match = _SHAPE.fullmatch(plaintext)
    key = session.scalar(select(ApiKey).where(ApiKey.prefix == match[1])) if match else None
    if key is None or key.revoked_at is not None or not hmac.compare_digest(key.key_hash, _hash(plaintext)):
        raise KeyRefused()
    return key


def scopes_of(key: ApiKey) -> frozenset[str]:
    """What the key may do."""
    return frozenset(key.scopes.split())


def revoke(session: Session, *, now: datetime, key_id: str, actor: str = "system") -> ApiKey:
    """End a key from now on; ending it again changes nothing. Raises NotFound."""
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound(key_id=key_id)
    if key.revoked_at is None:
        key.revoked_at = now
        audit.record(session, now=now, actor=actor, act="key.revoke", subject_type="api_key", subject_id=key.id)
        session.flush()  # the next request must find it ended
    return key


def _hash(plaintext: str) -> str:
    return hashlib.sha256(plaintext.encode()).hexdigest()
