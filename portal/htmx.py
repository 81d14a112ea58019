"""How a view answers htmx: the same URL gives the whole page to a browser and its one changing region to htmx."""

from flask import Response, make_response, render_template, request


def is_htmx() -> bool:
    """Whether htmx made the request, for whatever purpose."""
    return request.headers.get("HX-Request") == "true"


def is_partial_request() -> bool:
    """Whether the answer replaces one region: htmx asked, and neither a boosted link, a history restore nor a whole page."""
    return (
        is_htmx()
        and "HX-Boosted" not in request.headers
        and "HX-History-Restore-Request" not in request.headers
        and request.headers.get("HX-Request-Type") != "full"
    )


def render(page_template: str, partial_template: str, *, status: int = 200, **context: object) -> Response:
    """The whole page, or only its region when htmx asks for that. `status` is 422 for a form with errors, 409 for a conflict."""
    template = partial_template if is_partial_request() else page_template
    response = make_response(render_template(template, **context), status)
    response.vary.add("HX-Request")
    return response


def redirect(url: str) -> Response:
    """Where to go after a POST: 303 for a browser; for htmx a whole page load, so that focus, title and history are the browser's."""
    if not is_htmx():
        return _plain(url)
    return Response(status=200, headers={"HX-Redirect": url, "Vary": "HX-Request"})


def unauthorised(sign_in_url: str) -> Response:
    """A session that ended: the browser is led to sign in; htmx is told 401 and loads that page whole."""
    if not is_htmx():
        return _plain(sign_in_url)
    return Response(status=401, headers={"HX-Redirect": sign_in_url, "Vary": "HX-Request"})


def poll_pace(age_s: float) -> str:
    """How often a page that waits asks again: every 2 seconds in its first half minute, then slower, for `hx.poll(every=)`."""
    return "2s" if age_s < 30 else "5s" if age_s < 300 else "15s"


def error(response: Response) -> Response:
    """Lead an error that answers htmx into the layout's `#page-error`, above a page that keeps its content and typed data."""
    response.vary.add("HX-Request")
    if is_partial_request():
        response.headers["HX-Retarget"] = "#page-error"
        response.headers["HX-Reswap"] = "innerHTML"
        response.headers["HX-Push-Url"] = "false"
    return response


def _plain(url: str) -> Response:
    return Response(status=303, headers={"Location": url, "Vary": "HX-Request"})
