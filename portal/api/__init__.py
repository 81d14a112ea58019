"""The JSON API under /api/v1 for machines. `routes.ROUTES` is its map: what each route takes, gives back and needs."""

from flask import Blueprint

from portal.api.routes import ROUTES

blueprint = Blueprint("api", __name__)
for route in ROUTES:
    blueprint.add_url_rule(route.path, view_func=route.view, methods=[route.method])
