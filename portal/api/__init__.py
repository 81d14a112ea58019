"""The JSON API under /api/v1 for machines. `routes.ROUTES` is its map: what each route takes, gives back and needs."""

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from portal import errors
from portal.api import keys, rates
from portal.api.routes.all import ROUTES
from portal.api.tokens import Issuer

_MAX_HEADER_BYTES = 32 * 1024
# Routes of earlier systems that callers already use: the same views under their old addresses.
_FINANCE = "/api/v1/v3/platform/finance"
_ALIASES = {
    "/usage/report": "report_usage",
    "/api/billing/usage:ingest": "ingest_usage",
    f"{_FINANCE}/payment-sessions": "list_finance_sessions",
    f"{_FINANCE}/payment-sessions/<session_id>": "show_finance_session",
    f"{_FINANCE}/refunds": "list_finance_refunds",
    f"{_FINANCE}/reconciliation": "list_differences",
}

# Addresses that acts hang on, such as <invoice_id>:close.
_ACTED_ON = {route.path.rpartition(":")[0] for route in ROUTES if ">:" in route.path}


class _Subject(BaseConverter):
    """An id or number that acts hang on: what follows a colon is an act and no part of it."""

    regex = "[^/:]+"


def _rule(path: str) -> str:
    head, _, name = path.rpartition("<")
    return f"{head}<subject:{name}" if path in _ACTED_ON else path


blueprint = Blueprint("api", __name__)
blueprint.record(lambda state: state.app.url_map.converters.update(subject=_Subject))
for route in ROUTES:
    blueprint.add_url_rule(_rule(route.path), view_func=route.view, methods=[route.method])
blueprint.after_request(rates.add_headers)


@blueprint.before_request
def _refuse_large_headers() -> Response | None:
    if sum(len(name) + len(value) for name, value in request.headers) <= _MAX_HEADER_BYTES:
        return None
    return errors.problem(
        431, code="headers_too_large", title="Headers too large", detail="Send at most 32 kB of headers."
    )


@blueprint.record
def _set_issuer(state: BlueprintSetupState) -> None:
    config = state.app.extensions["plumbline"].config
    if config.jwt_jwks:
        state.app.extensions[keys.ISSUER] = Issuer(
            issuer=config.jwt_issuer, audience=config.jwt_audience, key_set=config.jwt_jwks
        )


@blueprint.record
def _add_aliases(state: BlueprintSetupState) -> None:
    views = {route.view.__name__: route for route in ROUTES}
    for path, name in _ALIASES.items():
        route = views[name]
        state.app.add_url_rule(path, endpoint=f"{blueprint.name}.{name}", view_func=route.view, methods=[route.method])
