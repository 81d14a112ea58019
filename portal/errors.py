"""The one table from a refusal's code to status and sentence, and the pages for what goes wrong."""

import logging
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, jsonify, make_response, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, SecurityError

from billing.kernel.errors import Conflict, Invalid, NotFound, Refusal
from billing.storage import failures
from portal import access, htmx, kept, navigation, sentences, services
from portal.security import request_id

_log = logging.getLogger("portal")

# status -> (title, what happened and what to do)
_PAGES = {
    400: ("This request could not be read", "Nothing was changed. Reload the page and try again."),
    401: ("You are signed out", "Sign in to go on. Nothing was changed."),
    403: ("You may not do this", "Your role does not include it. Ask an owner of the billing account."),
    404: ("This page does not exist", "The address may be mistyped, or it belongs to another billing account."),
    405: (
        "This cannot be done here",
        "The address is right, but not for this kind of request. Use the buttons on the page.",
    ),
    409: (
        "This was changed in the meantime",
        "Look at it as it is now, then decide again. Nothing was changed by you.",
    ),
    413: ("That is too large", "Nothing was taken in. Send at most 4 MB at once."),
    422: ("Some of this cannot be used", "Nothing was changed. Go back and correct what is marked."),
    429: ("Too many tries", "Nothing was changed. Wait a minute, then try again."),
    500: (
        "Something went wrong on our side",
        "Nothing was changed by halves. Try again; if it happens again, tell us the request id.",
    ),
    503: ("The portal cannot reach its database", "Nothing was changed. Try again in a minute."),
}
# Of a refusal's own headers these reach the reader: what may be done (RFC 9110, 15.5.6), when to come back, how to sign in.
_PASSED_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
# code of a refusal -> status, where its class does not say it already
_STATUS_BY_CODE = {
    "key_refused": 401,
    "above_authority": 403,
    "not_allowed": 403,
    "not_permitted": 403,
    "body_not_json": 400,
    "idempotency_key_missing": 400,
    "precondition_failed": 412,
    "precondition_required": 428,
    "unsupported_media_type": 415,
    "invalid_body": 422,
    "idempotency_key_reused": 422,
}
# status -> what a problem is called for machines
_PROBLEMS = {
    400: "The request cannot be read",
    401: "No valid API key",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Changed in the meantime",
    413: "Too large",
    415: "Unsupported media type",
    422: "The input cannot be used",
    428: "Say what you edit",
    429: "Too many requests",
    431: "Headers too large",
    500: "Internal error",
    503: "Database unavailable",
}


