"""Who may open what. Every view declares it; one that does not is refused, so that a new page cannot be forgotten.

The billing account of a request comes only from `current_account()`: chosen in the session, checked against the person's
memberships each time, never taken from a URL or form.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Flask, Response, abort, current_app, g, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from itsdangerous import BadSignature, URLSafeTimedSerializer

from billing.accounts import principals
from billing.accounts.principals import AccountAccess, Principal
from billing.storage import tenancy
from portal import htmx, services
from portal.navigation import AccountChoice, Viewer

View = TypeVar("View", bound=Callable[..., Any])
_NEXT_MAX_AGE_S = 3600
login_manager = LoginManager()


class SignedIn(UserMixin):
    """Flask-Login's view of a person; `principal` holds their rights."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.id = principal.id

    def get_id(self) -> str:
        """Id and epoch: raising a user's epoch ends all their sessions."""
        return f"{self.principal.id}:{self.principal.session_epoch}"


def init_app(app: Flask) -> None:
    """Register the session's user, and the rule that a view without a declared permission is refused."""
    login_manager.init_app(app)
    login_manager.session_protection = None  # an address changes on the road; sessions end by epoch and age
    app.before_request(_raise_wall)
    app.before_request(_refuse_undeclared)
    app.teardown_request(_lower_wall)


def public(view: View) -> View:
    """Declare that anyone may open this view."""
    view.access = "public"  # type: ignore[attr-defined]
    return view


def requires(permission: str) -> Callable[[View], View]:
    """Declare a tenant's page: signed in, a billing account chosen, and this permission in it. Others: sign-in, 404 or 403."""
    return _declared(permission, _check_tenant)


def requires_staff(permission: str) -> Callable[[View], View]:
    """Declare an operator's page. Someone who is no staff gets 404: the page does not exist for them."""
    return _declared(f"staff:{permission}", _check_staff)


def by_key(view: View) -> View:
    """Declare a route that authenticates by itself: an API key or a provider's signature."""
    view.access = "key"  # type: ignore[attr-defined]
    return view


def open_wall(*, accounts: Iterable[str], tenants: Iterable[str]) -> None:
    """From now on this request's transactions see the rows of these billing accounts and tenants, and of no others."""
    tenancy.enter(tenancy.of(accounts=accounts, tenants=tenants))


def find_principal() -> Principal | None:
    """The signed-in person, or None."""
    return cast(Principal, current_user.principal) if current_user.is_authenticated else None


def current_principal() -> Principal:
    """The signed-in person. Only in views that declare a permission."""
    return cast(Principal, current_user.principal)


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


def sign_in(principal: Principal) -> None:
    """Begin a session: everything the browser held before is dropped, so that a planted session is worth nothing."""
    session.clear()
    login_user(SignedIn(principal))
    session.permanent = False


def sign_out() -> None:
    """End the session of this browser."""
    logout_user()
    session.clear()


def find_viewer() -> Viewer | None:
    """What the frame of a page shows of the signed-in person."""
    principal = find_principal()
    if principal is None:
        return None
    is_operator = (principal.is_staff and (request.endpoint or "").startswith("operator.")) or not principal.accounts
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
    """Where a person begins: operators at their workbench, tenants at their overview."""
    principal = find_principal()
    if principal is not None and principal.is_staff and not principal.accounts:
        return url_for("operator.workbench")
    return url_for("tenant.overview")


def sign_in_url() -> str:
    """The sign-in page, which leads back here. The way back is signed: `//evil` and `/\\evil` cannot be smuggled in."""
    target = request.full_path.rstrip("?") if request.method == "GET" else home_url()
    return url_for("auth.sign_in", next=_signer().dumps(target))


def next_url(token: str | None) -> str:
    """The page a sign-in leads back to, or the person's first page when the token is absent, old or forged."""
    try:
        return str(_signer().loads(token or "", max_age=_NEXT_MAX_AGE_S))
    except BadSignature:
        return home_url()


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _load(session_id: str) -> SignedIn | None:
    user_id, _, epoch = session_id.partition(":")
    with tenancy.scope(tenancy.EVERYTHING), services.database().reading() as reading:
        principal = principals.find_principal(reading, user_id)
    if principal is None or str(principal.session_epoch) != epoch:
        return None
    return SignedIn(principal)


def _declared(name: str, check: Callable[[str], Response | None]) -> Callable[[View], View]:
    permission = name.removeprefix("staff:")

    def declare(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            refusal = check(permission)
            return refusal if refusal is not None else view(*args, **kwargs)

        checked.access = name  # type: ignore[attr-defined]
        return cast(View, checked)

    return declare


def _check_tenant(permission: str) -> Response | None:
    if find_principal() is None:
        return htmx.unauthorised(sign_in_url())
    account = current_account()
    if permission not in account.permissions:
        abort(403)
    open_wall(accounts=[account.id], tenants=[account.tenant_id])
    return None


def _check_staff(permission: str) -> Response | None:
    principal = find_principal()
    if principal is None:
        return htmx.unauthorised(sign_in_url())
    if not principal.is_staff:
        abort(404)
    if permission not in principal.staff_permissions:
        abort(403)
    tenancy.enter(tenancy.EVERYTHING)
    return None


def _raise_wall() -> None:
    """A request begins with no tenant's rows in sight (PostgreSQL's row-level security), unless it is for everybody's eyes or
    proves by itself who it is."""
    view = current_app.view_functions.get(request.endpoint or "")
    declared = getattr(view, "access", "")
    opens_itself = declared == "public" or declared.partition(":")[0] == "key"
    g.wall = tenancy.enter(tenancy.EVERYTHING if opens_itself else tenancy.NOTHING)


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


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="sign-in-next")
