"""The JSON API under /api/v1 for machines. `routes.ROUTES` is its map: what each route takes, gives back and needs."""

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState

from portal import errors
from portal.api import keys, rates
from portal.api.routes import ROUTES
from portal.api.tokens import Issuer

_MAX_HEADER_BYTES = 32 * 1024

blueprint = Blueprint("api", __name__)
for route in ROUTES:
    blueprint.add_url_rule(route.path, view_func=route.view, methods=[route.method])
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
