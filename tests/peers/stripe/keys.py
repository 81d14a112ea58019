"""Secret keys of the account's mode, as Bearer or as the user of Basic. https://docs.stripe.com/api/authentication"""

import base64
import binascii

from tests.peers.stripe.errors import Unstarted


def check_key(header: str, *, is_live: bool = False) -> None:
    """Raises Unstarted(401) unless the header carries a secret or restricted key of that mode."""
    scheme, _, value = header.partition(" ")
    key = value.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode("ascii").partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key or scheme.lower() not in ("basic", "bearer"):
        raise Unstarted(
            401,
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer "
            "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        )
    if key.startswith("pk_"):
        raise Unstarted(
            401,
            "This API call cannot be made with a publishable API key. Please use a secret API key.",
            code="secret_key_required",
        )
    mode = "live" if is_live else "test"
    if not key.startswith((f"sk_{mode}_", f"rk_{mode}_")):
        raise Unstarted(401, f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:]}")


def check_account(named: str | None, own: str) -> None:
    """Raises Unstarted(403) for a `Stripe-Account` header that names another account: the peer's has no connected ones."""
    if named is not None and named != own:
        raise Unstarted(
            403,
            f"The provided key does not have access to account '{named}' (or that account does not exist). "
            "Application access may have been revoked.",
            code="account_invalid",
        )
