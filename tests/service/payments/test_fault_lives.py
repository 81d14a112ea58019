"""Whole lives of accounts under faults by a seed: whatever errs, is lost or dies, at the end ours is what the provider's is.

A seed that fails lives again alone: `PLUMBLINE_FAULT_SEEDS=17 .venv/bin/pytest -n0 tests/service/payments/test_fault_lives.py`.
"""

import os

import pytest

from billing.assurance import reconciliation, selfcheck
from billing.payments import webhooks
from tests import databases, staff
from tests.peers.stripe.server import StripeServer
from tests.service.payments.fault_lives import BEGUN_AT, PATIENT, QUICK, Life
from tests.service.payments.mortal import Fate, MortalDatabase
from tests.service.payments.world import ASKER, DECIDER
from tests.session import run_dir

_AT_ONCE = 20
_FAULTS_PER_MILLE, _DEATHS_PER_MILLE = 150, 20


def batches(first: int, count: int) -> list[list[int]]:
    """The seeds in parts for several workers, or those that PLUMBLINE_FAULT_SEEDS names."""
    named = [int(seed) for seed in os.environ.get("PLUMBLINE_FAULT_SEEDS", "").replace(",", " ").split()]
    seeds = named or range(first, first + count)
    return [list(seeds[place : place + _AT_ONCE]) for place in range(0, len(seeds), _AT_ONCE)]


def live(engine: str, seed: int) -> Life:
    """One life in a database of its own, with a provider of its own; at its end nothing contradicts anything."""
    with databases.fresh(engine, run_dir()) as urls, StripeServer(hears=sorted(webhooks.HANDLED_TYPES)) as peer:
        database = MortalDatabase(urls, Fate(seed, per_mille=0))
        try:
            peer.clock.set(int(BEGUN_AT.timestamp()))
            with database.transaction("jobs") as session:
                staff.hire(session, ASKER, DECIDER)
            life = Life(seed=seed, database=database, peer=peer, code="life")
            peer.faults.by_chance(seed, per_mille=_FAULTS_PER_MILLE, kinds=QUICK if seed % 10 else PATIENT)
            life.fate.per_mille = _DEATHS_PER_MILLE
            life.live()
            told = f"seed {seed}\n" + "\n".join(life.story) + f"\n{peer.faults.met}"
            assert life.differences() == [], told
            with database.reading("jobs") as session:
                checked = selfcheck.run(session, now=life.now)
                compared = reconciliation.compare(session, now=life.now)
            assert checked.checked > 0
            assert not checked.differences, f"{checked.differences} {told}"
            assert not compared.found, f"{compared.found} {told}"
            return life
        finally:
            database.dispose()


@pytest.mark.parametrize("seeds", batches(0, 200), ids=lambda seeds: str(seeds[0]))
def test_two_hundred_lives(seeds: list[int]) -> None:
    lives = [live("sqlite", seed) for seed in seeds]
    assert sum(len(life.fate.deaths) + len(life.peer.faults.met) for life in lives) > len(lives)


@pytest.mark.merge_medium
@pytest.mark.parametrize("seeds", batches(1000, 100), ids=lambda seeds: str(seeds[0]))
def test_a_hundred_lives_on_either_engine(engine: str, seeds: list[int]) -> None:
    for seed in seeds:
        live(engine, seed)


@pytest.mark.release_heavy
@pytest.mark.parametrize("seeds", batches(10_000, 5000), ids=lambda seeds: str(seeds[0]))
def test_five_thousand_lives(seeds: list[int]) -> None:
    for seed in seeds:
        live("sqlite", seed)
