"""Nothing that needs two people can be reached but through `controls.second_person`: every call in the code, walked."""

import ast
import inspect
from functools import cache
from pathlib import Path

import pytest

from billing.accounts.approvals import ACTS, Allowed
from billing.accounts.permissions import STAFF_ROLES, of_staff
from billing.controls import second_person
from billing.invoicing import write_offs as invoice_write_offs
from billing.ledger import adjustments, periods, reversal, write_offs
from billing.payments import refund_authority, refund_decisions

ROOT = Path(__file__).resolve().parents[3]
CHOKE_POINT = "billing/controls/second_person.py"
EXECUTING = (
    adjustments.adjust,
    reversal.reverse,
    periods.reopen,
    refund_decisions.carry_out,
    refund_authority.set_limit,
    write_offs.write_off,
    invoice_write_offs.write_off,
)
# What the executing functions bring about, by the words that only they may say: an entry's kind, a transaction's type, a state.
TELLING = {
    "refund_hold": "billing/payments/refund_decisions.py",
    "reversal": "billing/ledger/reversal.py",
    "ledger.period.reopen": "billing/ledger/periods.py",
}


@cache
def modules() -> tuple[tuple[str, tuple[ast.Call, ...], tuple[ast.ImportFrom, ...]], ...]:
    """Every module of ours: its path, its calls, what it imports by name."""
    found = []
    for room in ("billing", "portal"):
        for path in sorted((ROOT / room).rglob("*.py")):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            made = tuple(node for node in nodes if isinstance(node, ast.Call))
            named = tuple(node for node in nodes if isinstance(node, ast.ImportFrom))
            found.append((path.relative_to(ROOT).as_posix(), made, named))
    return tuple(found)


def is_call(node: ast.Call, *names: str) -> bool:
    """Whether one of these is called, written `room.name(...)` or `name(...)`."""
    if isinstance(node.func, ast.Name):
        return node.func.id in {name.rpartition(".")[2] for name in names}
    function = node.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and f"{function.value.id}.{function.attr}" in names
    )


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_call(node, *names)]


def callers(*names: str) -> set[str]:
    """The modules that call one of these."""
    return {path for path, made, _ in modules() if any(is_call(node, *names) for node in made)}


@pytest.mark.parametrize("function", EXECUTING, ids=lambda function: function.__name__)
def test_an_executing_function_takes_an_allowed_and_spends_it_first(function: object) -> None:
    parameter = inspect.signature(function).parameters["allowed"]  # type: ignore[arg-type]
    assert (parameter.kind, parameter.default, parameter.annotation) == (
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.empty,
        Allowed,
    )
    body = ast.parse(inspect.getsource(function)).body[0]  # type: ignore[arg-type]
    spent = min(call.lineno for call in calls(body, "approvals.spend"))
    effects = [
        node.lineno
        for node in ast.walk(body)
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Attribute) for target in node.targets)
    ]
    effects += [
        call.lineno
        for call in calls(body, "book.post", "write_offs.post", "credit_notes.credit", "_hold", "_make", "audit.record")
    ]
    assert effects
    assert spent < min(effects)


@pytest.mark.parametrize("function", EXECUTING, ids=lambda function: function.__name__)
def test_an_executing_function_is_called_where_two_people_meet_and_nowhere_else(function: object) -> None:
    room, name = inspect.getmodule(function).__name__.rpartition(".")[2], function.__name__  # type: ignore[union-attr, attr-defined]
    found = callers(f"{room}.{name}")
    assert found - {"billing/rating/periods.py", "billing/invoicing/drafts.py"} == {CHOKE_POINT}
    home = inspect.getmodule(function).__name__  # type: ignore[union-attr]
    renamed = [
        path
        for path, _, named in modules()
        for node in named
        if node.module == home and name in {alias.name for alias in node.names}
    ]
    assert renamed == []  # no other name for it


def test_an_approval_is_given_in_one_place_and_made_in_one() -> None:
    decided = callers("approvals.approve", "approvals.reject", "approvals.withdraw", "approvals.expire")
    assert decided == {CHOKE_POINT}
    assert callers("Allowed") == {"billing/accounts/approvals.py"}


def test_what_needs_two_people_is_written_by_the_executing_functions_alone() -> None:
    for word, home in TELLING.items():
        posted = {
            path
            for path, made, _ in modules()
            for call in made
            if is_call(call, "book.post", "refund_steps.post", "post", "_record")
            for value in [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg in ("type", "kind"))]
            if isinstance(value, ast.Constant) and value.value == word
        }
        assert posted == {home}, word


def test_each_act_has_its_room_and_two_permissions_that_no_single_role_but_the_administrator_has() -> None:
    assert set(second_person.ROOMS) == set(ACTS)
    for act in ACTS.values():
        assert act.maker != act.checker
        both = {role for role in STAFF_ROLES if {act.maker, act.checker} <= of_staff(role)}
        assert both == {"admin"}, act.code
        assert any(act.checker in of_staff(role) for role in STAFF_ROLES)


def test_the_walk_finds_a_call_where_there_is_one() -> None:
    tree = ast.parse("def skip(session):\n    reversal.reverse(session, allowed=None)\n    carry_out(session)\n")
    assert len(calls(tree, "reversal.reverse")) == 1
    assert len(calls(tree, "refund_decisions.carry_out")) == 1
