"""What someone typed when their session had ended: sealed into the sign-in page, given back to the same person, never sent by itself.

The way of it: access meets a POST without a session and answers `signed_out(...)`, status 401, with the sealed entries in the form
`kept`. Sign-in carries that field through its steps; once the person is known, `unpack` opens it for them alone, and `offer` shows
what was typed with one button. Nothing is stored on the server, nothing is resubmitted without a click.
"""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flask import Response, current_app, make_response, render_template, request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict

from portal import htmx

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

FIELD = "kept"
MAX_AGE_S = 3600
MOST_BYTES = 64 * 1024
_SECRET = re.compile(r"passw|secret|token|csrf|otp|recovery|(^|_)(code|pin|cvc|iban|card)($|_)|^kept$", re.IGNORECASE)
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x1f]*")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Entries given back: the path they were meant for, and (name, value) in the order of the form."""

    path: str
    fields: tuple[tuple[str, str], ...]

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """The entries in words for the person to look over, without what the page itself had put into its form."""
        return tuple(
            (name.replace("_", " ").replace("-", " ").strip().capitalize(), value)
            for name, value in self.fields
            if value.strip() and not name.endswith(("_key", "_id", "_version", "_hash"))
        )


def of_form(form: Mapping[str, str], path: str) -> Kept | None:
    """The entries of a form without passwords, codes, tokens and files; None where there is nothing to keep, or over 64 kB."""
    fields = tuple((name, value) for name, value in _items(form) if not _SECRET.search(name))
    if not fields or not _LOCAL_PATH.fullmatch(path) or len(_written(fields)) > MOST_BYTES:
        return None
    return Kept(path=path, fields=fields)


def pack(form: Mapping[str, str], path: str, user_id: str | None, *, now: datetime) -> str | None:
    """The entries of a form sealed for that person, or None where there is nothing to keep or nobody to keep it for.

    The seal encrypts and signs (AES-CBC with HMAC), so that the page of a shared computer shows the entries to nobody else, and
    carries its time.
    """
    found = of_form(form, path)
    if user_id is None or found is None:
        return None
    body = _written({"user": user_id, "path": found.path, "fields": found.fields})
    return _seal().encrypt_at_time(zlib.compress(body), int(now.timestamp())).decode()


def unpack(token: str | None, user_id: str, *, now: datetime) -> Kept | None:
    """The entries, or None: absent, altered, older than an hour, or another person's."""
    from cryptography.fernet import InvalidToken

    try:
        body = _seal().decrypt_at_time((token or "").encode(), MAX_AGE_S, int(now.timestamp()))
    except InvalidToken:
        return None
    found = json.loads(zlib.decompress(body))
    if found["user"] != user_id:
        return None
    return Kept(path=found["path"], fields=tuple((name, value) for name, value in found["fields"]))


def signed_out(form: FlaskForm, action: str, token: str | None) -> Response:
    """Status 401 for a POST without a session: the sign-in form with the entries in it; for htmx inside the page that stays.

    `form` is the sign-in form, unfilled (`formdata=None`); `action` the sign-in URL with its signed way back; `token` what `pack` gave.
    """
    is_part = htmx.is_partial_request()
    context = {"form": form, "action": action, "token": token, "is_part": is_part, "had_files": bool(request.files)}
    template = "auth/_kept_sign_in.html" if is_part else "auth/kept_sign_in.html"
    return htmx.error(make_response(render_template(template, **context), 401))


def offer(found: Kept, *, status: int = 200) -> Response:
    """The page "Your entries are kept": what was typed, a fresh form token, and one button that sends it where it was meant to go."""
    return make_response(render_template("errors/kept.html", kept=found), status)


def _items(form: Mapping[str, str]) -> list[tuple[str, str]]:
    return list(form.items(multi=True)) if isinstance(form, MultiDict) else list(form.items())


def _written(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _seal() -> "MultiFernet":
    """Seals with the secret key in force; what the keys before it sealed is still opened."""
    from cryptography.fernet import Fernet, MultiFernet  # OpenSSL, not at every start

    secrets = (current_app.config["SECRET_KEY"], *(current_app.config.get("SECRET_KEY_FALLBACKS") or ()))
    digests = (hashlib.sha256(f"kept-entries:{secret}".encode()).digest() for secret in secrets)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