def init_app(app: Flask) -> None:
    """Register handlers: refusals, HTTP errors, a missing form token, and whatever nobody foresaw."""
    app.register_error_handler(Refusal, of_refusal)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(SecurityError, _untrusted_host)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal: by its code, else 404, 422, or 409 for what a rule forbids as things stand."""
    if refusal.code in _STATUS_BY_CODE:
        return _STATUS_BY_CODE[refusal.code]
    if isinstance(refusal, NotFound):
        return 404
    if isinstance(refusal, Conflict):
        return 409
    if isinstance(refusal, Invalid):
        return 422
    return 409


def of_refusal(refusal: Refusal) -> Response:
    """A refusal as a page, or for machines as a problem that names its reason and where in the input it lies."""
    status, sentence = status_of(refusal), sentences.of(refusal)
    if not wants_json():
        return _answer(status, code=refusal.code, detail=sentence)
    faults: list[tuple[str, str]] = getattr(refusal, "faults", [])
    field = refusal.fields.get("field")
    if not faults and isinstance(refusal, Invalid) and isinstance(field, str):
        faults = [(f"/{field}", sentence)]
    return problem(
        status,
        code=refusal.code,
        title=_PROBLEMS.get(status, _PROBLEMS[409]),
        detail=sentence,
        reason=refusal.fields.get("reason"),
        errors=[{"pointer": pointer, "detail": detail} for pointer, detail in faults],
    )


def _stale_form(_error: CSRFError) -> Response:
    """A form whose token belongs to another session. What was typed is not lost: it waits for the sign-in of its person, or, when
    they signed in anew in another window and the browser proves that the form is ours, for one click."""
    view = current_app.view_functions.get(request.endpoint or "")
    principal = access.find_principal()
    if principal is None and getattr(view, "access", "public") != "public":
        from portal.auth import challenges

        return challenges.sign_in_first()
    if principal is not None and is_proven_ours() and not htmx.is_partial_request():
        now = services.now()
        token = kept.pack(request.form, request.full_path.rstrip("?"), principal.id, now=now)
        found = kept.unpack(token, principal.id, now=now)
        if found is not None:
            return kept.offer(found, status=400)
    return _answer(
        400,
        code="stale_form",
        title="This form is no longer valid",
        detail="You signed out or in since it was loaded. Nothing was changed: reload the page and send it again.",
    )


def _untrusted_host(_error: SecurityError) -> Response:
    """A host name that is not ours: plain words, for no page of ours can be addressed under it."""
    if wants_json():
        return problem(400, code="untrusted_host", title=_PROBLEMS[400], detail="This host name is not served here.")
    return Response("This host name is not served here.\n", status=400, mimetype="text/plain")


def _http_error(error: HTTPException) -> Response:
    if error.response is not None and error.code is None:
        return make_response(error.response)
    status = error.code or 500
    if 300 <= status < 400:
        return make_response(error.get_response())
    answer = _answer(status, code=(error.name or "error").lower().replace(" ", "_"))
    own = dict(error.get_headers())
    answer.headers.update({name: own[name] for name in _PASSED_HEADERS if name in own})
    return answer


def _unforeseen(error: Exception) -> Response:
    _log.exception("unforeseen error", extra={"request_id": request_id()})
    if failures.is_unavailable(error):
        navigation.leave_frame_out()  # who is signed in cannot be asked either
        return _answer(503, code="database_unavailable")
    return _answer(500, code="internal_error")


def _answer(status: int, *, code: str, title: str | None = None, detail: str | None = None) -> Response:
    known_title, known_detail = _PAGES.get(status, _PAGES[500] if status >= 500 else _PAGES[400])
    if wants_json():
        words = _PROBLEMS.get(status, _PROBLEMS[500] if status >= 500 else _PROBLEMS[400])
        return problem(status, code=code, title=words, detail=detail or f"{words}.")
    title, detail = title or known_title, detail or known_detail
    try:
        page = render_template(
            "errors/_page.html" if htmx.is_partial_request() else "errors/page.html",
            status=status,
            title=title,
            text=detail,
            request_id=request_id(),
            next_step=_next_step(status),
            again=_again(status),
        )
    except Exception:  # the frame itself may be what is broken: then plain words, never no answer
        _log.exception("error page not rendered", extra={"request_id": request_id()})
        return Response(f"{title}. {detail}\nRequest {request_id()}\n", status=status, mimetype="text/plain")
    return htmx.error(make_response(page, status))


def problem(
    status: int,
    *,
    code: str,
    title: str,
    detail: str,
    reason: object = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """Problem details (RFC 9457): stable type, code and reason, the request id, and where in the body the faults are."""
    body: dict[str, object] = {
        "type": f"{services.config().base_url}/api/docs#problem-{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id(),
    }
    if isinstance(reason, str):
        body["reason"] = reason
    if errors:
        body["errors"] = errors
    response = jsonify(body)
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response


def wants_json() -> bool:
    """Whether a machine asks: every path of the API, and nothing else."""
    return request.path.startswith(("/api/", "/usage/report"))


def is_proven_ours() -> bool:
    """Whether the browser itself says that a page of this portal sent the form; a missing header proves nothing."""
    return request.headers.get("Sec-Fetch-Site") == "same-origin" or (
        urlsplit(request.headers.get("Origin", "")).netloc == request.host
    )


def _next_step(status: int) -> tuple[str, str] | None:
    """The link of an error page, (words, URL): where to go on from here."""
    here = request.full_path.rstrip("?")
    has_page = request.url_rule is not None and "GET" in (request.url_rule.methods or ())
    if status in (429, 500, 503):
        return ("Try again", here) if request.method == "GET" else None
    if status in (400, 409, 413, 422) and has_page:
        return ("Look at it again", here)
    if status == 401 or access.find_principal() is None:
        return ("Sign in", url_for("auth.sign_in"))
    return ("Go to your first page", access.home_url())


def _again(status: int) -> kept.Kept | None:
    """What was sent to a page that failed, to be sent once more with one click; its key keeps it at one effect."""
    if status not in (429, 500, 503) or request.method != "POST":
        return None
    return kept.of_form(request.form, request.full_path.rstrip("?"))
