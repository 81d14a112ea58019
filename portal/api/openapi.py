"""The API's description, OpenAPI 3.1, made from `routes.ROUTES` and pydantic's own JSON Schema.

flask-openapi3 would have each view declared anew in its decorators and describes neither our problems, nor keyed requests, nor
limits; from the one table that already fills the blueprint all of it follows, so the two cannot differ.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from portal.api import parameters, problems
from portal.api.ingest import MAX_EVENTS
from portal.api.problems import Kind, Problem
from portal.api.routes import signed
from portal.api.routes.all import ROUTES
from portal.api.routes.route import Route

PREFIX = "/api/v1"
_REF = "#/components/schemas/{model}"
_WORDS_OF_STATUS = {
    200: "As asked.",
    201: "Made.",
    202: "Taken; the provider has not answered yet. Send the same request again to learn more.",
    304: "Not changed since the ETag that was sent.",
}
_COMMON = {"untrusted_host", "headers_too_large", "internal_error", "database_unavailable"}
_OF_KEYS = {"key_refused", "insufficient_scope", "rate_limited", "issuer_unreachable", "not_found", "invalid"}
_OF_BODIES = {"body_not_json", "forbidden", "request_entity_too_large", "unsupported_media_type", "invalid_body"}
_OF_KEYED = {"idempotency_key_missing", "idempotency_key_reused", "idempotency_in_flight"}
_OF_EDITS = {"precondition_required", "precondition_failed"}

_INFO = """\
Figures, documents and payments of a billing account, for machines.

**Keys.** Send `Authorization: Bearer plk_...`, or a token of the configured issuer. A tenant's key needs no `account` while the
tenant has one account; a service key names one of its tenants' accounts. What belongs to somebody else is 404, as if it did not exist.

**Money** is `{amount_minor, currency}`: whole minor units, 1234 USD is 12.34. Quantities are decimal text. Times are RFC 3339 in UTC.
Numbers are read exactly; unknown fields and parameters are refused.

**Errors** are problem details (RFC 9457): `code` is stable, `type` leads to its words, `request_id` finds it in our logs.

**Repeats.** Requests that move money or state carry an `Idempotency-Key`. The same request again gets the first answer again, with
`Idempotency-Replayed: true`, also with another key of the same tenant; another request under the key is refused. Keys are kept for ever.

**Edits** carry `If-Match` with the ETag of what was read. GETs with `If-None-Match` are answered 304 when nothing changed.

**Lists** come in pages: `limit` up to 200, and `next_cursor` goes on behind the last row, whatever was added meanwhile.

**Limits** stand on every answer: `RateLimit-Policy` and `RateLimit`; above them 429 with `Retry-After`. Bodies up to 4 MB, headers
up to 32 kB, JSON up to 20 levels deep.
"""


@cache
def document(base_url: str) -> dict[str, Any]:
    """The whole description of the API at an address. The same for all callers; not to be changed by them."""
    routes = (*ROUTES, *signed.ROUTES)
    tags = list(dict.fromkeys(route.tag for route in routes))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r"<(\w+)>", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Plumbline API", "version": version("plumbline"), "description": _INFO},
        "servers": [{"url": f"{base_url}{PREFIX}"}],
        "externalDocs": {"url": f"{base_url}/api/docs", "description": "The same as a page"},
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "headers": _HEADERS,
            "responses": {f"Problem{status}": _problem(status, kinds) for status, kinds in _shared().items()},
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "plk_<prefix>_<secret>",
                    "description": "An API key; it is shown once, when it is made.",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of the configured issuer, signed RS256, ES256 or EdDSA, with the claims "
                    "iss, aud, sub, exp, iat, tenant (code or id) and scope (names with spaces between).",
                },
            },
        },
    }


def operation_id(route: Route) -> str:
    """The name of a route, which is its view's."""
    return str(route.view.__name__)


def scope(route: Route) -> str | None:
    """The scope that a caller needs; None where a provider signs."""
    declared: str = getattr(route.view, "access", "key")
    return declared.partition(":")[2] or None


def codes(route: Route) -> set[str]:
    """Every code that a problem of this route may carry."""
    found = _COMMON | set(route.problems)
    if route.is_signed:
        return found | {"not_found", "forbidden", "request_entity_too_large"}
    found |= _OF_KEYS
    if route.request is not None:
        found |= _OF_BODIES
    return found | (_OF_KEYED if route.is_keyed else set()) | (_OF_EDITS if route.is_edit else set())


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation_id(route),
        "tags": [route.tag],
        "summary": route.words,
        "description": _first_paragraph(route.view.__doc__),
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route),
        "security": [],
    }
    needed = scope(route)
    if needed is not None:
        found["security"] = [{"apiKey": [needed]}, {"token": [needed]}]
    if route.request is not None:
        found["requestBody"] = {"required": True, "content": _request_content(route, route.request)}
    if route.is_signed:
        found["requestBody"] = {
            "required": True,
            "description": "The provider's event, word for word as it was signed.",
            "content": {"application/json": {"schema": {}}},
        }
    return found


