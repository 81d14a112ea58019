"""Keys of machines: `plk_<prefix>_<secret>`, shown once, kept as a hash. 256 random bits need no slow hash.

A tenant's key means that tenant. A key without one is a service key: it may name the tenants that it lists, and no others.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from billing.accounts import names, people, permissions
from billing.accounts.errors import KeyAboveMaker, KeyRefused
from billing.accounts.tables import ApiKey, ApiKeyTenant, Tenant
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, locks

LABEL_MAX = 80
# For how many days a key is good; None: until it is revoked.
LIVES_DAYS: tuple[int | None, ...] = (30, 90, 365, None)
_USE_EVERY = timedelta(hours=1)
_SERVICE = permissions.SERVICE_SCOPES | permissions.STAFF_SCOPES
_SHAPE = re.compile(r"plk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """A key as pages list it. `state` is active, expired or revoked; `tenants` are the (id, name) a service key may name."""

    id: str
    tenant_id: str | None
    label: str
    prefix: str
    scopes: tuple[str, ...]
    state: str
    created_at: datetime
    created_by: str | None  # in words
    expires_at: datetime | None
    last_used_at: datetime | None  # to the hour
    revoked_at: datetime | None
    tenants: tuple[tuple[str, str], ...]


def create_key(
    session: Session,
    *,
    now: datetime,
    tenant_id: str | None,
    label: str,
    scopes: Iterable[str],
    actor: str = "system",
    within: Collection[str] | None = None,
    days: int | None = None,
    tenant_ids: Collection[str] = (),
    form_key: str | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which cannot be read again. Ask `find_made` first where a form may come twice.

    `within` is what its maker may do, `days` how long it is good (one of LIVES_DAYS); `tenant_ids` are the tenants that a service
    key (no `tenant_id`) may name: none where all its scopes are the operator's own. Raises Invalid for scopes, expiry or tenants that cannot be, KeyAboveMaker, NotFound for a tenant.
    """
    wanted = _require_scopes(scopes, within, permissions.SCOPES if tenant_id else _SERVICE)
    if days not in LIVES_DAYS:
        raise Invalid(field="expiry", value=days, reason="unknown_expiry")
    is_everyones = tenant_id is None and permissions.STAFF_SCOPES.issuperset(wanted)
    listed = [] if is_everyones and not tenant_ids else _require_tenants(session, tenant_id, tenant_ids)
    label = names.require_name(label, "label", max_length=LABEL_MAX)
    prefix = secrets.token_hex(6)
    plaintext = f"plk_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        id=new_id("key"),
        tenant_id=tenant_id,
        label=label,
        prefix=prefix,
        key_hash=_hash(plaintext),
        scopes=" ".join(wanted),
        created_at=now,
        created_by=actor,
        expires_at=now + timedelta(days=days) if days is not None else None,
        form_key=_form(actor, tenant_id, form_key),
    )
    session.add(key)
    session.flush()  # its prefix must collide here, and its tenants refer to it
    session.add_all(ApiKeyTenant(key_id=key.id, tenant_id=listed_id) for listed_id in listed)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="key.create",
        subject_type="api_key",
        subject_id=key.id,
        facts={"tenant_id": tenant_id, "scopes": key.scopes, "days": days, "tenant_ids": list(listed)},
    )
    session.flush()  # its tenants with it
    return key, plaintext


def find_made(session: Session, *, actor: str, tenant_id: str | None, form_key: str) -> ApiKey | None:
    """The key that this form of that maker has made already for the tenant, or None. Locks the form until the transaction ends."""
    made_by = _form(actor, tenant_id, form_key)
    locks.take(session, f"api_keys:{made_by}")
    return session.scalar(select(ApiKey).where(ApiKey.form_key == made_by)) if made_by is not None else None


def verify(session: Session, plaintext: str, *, now: datetime) -> ApiKey:
    """The key that a machine presents. Raises KeyRefused for anything else, with one answer for all causes."""
    match = _SHAPE.fullmatch(plaintext)
    key = session.scalar(select(ApiKey).where(ApiKey.prefix == match[1])) if match else None
    if key is None or not hmac.compare_digest(key.key_hash, _hash(plaintext)) or _state(key, now) != "active":
        raise KeyRefused()
    return key


def scopes_of(key: ApiKey) -> frozenset[str]:
    """What the key may do."""
    return frozenset(key.scopes.split())


def may_name(session: Session, key: ApiKey, tenant_id: str) -> bool:
    """Whether the key may speak for that tenant: its own, or one that a service key lists."""
    if key.tenant_id is not None:
        return key.tenant_id == tenant_id
    return session.get(ApiKeyTenant, (key.id, tenant_id)) is not None


def tenant_ids_of(session: Session, key: ApiKey) -> frozenset[str]:
    """Every tenant that the key may speak for."""
    if key.tenant_id is not None:
        return frozenset({key.tenant_id})
    return frozenset(session.scalars(select(ApiKeyTenant.tenant_id).where(ApiKeyTenant.key_id == key.id)))


