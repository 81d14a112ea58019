"""Canonical bytes and hashes: what the chain, the derivations and the idempotency checks are made of.

A record is hashed as compact JSON of [version, ...fields] in UTF-8: text, integers, null, lists and objects with sorted
keys; floats have no canonical form here and are refused. Any language can rebuild these bytes with its JSON library.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def dumps(value: Any) -> str:
    """Canonical JSON text. Raises TypeError for a float (a test walks all callers' shapes)."""
    _refuse_floats(value)
    return _encoder.encode(value)


def digest(version: str, *fields: Any) -> str:
    """SHA-256, in hex, over the canonical bytes of `[version, *fields]`; `version` is such as "rated-line/1".

    Callers on bulk paths pass only str, int and None, which the encoder writes without a check.
    """
    return hashlib.sha256(_encoder.encode([version, *fields]).encode()).hexdigest()


def merkle_root(leaf_hashes: Sequence[str]) -> str:
    """RFC 6962 Merkle tree hash over hex leaf data, as hex; the empty list gives SHA-256 of nothing.

    Leaves are hashed as SHA-256(0x00 || leaf), inner nodes as SHA-256(0x01 || left || right), split at the largest power of
    two smaller than the count, so a proof is of logarithmic size.
    """
    if not leaf_hashes:
        return hashlib.sha256(b"").hexdigest()
    level = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in leaf_hashes]
    # Pairing neighbours level by level, an odd last node moving up unchanged, gives the same tree as RFC 6962's recursion.
    while len(level) > 1:
        paired = [hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = paired + ([level[-1]] if len(level) % 2 else [])
    return level[0].hex()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a float has no canonical form")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