def _request_content(route: Route, model: type[BaseModel]) -> dict[str, Any]:
    one: dict[str, Any] = {"$ref": _REF.format(model=model.__name__)}
    shape = one
    if route.is_batch:
        shape = {"oneOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_EVENTS}]}
    content: dict[str, Any] = {"schema": shape}
    if route.example is not None:
        content["examples"] = {"one": {"summary": route.words, "value": route.example}}
    return {"application/json": content}


def _responses(route: Route) -> dict[str, Any]:
    responses = {str(status): _success(route, status) for status in route.success}
    if route.method == "GET":
        responses["304"] = {"description": _WORDS_OF_STATUS[304], "headers": _headers("ETag")}
    for status, kinds in problems.by_status(codes(route)).items():
        is_shared = not route.is_signed and not route.is_batch and _shared().get(status) == kinds
        shared = {"$ref": f"#/components/responses/Problem{status}"}
        responses[str(status)] = shared if is_shared else _problem(status, kinds, is_signed=route.is_signed)
    if route.is_batch and route.response is not None:  # one event alone that is rejected
        content = responses["422"]["content"]
        content["application/json"] = {"schema": {"$ref": _REF.format(model=route.response.__name__)}}
    return dict(sorted(responses.items()))


@cache
def _shared() -> dict[int, list[Kind]]:
    """The problems that every route with a key has, by status."""
    return problems.by_status(_COMMON | _OF_KEYS)


def _problem(status: int, kinds: list[Kind], *, is_signed: bool = False) -> dict[str, Any]:
    shape = {
        "allOf": [
            {"$ref": _REF.format(model=Problem.__name__)},
            {
                "type": "object",
                "properties": {"code": {"enum": [kind.code for kind in kinds]}, "status": {"const": status}},
            },
        ]
    }
    more = {401: ("WWW-Authenticate",), 403: ("WWW-Authenticate",), 429: ("Retry-After",)}.get(status, ())
    is_counted = not is_signed and status not in (400, 401, 413, 431, 500, 503)
    return {
        "description": " ".join(f"`{kind.code}`: {kind.words}" for kind in kinds),
        "headers": _headers(*more, is_counted=is_counted),
        "content": {"application/problem+json": {"schema": shape}},
    }


def _success(route: Route, status: int) -> dict[str, Any]:
    if route.response is None:
        content: dict[str, Any] = {route.mimetype: {"schema": {"type": "string", "format": "binary"}}}
    else:
        content = {"application/json": {"schema": {"$ref": _REF.format(model=route.response.__name__)}}}
    more = ("ETag",) if not route.is_signed else ()
    if route.is_keyed:
        more = (*more, "Idempotency-Replayed")
    headers = _headers(*more, is_counted=not route.is_signed)
    return {"description": _WORDS_OF_STATUS[status], "headers": headers, "content": content}


def _headers(*names: str, is_counted: bool = True) -> dict[str, Any]:
    wanted = ["X-Request-ID", *names]
    if is_counted:
        wanted += ["RateLimit-Policy", "RateLimit"]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in wanted}


_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The id of this request: the one that was sent, if it has 8 to 64 letters, digits, - or _, else a new one.",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "The strong entity tag of the answer.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "true: the key was used before, and this is the answer that was given then.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "What is missing (RFC 6750).", "schema": {"type": "string"}},
    "RateLimit-Policy": {
        "description": 'The limit: its name, quota q and window w in seconds, such as `"api-read";q=600;w=60`.',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": 'What is left: r uses until the window ends in t seconds, such as `"api-read";r=599;t=42`.',
        "schema": {"type": "string"},
    },
}


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"<(\w+)>", route.path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": "An id, as lists and answers give it.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 100},
        }


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in route.query:
        shape, words = parameters.SHAPES[name]
        if name in ("state", "by"):
            shape = {**shape, "enum": list(route.choices)}
        yield {"name": name, "in": "query", "required": False, "description": words, "schema": shape}


def _header_parameters(route: Route) -> Iterable[dict[str, Any]]:
    def header(name: str, words: str, shape: Mapping[str, Any], *, required: bool = False) -> dict[str, Any]:
        return {"name": name, "in": "header", "required": required, "description": words, "schema": shape}

    text = {"type": "string"}
    if route.is_keyed:
        shape = {"type": "string", "minLength": 1, "maxLength": 120, "pattern": "^[!-~]+$"}
        yield header("Idempotency-Key", "New for each new act, the same for its repeats.", shape, required=True)
    if route.is_edit:
        yield header("If-Match", "The ETag of what was read.", text, required=True)
    if route.method == "GET":
        yield header("If-None-Match", "The ETag of what the caller has.", text)
    yield header("X-Request-ID", "An id of the caller's for this request; it stands in our logs and records.", text)


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    """The shapes of all bodies by name. A model that is read and written has one shape in both directions."""
    wanted: dict[tuple[type[BaseModel], Any], None] = {(Problem, "serialization"): None}
    for route in routes:
        if route.request is not None:
            wanted[route.request, "validation"] = None
        if route.response is not None:
            wanted[route.response, "serialization"] = None
    _, found = models_json_schema(list(wanted), ref_template=_REF)
    return {name: _plain(shape) for name, shape in sorted(found["$defs"].items())}


def _plain(shape: Any) -> Any:
    """A schema without the titles that only repeat its names."""
    if isinstance(shape, list):
        return [_plain(one) for one in shape]
    if not isinstance(shape, dict):
        return shape
    return {name: _plain(value) for name, value in shape.items() if not (name == "title" and isinstance(value, str))}


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())
