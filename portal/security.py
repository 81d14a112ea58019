"""What every answer carries and every request must meet: headers, CSP nonce, host, origin, request id, size."""

import re
import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, request
from flask_wtf.csrf import CSRFProtect

from billing.kernel.ids import new_id
from billing.storage import correlation
from portal.config import PortalConfig

csrf = CSRFProtect()

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_MAX_BODY_BYTES = 4 * 1024 * 1024
_CHECKOUT_HOSTS = "https://checkout.stripe.com https://billing.stripe.com"
_PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"


def init_app(app: Flask, config: PortalConfig) -> None:
    """Register the checks before each request and the headers after it."""
    app.config.update(
        SECRET_KEY=config.secret_key,
        SECRET_KEY_FALLBACKS=list(config.old_secret_keys),
        SESSION_COOKIE_NAME="__Host-plumbline" if config.is_secure else "plumbline",
        SESSION_COOKIE_SECURE=config.is_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        MAX_CONTENT_LENGTH=_MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=_MAX_BODY_BYTES,
        TRUSTED_HOSTS=list(config.hosts),
        WTF_CSRF_TIME_LIMIT=None,  # bound to the session, which has its own limits
        WTF_CSRF_SSL_STRICT=False,  # `_refuse_foreign_origin` checks the origin on http and https alike
        PREFERRED_URL_SCHEME=urlsplit(config.base_url).scheme,
    )
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    # First in, last out: every record of a request carries its id. The token is looked at after the origin.
    app.before_request(_begin_correlation)
    app.before_request(_refuse_unnameable)
    app.before_request(_refuse_foreign_origin)
    csrf.init_app(app)
    app.after_request(_add_headers)
    app.teardown_request(_end_correlation)


def csp_nonce() -> str:
    """The nonce of this answer's scripts; made once a request."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(18)
    return str(g.csp_nonce)


def request_id() -> str:
    """The id under which this request is found in logs, jobs and records."""
    return str(g.get("request_id", ""))


def _begin_correlation() -> None:
    asked = request.headers.get("X-Request-ID", "")
    g.request_id = asked if _REQUEST_ID.fullmatch(asked) else new_id("req")
    g.correlation = correlation.scope(g.request_id)
    g.correlation.__enter__()


def _end_correlation(_error: BaseException | None) -> None:
    scope = g.pop("correlation", None)
    if scope is not None:
        scope.__exit__(None, None, None)


def _refuse_unnameable() -> None:
    """A NUL in the path names nothing: PostgreSQL holds none, and asking it for one is a fault."""
    if "\x00" in request.path:
        abort(404)


def _refuse_foreign_origin() -> None:
    """A browser's write from another site stops here, before any token is looked at; machines send neither header."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        abort(403)
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        abort(403)


def _add_headers(response: Response) -> Response:
    config = _config()
    policy = (
        f"default-src 'self'; script-src 'nonce-{csp_nonce()}'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {_CHECKOUT_HOSTS}"
    )
    headers = response.headers
    headers.setdefault("Content-Security-Policy", policy)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", _PERMISSIONS_POLICY)
    headers["X-Request-ID"] = request_id()
    if config.is_secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
        response.vary.add("Cookie")
    elif "v" in request.args:
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def _config() -> PortalConfig:
    from portal.services import config

    return config()
