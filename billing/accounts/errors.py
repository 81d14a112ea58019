"""Refusals of this room."""

from billing.kernel.errors import Conflict, Refusal


class CodeTaken(Conflict):
    """Another tenant, account or seller has this code."""

    code = "code_taken"


class LoginTaken(Conflict):
    """Another person signs in with this address."""

    code = "login_taken"


class KeyRefused(Refusal):
    """No such API key, or one that was revoked: the two are never told apart."""

    code = "key_refused"
