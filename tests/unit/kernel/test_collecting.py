"""The cycle collector rests during bulk work and runs again after it."""

import gc

import pytest

from billing.kernel import collecting


def _fail() -> None:
    assert not gc.isenabled()
    raise RuntimeError


def test_the_collector_rests_inside_and_runs_again_after_an_error() -> None:
    with pytest.raises(RuntimeError), collecting.paused():
        _fail()
    assert gc.isenabled()


def test_a_pause_inside_a_pause_does_not_end_it() -> None:
    with collecting.paused():
        with collecting.paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
