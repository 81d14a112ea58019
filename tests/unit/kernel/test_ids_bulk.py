"""Ids made in bulk are as unique and rising as single ones."""

from billing.kernel import ids


def test_ids_made_at_once_rise_and_are_never_given_twice() -> None:
    before = ids.new_id("usg")
    blocks = [ids.new_ids("usg", 3), ids.new_ids("usg", 40_000), [ids.new_id("usg")], ids.new_ids("usg", 1)]
    made = [before, *(one for block in blocks for one in block)]
    assert made == sorted(set(made))
    assert {len(one) for one in made} == {30}
    assert ids.new_ids("usg", 0) == []


def test_a_block_that_carries_into_its_shared_characters_still_rises() -> None:
    made = ids.new_ids("usg", 2**20 + 5)
    assert made == sorted(set(made))
    assert len(made) == 2**20 + 5
