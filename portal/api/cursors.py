"""Cursors: where a list goes on. Opaque and signed, bound to the route, the account and the filters they came from."""

import hashlib
from typing import Any

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeSerializer

from billing.kernel.errors import Invalid

DEFAULT_LIMIT, MAX_LIMIT = 50, 200


def limit() -> int:
    """How many rows are asked for, 1 to 200. Raises Invalid(field="limit")."""
    text = request.args.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise Invalid(field="limit", value=ascii(text[:20]), limit=MAX_LIMIT, reason="limit_out_of_range")
    return int(text)


def read(account_id: str) -> Any | None:
    """The position that the request's cursor holds, None without one. Raises Invalid for one that is not ours or of another list."""
    text = request.args.get("cursor")
    if text is None:
        return None
    try:
        return _signer(account_id).loads(text)
    except BadSignature:
        raise Invalid(field="cursor", reason="bad_cursor") from None


def write(account_id: str, position: Any) -> str:
    """A cursor that goes on behind `position`."""
    return str(_signer(account_id).dumps(position))


def _signer(account_id: str) -> URLSafeSerializer:
    kept = sorted((name, value) for name, value in request.args.items(multi=True) if name not in ("cursor", "limit"))
    filters = hashlib.sha256(repr(kept).encode("utf-8", "backslashreplace")).hexdigest()
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt=f"cursor:{request.endpoint}:{account_id}:{filters}")
