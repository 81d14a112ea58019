"""The one table from a refusal's code to status and sentence, and the pages for what goes wrong."""

import logging

from flask import Flask, Response, jsonify, make_response, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from billing.kernel.errors import Conflict, Invalid, NotFound, Refusal
from billing.storage import failures
from portal import access, htmx, sentences
from portal.security import request_id

_log = logging.getLogger("portal")

# status -> (title, what to do)
_PAGES = {
    400: ("This request could not be read", "Go back, reload the page and try again."),
    403: ("You may not do this", "Your role does not include it. Ask an owner of the billing account."),
    404: ("This page does not exist", "The address may be mistyped, or it belongs to another billing account."),
    405: ("This cannot be done here", "Go back and use the buttons on the page."),
    409: ("This was changed in the meantime", "Look at it as it is now, then decide again."),
    413: ("That is too large", "Send at most 4 MB."),
    422: ("Some of this cannot be used", "Go back and correct what is marked."),
    429: ("Too many tries", "Wait a minute, then try again."),
    500: (
        "Something went wrong on our side",
        "Nothing was changed by halves. Try again; if it happens again, tell us the request id.",
    ),
    503: ("The portal cannot reach its database", "Nothing was changed. Try again in a minute."),
}


def init_app(app: Flask) -> None:
    """Register handlers: refusals, HTTP errors, a missing form token, and whatever nobody foresaw."""
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal: 404, 409, 422, or 403 for what a rule forbids this person."""
    if isinstance(refusal, NotFound):
        return 404
    if isinstance(refusal, Conflict):
        return 409
    if isinstance(refusal, Invalid):
        return 422
    return 409


def _refused(refusal: Refusal) -> Response:
    return _answer(status_of(refusal), code=refusal.code, detail=sentences.of(refusal))


def _stale_form(_error: CSRFError) -> Response:
    return _answer(
        400,
        code="stale_form",
        title="This form is no longer valid",
        detail="You signed out or in since it was loaded. Nothing was changed: reload the page and send it again.",
    )


def _http_error(error: HTTPException) -> Response:
    if error.response is not None and error.code is None:
        return make_response(error.response)
    status = error.code or 500
    if 300 <= status < 400:
        return make_response(error.get_response())
    return _answer(status, code=(error.name or "error").lower().replace(" ", "_"))


def _unforeseen(error: Exception) -> Response:
    _log.exception("unforeseen error", extra={"request_id": request_id()})
    is_database = failures.is_unavailable(error)
    return _answer(503 if is_database else 500, code="database_unavailable" if is_database else "internal_error")


def _answer(status: int, *, code: str, title: str | None = None, detail: str | None = None) -> Response:
    known_title, known_detail = _PAGES.get(status, _PAGES[500] if status >= 500 else _PAGES[400])
    title, detail = title or known_title, detail or known_detail
    if wants_json():
        return problem(status, code=code, title=title, detail=detail)
    if status == 500 and request.endpoint is None:
        return Response(f"{title}. {detail}\n", status=500, mimetype="text/plain")
    page = render_template(
        "errors/_page.html" if htmx.is_partial_request() else "errors/page.html",
        status=status,
        title=title,
        text=detail,
        request_id=request_id(),
        **_next_step(status),
    )
    return htmx.error(make_response(page, status))


def problem(status: int, *, code: str, title: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    """Problem details (RFC 9457): stable type and code, the request id, and where in the body the faults are."""
    body: dict[str, object] = {
        "type": f"urn:plumbline:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id(),
    }
    if errors:
        body["errors"] = errors
    response = jsonify(body)
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response


def wants_json() -> bool:
    """Whether a machine asks: every path of the API, and nothing else."""
    return request.path.startswith(("/api/", "/usage/report"))


def _next_step(status: int) -> dict[str, str | None]:
    if status == 404 and access.find_principal() is not None:
        return {"action_label": "Go to your first page", "action_url": access.home_url()}
    if status in (500, 503) and request.method == "GET":
        return {"action_label": "Try again", "action_url": request.full_path.rstrip("?")}
    if status == 404:
        return {"action_label": "Sign in", "action_url": url_for("auth.sign_in")}
    return {"action_label": None, "action_url": None}
