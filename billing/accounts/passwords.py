"""Passwords: kept as Argon2id hashes, compared in the same time whether or not there is such a person."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from billing.kernel.errors import Invalid

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LENGTH_MIN, LENGTH_MAX = 8, 200
# What guessers try first here, with whatever digits and signs around it.
_OUR_WORDS = frozenset({"plumbline", "billing", "invoice", "password", "passwort", "welcome", "letmein"})


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one hash costs. The default is OWASP's for Argon2id (19 MiB, 2 passes, 1 lane); tests pass a small one."""

    memory_kib: int = 19_456
    passes: int = 2
    lanes: int = 1


DEFAULT_COST = Cost()


def require_password(password: str, *, login: str, name: str = "") -> str:
    """The password in NFC. Raises Invalid(field="password"): 8 to 200 characters, encodable, neither the person's own login or name
    nor one that many people use. Nothing else is asked: which characters it has is the person's affair."""
    password = unicodedata.normalize("NFC", password)
    if len(password) < LENGTH_MIN:
        raise Invalid(field="password", limit=LENGTH_MIN, reason="password_too_short")
    if len(password) > LENGTH_MAX:
        raise Invalid(field="password", limit=LENGTH_MAX, reason="password_too_long")
    if any(unicodedata.category(character) in ("Cs", "Cc") for character in password):
        raise Invalid(field="password", reason="control_character")
    if password.lower() in (login, login.partition("@")[0]):
        raise Invalid(field="password", reason="password_is_login")
    if is_common(password, name=name):
        raise Invalid(field="password", reason="password_common")
    return password


def is_common(password: str, *, name: str = "") -> bool:
    """Whether it is among the first that a guesser tries: a list of 30,000 leaked ones, our own words, the person's name."""
    letters = _letters(password)
    return password.casefold() in _common() or letters in _OUR_WORDS or (letters != "" and letters == _letters(name))


def make_hash(password: str, cost: Cost = DEFAULT_COST) -> str:
    """The hash to keep, salted anew each time."""
    return _hasher(cost).hash(_bytes(password))


def is_match(password_hash: str | None, password: str, cost: Cost = DEFAULT_COST) -> bool:
    """Whether the password belongs to the hash. Without a hash the same work is done against a dummy, and the answer is no."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > LENGTH_MAX:
        password, password_hash = "", None
    try:
        _hasher(cost).verify(password_hash or _dummy(cost), _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str, cost: Cost = DEFAULT_COST) -> bool:
    """Whether the hash was made at another cost than today's."""
    return _hasher(cost).check_needs_rehash(password_hash)


@lru_cache(maxsize=4)
def _hasher(cost: Cost) -> "PasswordHasher":
    from argon2 import PasswordHasher  # with the first password, not at every start
    from argon2.low_level import Type

    return PasswordHasher(
        time_cost=cost.passes,
        memory_cost=cost.memory_kib,
        parallelism=cost.lanes,
        hash_len=32,
        salt_len=16,
        type=Type.ID,
    )


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # 5 MB, needed only where a password is chosen

    return frozenset(FREQUENCY_LISTS["passwords"])


@lru_cache(maxsize=4)
def _dummy(cost: Cost) -> str:
    return _hasher(cost).hash(b"nobody has this password")


def _letters(text: str) -> str:
    return re.sub(r"[\W\d_]+", "", text.casefold())


def _bytes(password: str) -> bytes:
    # What arrives at sign-in may hold lone surrogates: they match nothing, but must not raise.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
