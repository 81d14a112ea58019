"""Secrets that must be read again, sealed with a key outside the database: a copy of the database alone opens none of them."""

import base64


class Unreadable(Exception):
    """No key that is known opens this: the portal's secret key was changed without naming the old one."""


class Sealer:
    """Seals texts for one purpose under the first of the portal's secret keys, and opens what any of them sealed.

    Keys are derived with HKDF (RFC 5869) from secret key and purpose, so that what one purpose sealed means nothing to another.
    """

    def __init__(self, purpose: str, secret_key: str, *old_secret_keys: str) -> None:
        from cryptography.fernet import (
            Fernet,
            MultiFernet,
        )  # OpenSSL is loaded with the first secret, not at every start

        fernets = [Fernet(_derived(secret, purpose)) for secret in (secret_key, *old_secret_keys)]
        self._current, self._all = fernets[0], MultiFernet(fernets)

    def seal(self, text: str) -> str:
        """The text encrypted and signed (AES-CBC with HMAC)."""
        return self._current.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text. Raises Unreadable for what was altered, or sealed under a key that is not known."""
        from cryptography.fernet import InvalidToken

        try:
            return self._all.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Unreadable from None

    def is_current(self, sealed: str) -> bool:
        """Whether it was sealed under the key in force, not under an older one."""
        from cryptography.fernet import InvalidToken

        try:
            self._current.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True


def _derived(secret: str, purpose: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"plumbline:{purpose}".encode())
    return base64.urlsafe_b64encode(derived.derive(secret.encode()))
