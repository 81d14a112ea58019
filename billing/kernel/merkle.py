"""Merkle trees as RFC 6962 builds them: leaves hashed as SHA-256(0x00 || data), inner nodes as SHA-256(0x01 || left || right).

A tree that is kept can be changed in few places at a cost of one path each, and proves that a leaf is in it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two nodes side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """All nodes of a tree, level by level. Neighbours are paired, an odd last node moves up: the shape of RFC 6962."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[leaf_hash(data) for data in leaves]]
        self._update(range(len(self._levels[0])))

    def __len__(self) -> int:
        return len(self._levels[0])

    @property
    def root(self) -> str:
        """The tree's hash in hex; of no leaves, SHA-256 of nothing."""
        return (self._levels[-1][0] if self._levels[-1] else hashlib.sha256(b"").digest()).hex()

    def put(self, changed: Mapping[int, bytes]) -> None:
        """Replace leaves, or add them at the end: {place: data}, places beyond the end without a gap."""
        leaves = self._levels[0]
        for place in sorted(changed):
            if place == len(leaves):
                leaves.append(leaf_hash(changed[place]))
            else:
                leaves[place] = leaf_hash(changed[place])
        self._update(changed)

    def proof(self, place: int) -> list[str]:
        """The siblings, in hex, from the leaf at `place` up to the root: with them, the leaf and the tree's size give its root."""
        path = []
        for level in self._levels[:-1]:
            if place ^ 1 < len(level):
                path.append(level[place ^ 1].hex())
            place //= 2
        return path

    def _update(self, places: Iterable[int]) -> None:
        depth, touched = 0, set(places)
        while len(self._levels[depth]) > 1:
            level = self._levels[depth]
            if depth + 1 == len(self._levels):
                self._levels.append([])
            above = self._levels[depth + 1]
            above.extend([b""] * ((len(level) + 1) // 2 - len(above)))
            touched = {place // 2 for place in touched}
            for place in touched:
                pair = level[2 * place : 2 * place + 2]
                above[place] = node_hash(*pair) if len(pair) == 2 else pair[0]
            depth += 1


def root_of_proof(data: bytes, place: int, count: int, path: Sequence[str]) -> str | None:
    """The root that a proof of inclusion leads to, in hex; None where the proof has not the length that `count` leaves ask for."""
    if not 0 <= place < count:
        return None
    node, siblings = leaf_hash(data), iter(path)
    while count > 1:
        if place % 2 or place + 1 < count:
            sibling = next(siblings, None)
            if sibling is None:
                return None
            side = bytes.fromhex(sibling)
            node = node_hash(side, node) if place % 2 else node_hash(node, side)
        place, count = place // 2, (count + 1) // 2
    return None if next(siblings, None) is not None else node.hex()
