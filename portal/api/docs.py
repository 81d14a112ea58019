"""GET /api/v1/openapi.json and /api/docs: the API's description for machines and, made from the same document, for people."""

import json
from functools import cache
from typing import Any

from flask import Blueprint, Response, render_template

from portal import access, services
from portal.api import answers, openapi, reading

blueprint = Blueprint("api_docs", __name__)
_MAX_AGE_S = 300


@blueprint.get("/v1/openapi.json")
@access.public
def description() -> Response:
    """The OpenAPI document; anyone may read and keep it."""
    response = Response(_text(services.config().base_url), mimetype="application/json")
    response.headers["Cache-Control"] = f"public, max-age={_MAX_AGE_S}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.add_etag()
    return answers.conditional(response)


@blueprint.get("/docs")
@access.public
def page() -> str:
    """The same as a page: every route with its shapes and an example to paste, every shape, every problem."""
    document = openapi.document(services.config().base_url)
    return render_template(
        "api/docs.html",
        info=document["info"],
        server=document["servers"][0]["url"],
        paragraphs=reading.paragraphs(document["info"]["description"]),
        groups=reading.groups(document),
        shapes=reading.shapes(document),
        kinds=reading.kinds(),
    )


@cache
def _text(base_url: str) -> str:
    return text(openapi.document(base_url))


def text(document: dict[str, Any]) -> str:
    """The document as it is served and printed."""
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
