"""Stripe's error object: type, code, message, param, and what a declined card adds. https://docs.stripe.com/api/errors"""

from typing import Any

_DOCS = "https://stripe.com/docs/error-codes/"


class Refused(Exception):
    """An answer other than 200, given after the act began: the idempotency layer keeps it."""

    is_kept = True

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        **more: Any,
    ) -> None:
        self.status = status
        self.error: dict[str, Any] = {"type": kind, "message": message}
        if code is not None:
            self.error |= {"code": code, "doc_url": _DOCS + code.replace("_", "-")}
        if param is not None:
            self.error["param"] = param
        self.error |= more
        super().__init__(message)


class InvalidParameter(Refused):
    """400 before the act began: nothing is kept under the idempotency key, the corrected call may use it."""

    is_kept = False

    def __init__(self, message: str, *, param: str, code: str | None = None) -> None:
        super().__init__(400, message, code=code, param=param)


class Unstarted(Refused):
    """A refusal that no endpoint saw: no key, a busy key, a rate limit, an unknown address."""

    is_kept = False


def missing(param: str) -> InvalidParameter:
    """A required parameter is absent."""
    return InvalidParameter(f"Missing required param: {param}.", param=param, code="parameter_missing")


def no_such(kind: str, object_id: str, param: str = "id") -> Refused:
    """404 when the address names it, 400 when a parameter does."""
    name = kind.replace(".", " ")
    return Refused(
        404 if param == "id" else 400, f"No such {name}: '{object_id}'", code="resource_missing", param=param
    )


def declined(code: str, message: str, **more: Any) -> Refused:
    """402 of the card's bank."""
    return Refused(402, message, code=code, kind="card_error", **more)
