"""Fields that a form or body does not have change nothing: each write is done twice, with and without them, and the rows compared."""

import re
from collections import Counter

import pytest
from sqlalchemy import MetaData
from werkzeug.test import TestResponse

from billing.storage.columns import Base
from tests.gates import write_gates
from tests.gates.walk import Stop, Walk
from tests.session import is_full_depth
from tests.web.pages import elements

_VOLATILE = re.compile(
    r"\b[a-z]{2,4}_[0-9a-z]{20,}|\b[0-9a-f]{12,}\b|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*Z?|\b\d{10,}\b|[A-Za-z0-9_-]{22,}=*|\$argon2id\$[^']+"
)
_ALWAYS_NEW = {"idempotency_keys"}
Rows = dict[str, Counter[str]]


def names() -> set[str]:
    """Every column that any table has: what somebody would try."""
    metadata: MetaData = Base.metadata
    return {column.name for table in metadata.tables.values() for column in table.columns} | {
        "is_admin", "admin", "role", "staff_role", "permissions", "scopes", "approved", "user", "account", "tenant", "owner", "_method",
    }  # fmt: skip


def rows(walk: Walk) -> Rows:
    """{table: its rows as text, without ids, hashes and instants}."""
    return {
        table: Counter(_VOLATILE.sub("~", repr(row)) for row in found)
        for table, found in write_gates.rows(walk).items()
        if table not in _ALWAYS_NEW
    }


def effect(
    walk: Walk, stop: Stop, more: dict[str, str]
) -> tuple[TestResponse, dict[str, tuple[Counter[str], Counter[str]]]]:
    """The answer to a write and, per table, the rows that it made and those that it took away; undone afterwards."""
    if not stop.is_machine:
        walk.token(stop.owner)
    before = rows(walk)
    with walk.rewound():
        answer = walk.send(stop, more=more)
        after = rows(walk)
    made = {
        table: (after[table] - before[table], before[table] - after[table])
        for table in after
        if after[table] != before[table]
    }
    return answer, made


def shown(walk: Walk, stop: Stop) -> set[str]:
    """The fields of every form of the portal that is sent to this stop, ticked or not."""
    path = stop.url.partition("?")[0]
    return {
        control.get("name", "")
        for page in map(walk.page, walk.pages())
        for form in page.root.iter("form")
        if form.get("action", "").partition("?")[0] == path
        for control in elements(form)
    }


@pytest.fixture
def hostile(own_walk: Walk) -> dict[str, str]:
    """{name: value}: states, sums and owners that a form must not set."""
    values = {
        "account_id": own_walk.ids["other_account_id"], "billing_account_id": own_walk.ids["other_account_id"], "state": "approved",
        "status": "approved", "role": "admin", "staff_role": "admin", "scopes": "usage.write", "amount_minor": "1", "currency": "EUR",
        "actor": "usr_evil", "created_at": "2001-01-01T00:00:00Z", "is_active": "1", "tenant_id": "ten_evil", "user_id": "usr_evil",
    }  # fmt: skip
    return {name: values.get(name, "1") for name in names()}


def test_a_form_takes_its_own_fields_and_no_others(own_walk: Walk, hostile: dict[str, str]) -> None:
    tried, moved = 0, 0
    forms = [stop for stop in own_walk.stops() if stop.writes and not stop.is_machine and stop.access != "key"]
    for stop in forms if is_full_depth() else forms[::3]:
        own = {*own_walk.fields(stop, stop.owner), *shown(own_walk, stop)}
        extra = {name: value for name, value in hostile.items() if name not in own}
        (plain, expected), (answer, made) = effect(own_walk, stop, {}), effect(own_walk, stop, extra)
        assert (answer.status_code, made) == (plain.status_code, expected), (
            f"{stop}: other fields change what the form does"
        )
        tried, moved = tried + 1, moved + bool(expected)
    assert tried == len(range(0, len(forms), 1 if is_full_depth() else 3)) > 10
    assert moved > 5


def test_a_body_of_the_api_takes_its_own_fields_and_no_others(own_walk: Walk, hostile: dict[str, str]) -> None:
    """Unknown members are refused one by one; where they are allowed by a standard (CloudEvents), they have no effect."""
    tried = 0
    for stop in own_walk.stops():
        if not stop.writes or not stop.access.startswith("key:") or not stop.sample.body:
            continue
        plain, expected = effect(own_walk, stop, {})
        assert plain.status_code in (200, 201, 202), str(stop)
        known = {
            *own_walk.body(stop),
            "account",
            "id",
            "name",
            "project",
            "submitter",
            "invoice_id",
            "mode",
            "variant",
            "allocation_id",
            "price_book_id",
            "reason",
        }
        extra = {name: value for name, value in hostile.items() if name not in known}
        answer, made = effect(own_walk, stop, extra)
        if answer.status_code == 422:
            refused = {fault["pointer"].lstrip("/") for fault in answer.json["errors"]}
            assert set(extra) - refused == set(), f"{stop}: not refused"
            assert not made, str(stop)
        else:
            assert (answer.status_code, made) == (plain.status_code, expected), (
                f"{stop}: more members change what it does"
            )
        tried += 1
    assert tried >= 4


def test_the_comparison_sees_a_field_that_is_taken(own_walk: Walk) -> None:
    budget = next(stop for stop in own_walk.stops() if str(stop) == "/budgets/new")
    assert effect(own_walk, budget, {})[1] == effect(own_walk, budget, {})[1]
    assert effect(own_walk, budget, {})[1] != effect(own_walk, budget, {"amount": "1.00"})[1]
