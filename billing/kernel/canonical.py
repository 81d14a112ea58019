"""Canonical bytes and hashes: what the chain, the derivations and the idempotency checks are made of.

A record is hashed as compact JSON of [version, ...fields] in UTF-8: text, integers, null, lists and objects with sorted
keys; floats have no canonical form here and are refused. Any language can rebuild these bytes with its JSON library.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def dumps(value: Any) -> str:
    """Canonical JSON text. Raises TypeError for a float (a test walks all callers' shapes)."""
    if type(value) is dict and len(value) == 1:  # such as an entry's detail, of which a posting has thousands
        ((key, only),) = value.items()
        if type(key) is str and type(only) is str:
            return f"{{{encode_basestring(key)}:{encode_basestring(only)}}}"
    _refuse_floats(value)
    return _encoder.encode(value)


def digest(version: str, *fields: Any) -> str:
    """SHA-256, in hex, over the canonical bytes of `[version, *fields]`; `version` is such as "rated-line/1".

    Callers on bulk paths pass only str, int and None, which the encoder writes without a check.
    """
    return sha256(_encoder.encode([version, *fields]).encode()).hexdigest()


def merkle_root(leaf_hashes: Sequence[str]) -> str:
    """RFC 6962 Merkle tree hash over hex leaf data, as hex; the empty list gives SHA-256 of nothing.

    Leaves are hashed as SHA-256(0x00 || leaf), inner nodes as SHA-256(0x01 || left || right), split at the largest power of
    two smaller than the count, so a proof is of logarithmic size.
    """
    if not leaf_hashes:
        return sha256(b"").hexdigest()
    fromhex = bytes.fromhex
    level = [sha256(b"\x00" + fromhex(leaf)).digest() for leaf in leaf_hashes]
    # Pairing neighbours level by level, an odd last node moving up unchanged, gives the same tree as RFC 6962's recursion.
    while len(level) > 1:
        left_over = level[-1:] if len(level) % 2 else []
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += left_over
    return level[0].hex()


_PLAIN = frozenset({str, int, bool, type(None)})


def _refuse_floats(value: Any) -> None:
    kind = type(value)
    if kind in _PLAIN:
        return
    if isinstance(value, float):
        raise TypeError("a float has no canonical form")
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        if type(item) not in _PLAIN:  # most members are plain: no call for them
            _refuse_floats(item)
