"""Who may open what. Every view declares it; one that does not is refused, so that a new page cannot be forgotten.

The billing account of a request comes only from `current_account()`: chosen in the session, checked against the person's
memberships each time, never taken from a URL or form. Who someone is comes from the token in their cookie, which names a row of
`billing.accounts.sessions`, read anew for each request.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from itsdangerous import BadSignature, URLSafeTimedSerializer

from billing.accounts import principals, sessions
from billing.accounts.principals import AccountAccess, Principal
from billing.accounts.sessions import Standing
from billing.storage import failures, tenancy
from portal import htmx, services
from portal.navigation import AccountChoice, Viewer

View = TypeVar("View", bound=Callable[..., Any])
_NEXT_MAX_AGE_S = 3600
_log = logging.getLogger("portal.access")
# What staff who still need a second factor may open: setting it up, and proving who they are for that.
ENROLMENT = (
    "you.two_step",
    "you.two_step_begin",
    "you.two_step_set_up",
    "you.two_step_file",
    "auth.verify",
    "auth.choose_account",
)
login_manager = LoginManager()


class SignedIn(UserMixin):
    """Flask-Login's view of a person: `principal` holds their rights, `standing` is the sign-in that this request belongs to."""

    def __init__(self, principal: Principal, standing: Standing, token: str) -> None:
        self.principal, self.standing = principal, standing
        self.id = principal.id
        self._token = token

    def get_id(self) -> str:
        """What the cookie holds: the token, and nothing that says who it is."""
        return self._token


def init_app(app: Flask) -> None:
    """Register the session's user, and the rule that a view without a declared permission is refused."""
    login_manager.init_app(app, add_context_processor=False)  # the frame knows the viewer; an error page asks nobody
    login_manager.session_protection = None  # an address changes on the road; sign-ins end by idleness and age
    app.before_request(_raise_wall)
    app.before_request(_refuse_undeclared)
    app.teardown_request(_lower_wall)


def public(view: View) -> View:
    """Declare that anyone may open this view."""
    view.access = "public"  # type: ignore[attr-defined]
    return view


def requires(permission: str, *, fresh: bool = False) -> Callable[[View], View]:
    """Declare a tenant's page: signed in, a billing account chosen, and this permission in it. Others: sign-in, 404 or 403.

    `fresh`: the person must have proved who they are within ten minutes, else they are asked to (step-up).
    """
    return _declared(permission, _check_tenant, fresh)


def requires_staff(permission: str, *, fresh: bool = False) -> Callable[[View], View]:
    """Declare an operator's page. Someone who is no staff gets 404: the page does not exist for them. `fresh` as in `requires`."""
    return _declared(f"staff:{permission}", _check_staff, fresh)


def requires_sign_in(*, fresh: bool = False) -> Callable[[View], View]:
    """Declare a page that every signed-in person has, about themselves. `fresh` as in `requires`."""
    return _declared("signed_in", _check_signed_in, fresh)


def by_key(view: View) -> View:
    """Declare a route that authenticates by itself: an API key or a provider's signature."""
    view.access = "key"  # type: ignore[attr-defined]
    return view


def open_wall(*, accounts: Iterable[str], tenants: Iterable[str]) -> None:
    """From now on this request's transactions see the rows of these billing accounts and tenants, and of no others."""
    _see(tenancy.of(accounts=accounts, tenants=tenants))


def open_everything() -> None:
    """From now on this request's transactions see every account's rows: for those who speak for the operator."""
    _see(tenancy.EVERYTHING)


def find_principal() -> Principal | None:
    """The signed-in person, or None."""
    return cast(Principal, current_user.principal) if current_user.is_authenticated else None


def current_principal() -> Principal:
    """The signed-in person. Only in views that declare a permission."""
    return cast(Principal, current_user.principal)


def current_standing() -> Standing:
    """The sign-in that this request belongs to. Only in views that declare a permission."""
    return cast(Standing, current_user.standing)


def current_account() -> AccountAccess:
    """The billing account this request is about: the chosen one if the person still may, else their first. 404 without any."""
    if "account" not in g:
        accounts = current_principal().accounts
        chosen = [account for account in accounts if account.id == session.get("account_id")]
        if not accounts:
            abort(404)
        g.account = (chosen or list(accounts))[0]
        g.zone = g.account.zone
    return cast(AccountAccess, g.account)


