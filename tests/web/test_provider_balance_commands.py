"""`plumbline provider-balance`: read it now, and see what is held, what moved, what was paid out."""

import json
from collections.abc import Iterator

import pytest
from flask import Flask

from billing.storage.database import Database
from tests.web import operators
from tests.web.operators import House
from tests.web.test_webhook_commands import Plumbline, plumbline

__all__ = ["plumbline"]


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def test_commands_read_the_balance_and_show_it(plumbline: Plumbline, app: Flask, database: Database) -> None:
    house = House(app, database)
    house.top_up(house.account("calla"), 50_000)
    assert json.loads(plumbline("provider-balance", "sync", "--format", "json").output) == {"done": 2}
    [held] = json.loads(plumbline("provider-balance", "show", "--format", "json").output)
    # 500.00 less 2.9 % and 0.30
    assert (held["ours_minor"], held["theirs_minor"], held["difference_minor"]) == (48_520, 48_520, 0)
    [moved] = json.loads(plumbline("provider-balance", "list", "--state", "explained", "--format", "json").output)
    assert (moved["type"], moved["fee_minor"], moved["account_code"]) == ("charge", 1_480, "calla")
    assert json.loads(plumbline("provider-balance", "payouts", "--format", "json").output) == []
    assert plumbline("provider-balance", "list", "--state", "nonsense").exit_code == 2
