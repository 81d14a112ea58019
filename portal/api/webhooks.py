"""Where providers tell us what happened: the raw body is checked and stored, then answered 2xx; a job gives it its effect.

The provider is asked nothing before it is answered, so that a slow one cannot make it tell everything twice. The sandbox's
checkout page hands its signed events to `deliver`: the same way, and the effect at once, because nobody has to be asked for it.
"""

import logging
from collections.abc import Mapping

from flask import Blueprint, Response, abort, jsonify, request

from billing.payments import apply, webhooks
from billing.payments.errors import WebhookRefused
from portal import access, errors, sentences, services

blueprint = Blueprint("webhooks", __name__)
_log = logging.getLogger("portal.webhooks")


@blueprint.post("/webhook")
@access.by_key
def stripe_webhook() -> Response:
    """Events of Stripe."""
    return _answer("stripe")


@blueprint.post("/webhook/sandbox")
@access.by_key
def sandbox_webhook() -> Response:
    """Events of the sandbox provider, where it is allowed."""
    return _answer("sandbox")


def deliver(provider_name: str, raw_body: bytes, headers: Mapping[str, str]) -> webhooks.Received:
    """Check and store an event, then try its effect at once, for a provider that is here. Raises WebhookRefused.

    A failing effect is the job's to repeat.
    """
    parts = services.services()
    received = _store(provider_name, raw_body, headers)
    if received.state == "received":
        try:
            apply.apply_event(parts.database, parts.providers, received.id, now=services.now(), role="web")
        except Exception:
            # Stored is what the provider must know; the scheduler tries the effect again.
            _log.exception("event was stored but not applied", extra={"event_id": received.id})
    return received


def _store(provider_name: str, raw_body: bytes, headers: Mapping[str, str]) -> webhooks.Received:
    parts = services.services()
    with parts.database.transaction() as session:
        return webhooks.receive(
            session,
            now=services.now(),
            provider=parts.providers[provider_name],
            raw_body=raw_body,
            headers=headers,
        )


def _answer(provider_name: str) -> Response:
    if provider_name not in services.services().providers:
        abort(404)
    # Raises 413 while reading, whatever length the request declares or hides.
    request.max_content_length = webhooks.MAX_BODY_BYTES
    try:
        received = _store(provider_name, request.get_data(cache=False), dict(request.headers.items()))
    except WebhookRefused as refusal:
        _log.warning("webhook refused", extra={"provider": provider_name, "reason": refusal.fields.get("reason")})
        return errors.problem(
            400,
            code=str(refusal.fields.get("reason", refusal.code)),
            title="This event was not accepted",
            detail=sentences.of(refusal),
        )
    return jsonify({"received": True, "duplicate": not received.is_new})
