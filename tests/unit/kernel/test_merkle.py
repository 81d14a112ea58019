"""Trees that are kept: the same root as built at once, and proofs that hold for their leaf alone."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from billing.kernel import canonical
from billing.kernel.merkle import Tree, root_of_proof


def _leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(str(i).encode()).digest() for i in range(count)]


@given(st.integers(0, 70))
def test_a_tree_has_the_root_that_anchors_have(count: int) -> None:
    assert Tree(_leaves(count)).root == canonical.merkle_root([leaf.hex() for leaf in _leaves(count)])


@given(st.integers(1, 70), st.data())
def test_a_changed_tree_is_the_tree_built_anew(count: int, data: st.DataObject) -> None:
    leaves = _leaves(count)
    tree = Tree(leaves)
    for _ in range(3):
        changed = {
            place: data.draw(st.binary(max_size=3)) for place in data.draw(st.sets(st.integers(0, len(leaves) - 1)))
        }
        for _ in range(data.draw(st.integers(0, 5))):
            leaves.append(b"")
            changed[len(leaves) - 1] = data.draw(st.binary(max_size=3))
        for place, content in changed.items():
            leaves[place] = content
        tree.put(changed)
        assert tree.root == Tree(leaves).root
        assert len(tree) == len(leaves)


@given(st.integers(1, 70), st.data())
def test_a_proof_holds_for_its_leaf_place_and_size_alone(count: int, data: st.DataObject) -> None:
    leaves = _leaves(count)
    tree, place = Tree(leaves), data.draw(st.integers(0, count - 1))
    path = tree.proof(place)
    assert root_of_proof(leaves[place], place, count, path) == tree.root
    assert root_of_proof(b"another", place, count, path) != tree.root
    for other in range(count):
        assert (root_of_proof(leaves[place], other, count, path) == tree.root) == (other == place)
    assert root_of_proof(leaves[place], place, count, [*path, "00" * 32]) is None
    assert root_of_proof(leaves[place], count, count, path) is None
    if path:
        assert root_of_proof(leaves[place], place, count, path[:-1]) is None
