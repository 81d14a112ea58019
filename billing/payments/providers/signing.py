"""Webhook signatures `t=<seconds>,v1=<hmac>`: HMAC-SHA256 over "<t>.<raw body>" (docs.stripe.com/webhooks, "verify manually").

Our own check, because the SDK's accepts timestamps in the future and a tolerance of zero turns its replay check off.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from billing.kernel.clock import to_millis
from billing.payments.errors import WebhookRefused

TOLERANCE_S = 300
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MAX_HEADER = 2000


def sign(raw_body: bytes, *, secret: str, at: datetime) -> str:
    """The header's value for these bytes, signed at that instant."""
    timestamp = str(to_millis(at) // 1000)
    return f"t={timestamp},v1={_mac(timestamp, raw_body, secret)}"


def verify(raw_body: bytes, header: str | None, *, secret: str | Sequence[str], now: datetime) -> None:
    """Accept a body signed with `secret`, or with one of several, at most 300 s before or after `now`.

    While a secret is rolled the provider may sign with both (several v1 values), and we may know both, whichever changes first.
    Raises WebhookRefused with reason signature_missing, signature_malformed, signature_wrong or timestamp_out_of_range.
    """
    if not header:
        raise WebhookRefused(reason="signature_missing")
    secrets = [one for one in ((secret,) if isinstance(secret, str) else secret) if one]
    if not secrets:
        raise WebhookRefused(reason="signature_wrong")  # without a secret anyone could sign
    pairs = [part.partition("=") for part in header[:_MAX_HEADER].split(",")]
    timestamps = [value.strip() for name, _, value in pairs if name.strip() == "t"]
    signatures = [value.strip() for name, _, value in pairs if name.strip() == "v1"]
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]) or not signatures:
        raise WebhookRefused(reason="signature_malformed")
    expected = [_mac(timestamps[0], raw_body, one).encode() for one in secrets]
    found = [signature.encode("utf-8", "replace") for signature in signatures]
    matches = [hmac.compare_digest(one, other) for one in expected for other in found]
    if not any(matches):
        raise WebhookRefused(reason="signature_wrong")
    if abs(to_millis(now) - int(timestamps[0]) * 1000) > TOLERANCE_S * 1000:
        raise WebhookRefused(reason="timestamp_out_of_range", tolerance_s=TOLERANCE_S)


def _mac(timestamp: str, raw_body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + raw_body, hashlib.sha256).hexdigest()