def choose_account(account_id: str) -> None:
    """Make another of the person's accounts the one in force; 404 when it is not theirs."""
    if account_id not in {account.id for account in current_principal().accounts}:
        abort(404)
    session["account_id"] = account_id


def sign_in(token: str) -> None:
    """Give the browser the token of a sign-in that `sessions.start` has just begun, and go on as that person.

    Everything the browser held before is dropped, so that what somebody planted there is worth nothing.
    """
    forget_browser()
    _take_up(token)


def renew(token: str) -> None:
    """Give the browser the new token of the same sign-in, after `sessions.renew`; what else it holds stays, other tabs' forms too."""
    _take_up(token)


def sign_out() -> None:
    """End the sign-in of this browser."""
    with services.database().transaction() as database_session:
        sessions.end(database_session, held_token(), now=services.now())
    logout_user()
    forget_browser()


def forget_browser() -> None:
    """Drop everything the cookie holds, the form token of this request included."""
    session.clear()
    g.pop("csrf_token", None)  # Flask-WTF keeps it for the request, and its half in the cookie is gone


def find_viewer() -> Viewer | None:
    """What the frame of a page shows of the signed-in person."""
    principal = find_principal()
    if principal is None:
        return None
    is_operator = principal.is_staff and ((request.endpoint or "").startswith("operator.") or not principal.accounts)
    if not is_operator and not principal.accounts:
        return Viewer(
            label=principal.name, account_name="No billing account", is_operator=False, may=lambda _permission: False
        )
    if is_operator:
        return Viewer(
            label=principal.name,
            account_name="Operations",
            is_operator=True,
            may=lambda permission: permission in principal.staff_permissions,
        )
    account = current_account()
    return Viewer(
        label=principal.name,
        account_name=account.name,
        is_operator=False,
        may=lambda permission: permission in account.permissions,
        accounts=tuple(
            AccountChoice(id=one.id, name=one.name, is_current=one.id == account.id) for one in principal.accounts
        ),
    )


def home_url() -> str:
    """Where a person begins: operators at their workbench, tenants at their overview, who belongs nowhere at their own account."""
    principal = find_principal()
    if principal is None or principal.accounts:
        return url_for("tenant.overview")
    return url_for("operator.workbench") if principal.is_staff else url_for("you.profile")


def sign_in_url() -> str:
    """The sign-in page, which leads back here. The way back is signed: `//evil` and `/\\evil` cannot be smuggled in."""
    target = _path() if request.method in ("GET", "HEAD") else home_url()
    return url_for("auth.sign_in", next=signer("next").dumps(target))


def verify_url() -> str:
    """The page that asks once more who someone is, and leads back: to this page, or for a button to the page it stands on."""
    rule = request.url_rule
    has_page = rule is not None and "GET" in (rule.methods or ())
    return url_for("auth.verify", next=signer("next").dumps(_path() if has_page else _page_before()))


def next_url(token: str | None) -> str:
    """The page a sign-in leads back to, or the person's first page when the token is absent, old or forged."""
    try:
        return str(signer("next").loads(token or "", max_age=_NEXT_MAX_AGE_S))
    except BadSignature:
        return home_url()


def signer(purpose: str) -> URLSafeTimedSerializer:
    """Signs what the browser carries for one purpose; what an older secret key signed is still read."""
    config = services.config()
    return URLSafeTimedSerializer([*reversed(config.old_secret_keys), config.secret_key], salt=f"sign-in-{purpose}")


def held_token() -> str:
    """The token in the browser's cookie, whether its sign-in is in force or not; empty for none."""
    token = session.get("_user_id")
    return token if isinstance(token, str) else ""


def ended_owner() -> str | None:
    """Whose sign-in this browser had, when it has ended; None for a browser that had none."""
    token = held_token()
    if not token:
        return None
    with tenancy.scope(tenancy.EVERYTHING), services.database().reading() as reading:
        return sessions.find_owner(reading, token)


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _load(token: str) -> SignedIn | None:
    now = services.now()
    with tenancy.scope(tenancy.EVERYTHING), services.database().reading() as reading:
        standing = sessions.find(reading, token, now=now)
        principal = principals.find_principal(reading, standing.user_id) if standing is not None else None
    if standing is None or principal is None:
        return None
    if principal.locale is not None:
        g.locale = principal.locale
    if standing.is_due(now):
        _note_presence(standing, now)
    return SignedIn(principal, standing, token)


