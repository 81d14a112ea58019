"""Who calls: an API key in the Authorization header, what it may do, and the billing account that the call is about."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, g, request

from billing.accounts import directory, keys, listing, names
from billing.accounts.errors import KeyRefused
from billing.accounts.listing import AccountRow
from billing.accounts.tables import ApiKey
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Session
from portal import access, errors, services

View = TypeVar("View", bound=Callable[..., Any])


def needs(scope: str) -> Callable[[View], View]:
    """Declare a route for keys with this scope. Without a valid key 401, with one that may not 403."""

    def declare(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            refusal = _check(scope)
            return refusal if refusal is not None else view(*args, **kwargs)

        declared = access.by_key(checked)
        declared.access = f"key:{scope}"  # type: ignore[attr-defined]  # as access.by_key, with what it needs
        return cast(View, declared)

    return declare


def actor() -> str:
    """How acts of this call are signed in the audit log."""
    return f"apikey:{_key().id}"


def scope_of_answers() -> str:
    """Whose stored answers a call may get again: each key's own."""
    return f"apikey:{_key().id}"


def account_of(session: Session, code: str | None) -> AccountRow:
    """The billing account that the call names by its code, or a tenant key's only one.

    Another tenant's account is as absent as none. Raises NotFound; Invalid(reason="account_needed") where it must be named.
    """
    tenant_id = _key().tenant_id
    if code is not None:
        found = directory.find_account_by_code(session, code)
        if found is None or found.kind == "house" or tenant_id not in (None, found.tenant_id):
            raise NotFound(account=names.shown(code))
        return listing.get_account(session, found.id)
    own = listing.of_tenant(session, tenant_id) if tenant_id is not None else []
    if len(own) != 1:
        raise Invalid(field="account", reason="account_needed")
    return own[0]


def _check(scope: str) -> Response | None:
    scheme, _, plaintext = request.headers.get("Authorization", "").partition(" ")
    key = None
    if scheme.lower() == "bearer":
        try:
            with services.database().reading() as session:
                key = keys.verify(session, plaintext.strip())
        except KeyRefused:
            key = None
    if key is None:
        answer = errors.problem(
            401,
            code="key_refused",
            title="No valid API key",
            detail="Send a key as Authorization: Bearer plk_... Keys are made by whoever runs this portal.",
        )
        answer.headers["WWW-Authenticate"] = 'Bearer realm="plumbline"'
        return answer
    if scope not in keys.scopes_of(key):
        answer = errors.problem(
            403,
            code="insufficient_scope",
            title="This key may not do that",
            detail=f"The route needs the scope {scope}; the key has {key.scopes}.",
        )
        answer.headers["WWW-Authenticate"] = f'Bearer realm="plumbline", error="insufficient_scope", scope="{scope}"'
        return answer
    g.api_key = key
    return None


def _key() -> ApiKey:
    return cast(ApiKey, g.api_key)