def is_use_due(key: ApiKey, *, now: datetime) -> bool:
    """Whether `note_use` has something to write: once an hour at most, so that calling the API does not become writing."""
    return key.last_used_at is None or key.last_used_at < _hour(now)


def note_use(session: Session, key_id: str, *, now: datetime) -> None:
    """Note that the key was used in this hour. In a short transaction of its own: a note that is lost does no harm."""
    hour = _hour(now)
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < hour))
        .values(last_used_at=hour)
    )


def list_keys(session: Session, *, now: datetime, tenant_id: str | None) -> list[KeyRow]:
    """The keys of a tenant (None: service keys): those in force first, then the newest first."""
    mine = ApiKey.tenant_id == tenant_id if tenant_id is not None else ApiKey.tenant_id.is_(None)
    rows = _rows(session, list(session.scalars(select(ApiKey).where(mine).order_by(ApiKey.id.desc()))), now)
    return sorted(rows, key=lambda row: row.state != "active")


def get_key(session: Session, *, now: datetime, key_id: str, tenant_id: str | None) -> KeyRow:
    """One key of that tenant (None: a service key). Raises NotFound, also for another tenant's."""
    return _rows(session, [_get(session, key_id, tenant_id)], now)[0]


def revoke_own(session: Session, *, now: datetime, key_id: str, tenant_id: str | None, actor: str) -> ApiKey:
    """As `revoke`, of a key of that tenant (None: a service key) alone. Raises NotFound, also for another tenant's."""
    return revoke(session, now=now, key_id=_get(session, key_id, tenant_id).id, actor=actor)


def revoke(session: Session, *, now: datetime, key_id: str, actor: str = "system") -> ApiKey:
    """End a key from now on; ending it again changes nothing. Raises NotFound."""
    key = session.get(ApiKey, key_id) if names.is_safe(key_id) else None
    if key is None:
        raise NotFound(key_id=names.shown(key_id))
    if key.revoked_at is None:
        key.revoked_at = now
        audit.record(session, now=now, actor=actor, act="key.revoke", subject_type="api_key", subject_id=key.id)
        session.flush()  # the next request must find it ended
    return key


def _require_scopes(scopes: Iterable[str], within: Collection[str] | None, allowed: Collection[str]) -> list[str]:
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in allowed]
    if unknown or not wanted:
        raise Invalid(
            field="scopes", value=names.shown(" ".join(unknown)), reason="unknown_scope" if unknown else "empty"
        )
    above = [scope for scope in wanted if within is not None and scope not in within]
    if above:
        raise KeyAboveMaker(scopes=" ".join(above))
    return wanted


def _require_tenants(session: Session, tenant_id: str | None, tenant_ids: Collection[str]) -> list[str]:
    listed = sorted(set(tenant_ids))
    if tenant_id is not None and listed:
        raise Invalid(field="tenants", reason="tenants_not_wanted")
    if tenant_id is None and not listed:
        raise Invalid(field="tenants", reason="tenants_needed")
    for wanted in listed or [str(tenant_id)]:
        if not names.is_safe(wanted) or session.get(Tenant, wanted) is None:
            raise NotFound(tenant_id=names.shown(wanted))
    return listed


def _get(session: Session, key_id: str, tenant_id: str | None) -> ApiKey:
    key = session.get(ApiKey, key_id) if names.is_safe(key_id) else None
    if key is None or key.tenant_id != tenant_id:
        raise NotFound(key_id=names.shown(key_id))
    return key


def _rows(session: Session, found: list[ApiKey], now: datetime) -> list[KeyRow]:
    makers = people.names_of(session, [key.created_by for key in found])
    listed: dict[str, list[tuple[str, str]]] = {}
    named = (
        select(ApiKeyTenant.key_id, Tenant.id, Tenant.name)
        .join(Tenant, Tenant.id == ApiKeyTenant.tenant_id)
        .where(ApiKeyTenant.key_id.in_([key.id for key in found]))
        .order_by(Tenant.name, Tenant.id)
    )
    for key_id, tenant_id, name in session.execute(named).all():
        listed.setdefault(key_id, []).append((tenant_id, name))
    return [
        KeyRow(
            id=key.id,
            tenant_id=key.tenant_id,
            label=key.label,
            prefix=f"plk_{key.prefix}",
            scopes=tuple(key.scopes.split()),
            state=_state(key, now),
            created_at=key.created_at,
            created_by=makers.get(key.created_by, key.created_by) if key.created_by else None,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
            tenants=tuple(listed.get(key.id, ())),
        )
        for key in found
    ]


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def _form(actor: str, tenant_id: str | None, form_key: str | None) -> str | None:
    """Forms count per maker and tenant: nobody can use up another person's, and changing the account makes it another form."""
    return f"{actor}:{tenant_id or 'service'}:{form_key}" if form_key else None


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _hash(plaintext: str) -> str:
    return hashlib.sha256(plaintext.encode()).hexdigest()
