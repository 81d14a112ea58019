"""Who calls: an API key or an issuer's token in the Authorization header, what it may do, and the account the call is about."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, current_app, g, request

from billing.accounts import directory, keys, listing, names
from billing.accounts.errors import KeyRefused
from billing.accounts.listing import AccountRow
from billing.accounts.tables import ApiKey
from billing.kernel.errors import Invalid, NotFound
from billing.storage import failures
from billing.storage.database import Session
from portal import access, errors, services
from portal.api import rates
from portal.api.key_sets import Unreachable
from portal.api.tokens import Issuer, Token

View = TypeVar("View", bound=Callable[..., Any])
ISSUER = "plumbline.token_issuer"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A machine that has proved who it is. Without a tenant it is a service key; `key` is None for a token."""

    name: str  # as acts are signed: "apikey:<id>" or "token:<subject>"
    tenant_id: str | None
    tenant_ids: frozenset[str]  # every tenant it may speak for
    scopes: frozenset[str]
    key: ApiKey | None = None

    @property
    def bucket(self) -> str:
        """Under what its calls are counted: a token's subject may be a person's name and is not stored."""
        if self.key is not None:
            return self.name
        return f"token:{hashlib.sha256(f'{self.tenant_id} {self.name}'.encode()).hexdigest()}"


def needs(scope: str) -> Callable[[View], View]:
    """Declare a route for callers with this scope. Without a valid key 401, above the limit 429, with a key that may not 403."""

    def declare(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            refusal = _check(scope)
            return refusal if refusal is not None else view(*args, **kwargs)

        declared = access.by_key(checked)
        declared.access = f"key:{scope}"  # type: ignore[attr-defined]  # as access.by_key, with what it needs
        return cast(View, declared)

    return declare


def needs_staff(scope: str) -> Callable[[View], View]:
    """Declare a route for the operator's own machines: a service key with this scope, which sees every account's rows."""

    def declare(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            refusal = _check(scope)
            if refusal is not None:
                return refusal
            access.open_everything()
            return view(*args, **kwargs)

        declared = access.by_key(checked)
        declared.access = f"key:{scope}"  # type: ignore[attr-defined]  # as access.by_key, with what it needs
        return cast(View, declared)

    return declare


def actor() -> str:
    """How acts of this call are signed in the audit log."""
    return _caller().name


def scope_of_answers() -> str:
    """Whose stored answers a call may get again: its tenant's, so that a key can be replaced between two tries; a service key's own."""
    caller = _caller()
    return caller.name if caller.tenant_id is None else f"tenant:{caller.tenant_id}"


def may_name(tenant_id: str | None) -> bool:
    """Whether the caller speaks for this tenant."""
    return tenant_id in _caller().tenant_ids


def account_of(session: Session, code: str | None) -> AccountRow:
    """The billing account that the call names by its code, or a tenant's only one.

    An account of a tenant that the caller may not name is as absent as none. Raises NotFound; Invalid(reason="account_needed")
    where it must be named.
    """
    caller = _caller()
    if code is not None:
        found = directory.find_account_by_code(session, code)
        if found is None or found.tenant_id not in caller.tenant_ids:
            raise NotFound(account=names.shown(code))
        return listing.get_account(session, found.id)
    own = listing.of_tenant(session, caller.tenant_id) if caller.tenant_id is not None else []
    if len(own) != 1:
        raise Invalid(field="account", reason="account_needed")
    return own[0]


def _check(scope: str) -> Response | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    try:
        caller = _find_caller(text.strip()) if scheme.lower() == "bearer" else None
    except Unreachable:
        return _issuer_unreachable()
    if caller is None:
        return _unauthorised()
    g.api_caller = caller
    refusal = rates.use(caller.bucket)
    if refusal is not None:
        return refusal
    if scope not in caller.scopes:
        answer = errors.problem(
            403,
            code="insufficient_scope",
            title="This key may not do that",
            detail=f"The route needs the scope {scope}; the key has {' '.join(sorted(caller.scopes)) or 'none'}.",
        )
        answer.headers["WWW-Authenticate"] = f'Bearer realm="plumbline", error="insufficient_scope", scope="{scope}"'
        return answer
    return None


def _find_caller(text: str) -> Caller | None:
    """Who presents this, and the wall around their tenants' rows; None for nobody.

    Raises Unreachable where the issuer's keys are needed and cannot be had.
    """
    issuer: Issuer | None = current_app.extensions.get(ISSUER)
    is_token = issuer is not None and text.startswith("ey")  # the first letters of every JSON object in base64
    token = (
        issuer.check(text) if issuer is not None and is_token else None
    )  # before any transaction: it may ask the issuer
    with services.database().reading() as session:
        caller = _of_token(session, token) if is_token else _of_key(session, text)
        if caller is None:
            return None
        account_ids = listing.ids_of_tenants(session, caller.tenant_ids)
    access.open_wall(accounts=account_ids, tenants=caller.tenant_ids)
    if caller.key is not None and keys.is_use_due(caller.key, now=services.now()):
        _note_use(caller.key)
    return caller


def _of_key(session: Session, text: str) -> Caller | None:
    try:
        key = keys.verify(session, text, now=services.now())
    except KeyRefused:
        return None
    return Caller(
        name=f"apikey:{key.id}",
        tenant_id=key.tenant_id,
        tenant_ids=keys.tenant_ids_of(session, key),
        scopes=keys.scopes_of(key),
        key=key,
    )


def _of_token(session: Session, token: Token | None) -> Caller | None:
    tenant = directory.find_tenant(session, token.tenant) if token is not None else None
    if token is None or tenant is None:
        return None
    return Caller(
        name=f"token:{token.subject}", tenant_id=tenant.id, tenant_ids=frozenset({tenant.id}), scopes=token.scopes
    )


def _note_use(key: ApiKey) -> None:
    """Once an hour; a note that is lost does no harm."""
    try:
        with services.database().noting() as session:
            keys.note_use(session, key.id, now=services.now())
    except Exception as error:
        if not failures.is_unavailable(error):
            raise


def _unauthorised() -> Response:
    answer = errors.problem(
        401,
        code="key_refused",
        title="No valid API key",
        detail="Send a key as Authorization: Bearer plk_... Keys are made by whoever runs this portal.",
    )
    answer.headers["WWW-Authenticate"] = 'Bearer realm="plumbline"'
    return answer


def _issuer_unreachable() -> Response:
    answer = errors.problem(
        503,
        code="issuer_unreachable",
        title="Tokens cannot be checked now",
        detail="The issuer of bearer tokens does not answer. API keys work as ever.",
    )
    answer.headers["Retry-After"] = "30"
    return answer


def _caller() -> Caller:
    return cast(Caller, g.api_caller)