def _note_presence(standing: Standing, now: datetime) -> None:
    """Once a minute. That a page cannot be shown for want of this note would be worse than the note missing."""
    try:
        with services.database().noting() as database_session:
            sessions.seen(database_session, session_id=standing.id, now=now)
    except failures.UNUSABLE:
        _log.warning("presence not noted", exc_info=True)


def _take_up(token: str) -> None:
    signed_in = _load(token)
    if signed_in is None:
        abort(401)
    login_user(signed_in)
    g.pop("account", None)


def _path() -> str:
    return request.full_path.rstrip("?")


def _page_before() -> str:
    """The page of ours that the browser says it comes from, else the person's first."""
    before = urlsplit(request.referrer or "")
    is_ours = (
        before.netloc == request.host and before.path.startswith("/") and not before.path.startswith(("//", "/\\"))
    )
    return (f"{before.path}?{before.query}" if before.query else before.path) if is_ours else home_url()


def _declared(name: str, check: Callable[[str], Response | None], fresh: bool) -> Callable[[View], View]:
    permission = name.removeprefix("staff:")

    def declare(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            refusal = check(permission)
            if refusal is None and fresh:
                refusal = _check_fresh()
            return refusal if refusal is not None else view(*args, **kwargs)

        checked.access = name  # type: ignore[attr-defined]
        checked.is_fresh = fresh  # type: ignore[attr-defined]
        return cast(View, checked)

    return declare


def _check_tenant(permission: str) -> Response | None:
    refusal = _check_entrance()
    if refusal is not None:
        return refusal
    account = current_account()
    if permission not in account.permissions:
        abort(403)
    open_wall(accounts=[account.id], tenants=[account.tenant_id])
    return None


def _check_staff(permission: str) -> Response | None:
    principal = find_principal()
    if principal is not None and not principal.is_staff:
        abort(404)
    refusal = _check_entrance()
    if refusal is not None or principal is None:
        return refusal
    if permission not in principal.staff_permissions:
        abort(403)
    _see(tenancy.EVERYTHING)
    return None


def _check_signed_in(_permission: str) -> Response | None:
    refusal = _check_entrance()
    principal = find_principal()
    if refusal is not None or principal is None:
        return refusal
    if principal.is_staff:
        _see(tenancy.EVERYTHING)
    else:
        open_wall(
            accounts=[account.id for account in principal.accounts],
            tenants=[account.tenant_id for account in principal.accounts],
        )
    return None


def _check_entrance() -> Response | None:
    """Signed in at all; and staff who must have a second factor and have none are led to set one up, and nowhere else."""
    from portal.auth import challenges

    principal = find_principal()
    if principal is None:
        return challenges.sign_in_first()
    is_bare = principal.is_staff and not principal.has_second_factor and services.config().is_staff_mfa_required
    if is_bare and request.endpoint not in ENROLMENT:
        return htmx.redirect(url_for("you.two_step"))
    return None


def _check_fresh() -> Response | None:
    from portal.auth import challenges

    return None if current_standing().is_fresh(services.now()) else challenges.verify_first()


def _raise_wall() -> None:
    """A request begins with no tenant's rows in sight (PostgreSQL's row-level security), unless it is for everybody's eyes or
    proves by itself who it is."""
    view = current_app.view_functions.get(request.endpoint or "")
    declared = getattr(view, "access", "")
    opens_itself = declared == "public" or declared.partition(":")[0] == "key"
    _see(tenancy.EVERYTHING if opens_itself else tenancy.NOTHING)


def _see(scope: tenancy.Scope) -> None:
    """Put a scope in force for the rest of this request. The thread goes on to other requests: the first token leads back."""
    token = tenancy.enter(scope)
    if "wall" not in g:
        g.wall = token


def _lower_wall(_error: BaseException | None) -> None:
    wall = g.pop("wall", None)
    if wall is not None:
        tenancy.leave(wall)


def _refuse_undeclared() -> None:
    endpoint = request.endpoint
    if endpoint is None or endpoint == "static":
        return
    if not hasattr(current_app.view_functions[endpoint], "access"):
        abort(403, description=f"{endpoint} declares no permission")
