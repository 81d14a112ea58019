"""The portal: pages, forms, access, the JSON API and the command line on top of billing."""

from importlib import import_module
from pathlib import Path

from flask import Flask
from jinja2 import StrictUndefined

from billing.storage.database import Database
from portal import access, config, errors, filters, logs, mailing, navigation, providers, security
from portal.services import Services

_ROOT = Path(__file__).resolve().parents[1]
# (module, attribute, URL prefix): the site map for machines. Each blueprint's module says which pages it holds.
_BLUEPRINTS = (
    ("portal.public.health", "blueprint", None),
    ("portal.public.verify_document", "blueprint", None),
    ("portal.auth", "blueprint", None),
    ("portal.auth", "you_blueprint", "/you"),
    ("portal.tenant", "blueprint", None),
    ("portal.operator", "blueprint", "/operator"),
    ("portal.api", "blueprint", "/api/v1"),
    ("portal.api.docs", "blueprint", "/api"),
    ("portal.api.webhooks", "blueprint", "/api/v1/payments"),
)
_MACHINE_BLUEPRINTS = ("api", "webhooks")


def create_app(settings: config.PortalConfig | None = None) -> Flask:
    """Build the application: it registers and returns; it starts no thread and touches no database."""
    settings = settings or config.from_environment()
    app = Flask("portal", root_path=str(_ROOT), static_folder="static", template_folder="templates")
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.config["TESTING"] = settings.is_testing
    database = Database(settings.database)
    app.extensions["plumbline"] = Services(
        config=settings,
        database=database,
        providers=providers.build(settings, database),
        mail=mailing.build(settings),
    )
    logs.init_app(app)
    security.init_app(app, settings)
    access.init_app(app)
    errors.init_app(app)
    filters.register_filters(app)
    navigation.register_frame(app, access.find_viewer)
    for module, attribute, prefix in _BLUEPRINTS:
        app.register_blueprint(getattr(import_module(module), attribute), url_prefix=prefix)
    if not settings.is_production:
        app.register_blueprint(import_module("portal.styleguide").blueprint)
    if settings.has_sandbox:
        app.register_blueprint(import_module("portal.sandbox").blueprint, url_prefix="/sandbox")
    for name in _MACHINE_BLUEPRINTS:
        security.csrf.exempt(app.blueprints[name])
    return app
