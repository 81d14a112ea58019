"""Secret keys of test mode, as Bearer or as the user of Basic. https://docs.stripe.com/api/authentication"""

import base64
import binascii

from tests.peers.stripe.errors import Unstarted


def check_key(header: str) -> None:
    """Raises Unstarted(401) unless the header carries a secret or restricted key of test mode."""
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
    if not key.startswith(("sk_test_", "rk_test_")):
        raise Unstarted(401, f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:]}")
