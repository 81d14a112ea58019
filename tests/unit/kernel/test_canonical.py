"""Canonical bytes, hashes and ids."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel import canonical, ids


def test_canonical_text_is_compact_sorted_and_keeps_characters() -> None:
    assert canonical.dumps({"b": 1, "a": ["é", None]}) == '{"a":["é",null],"b":1}'


@pytest.mark.parametrize("value", [1.0, [1.5], {"a": {"b": (2.0,)}}])
def test_a_float_has_no_canonical_form(value: object) -> None:
    with pytest.raises(TypeError):
        canonical.dumps(value)


def test_digest_is_sha256_of_version_and_fields() -> None:
    assert canonical.digest("x/1", "a", 2, None) == hashlib.sha256(b'["x/1","a",2,null]').hexdigest()


def _rfc6962(leaves: list[bytes]) -> bytes:
    """The recursion as RFC 6962 section 2.1 writes it."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + _rfc6962(leaves[:k]) + _rfc6962(leaves[k:])).digest()


@given(st.integers(1, 70))
def test_merkle_root_is_rfc_6962s(count: int) -> None:
    leaves = [hashlib.sha256(str(i).encode()).digest() for i in range(count)]
    assert canonical.merkle_root([leaf.hex() for leaf in leaves]) == _rfc6962(leaves).hex()


def test_no_leaves_give_the_hash_of_nothing() -> None:
    assert canonical.merkle_root([]) == hashlib.sha256(b"").hexdigest()


def test_ids_rise_and_do_not_repeat() -> None:
    made = ids.new_ids("usg", 20_000)
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(len(one) == len("usg_") + 26 for one in made)
