"""VIES, the register of VAT ids of the European Commission, by its REST interface. Where it cannot answer, the answer says so."""

import json
import urllib.error
import urllib.request
from typing import Any

from billing.accounts.vat_consultations import Answer

BASE_URL = "https://ec.europa.eu/taxation_customs/vies/rest-api"
_TIMEOUT_S = 10
_MAX_BYTES = 100_000
_TEXT_MAX = 500
_NOT_DISCLOSED = "---"


class _StayHere(urllib.request.HTTPRedirectHandler):
    """An answer that points elsewhere is none: whoever stands there would decide which VAT ids are valid."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing, so that the redirect itself is the error."""


_OPENER = urllib.request.build_opener(_StayHere)


class Vies:
    """Asks VIES. `base_url` is another address of the same interface, such as a mirror or a server in tests."""

    def __init__(self, base_url: str = BASE_URL, *, timeout_s: float = _TIMEOUT_S) -> None:
        if not base_url.startswith(("https://", "http://")):
            raise ValueError("VIES is reached by http or https")
        self._url = f"{base_url.rstrip('/')}/check-vat-number"
        self._timeout_s = timeout_s

    def consult(self, vat_id: str, *, requester: str | None) -> Answer:
        """Ask about a number; with the seller's own number VIES gives a consultation number that tax offices accept as proof."""
        body = {"countryCode": vat_id[:2], "vatNumber": vat_id[2:]}
        if requester:
            body |= {"requesterMemberStateCode": requester[:2], "requesterNumber": requester[2:]}
        request = urllib.request.Request(  # noqa: S310  the scheme was checked above
            self._url,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            method="POST",
        )
        try:
            with _OPENER.open(request, timeout=self._timeout_s) as response:
                said = json.loads(response.read(_MAX_BYTES))
        except urllib.error.HTTPError as error:
            return _refused(error)
        except (OSError, ValueError, RecursionError) as error:
            return Answer(outcome="unavailable", reason=type(error).__name__)
        return _read(said)


def _refused(error: urllib.error.HTTPError) -> Answer:
    try:
        with error:
            said = json.loads(error.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        said = None
    code = _error_of(said)
    if code == "INVALID_INPUT":
        return Answer(outcome="invalid", reason=code)
    return Answer(outcome="unavailable", reason=code or f"HTTP {error.code}")


def _read(said: Any) -> Answer:
    code = _error_of(said)
    if code == "INVALID_INPUT":
        return Answer(outcome="invalid", reason=code)
    if code is not None or not isinstance(said, dict) or not isinstance(said.get("valid"), bool):
        return Answer(outcome="unavailable", reason=code or "no answer")
    return Answer(
        outcome="valid" if said["valid"] else "invalid",
        reference=_text(said.get("requestIdentifier")),
        name=_text(said.get("name")),
        address=_text(said.get("address")),
    )


def _error_of(said: Any) -> str | None:
    """The first error that the answer names, such as MS_UNAVAILABLE."""
    wrappers = said.get("errorWrappers") if isinstance(said, dict) else None
    if not isinstance(wrappers, list) or not wrappers or not isinstance(wrappers[0], dict):
        return None
    return _text(wrappers[0].get("error")) or "UNKNOWN"


def _text(value: Any) -> str | None:
    """A text of a stranger as we keep it: one line, no controls, of bounded length."""
    if not isinstance(value, str):
        return None
    kept = " ".join("".join(each if each.isprintable() else " " for each in value).split())[:_TEXT_MAX]
    return None if kept in ("", _NOT_DISCLOSED) else kept
