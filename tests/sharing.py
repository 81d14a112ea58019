"""What every test would make anew although it is the same each time, made once in a process: an installation, too, has one of each.

Each test has a database and often an application of its own, and with them engines, templates and routes. Nothing here holds a
fact about a database or an application: compiled statements, compiled templates, compiled builders of addresses.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket
from sqlalchemy import Connection, Dialect, Engine, create_engine
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from billing.accounts import passwords
from billing.storage import database

_STATEMENTS_KEPT = 10_000
_QUICK = passwords.Cost(memory_kib=8, passes=1)

_dialects: dict[str, Dialect] = {}
_statements: LRUCache[Any, Any] = LRUCache(_STATEMENTS_KEPT)
_builders: dict[Any, Callable[..., tuple[str, str]]] = {}
_hasher, _compile_builder = passwords._hasher, Rule._compile_builder


def share() -> None:
    """From now on this process compiles each statement, template and route once, and hashes passwords at little cost."""
    database.create_engine = _engine
    Flask.jinja_options = {"bytecode_cache": _CompiledTemplates()}
    Rule._compile_builder = _builder
    passwords._hasher = _quick_hasher


def _engine(url: str, **settings: Any) -> Engine:
    """An engine whose dialect is that of the first one which connected: compiled statements belong to a dialect."""
    engine = create_engine(url, **settings)
    own = engine.dialect
    known = _dialects.get(own.name)
    initialize = own.initialize

    def learn(connection: Connection) -> None:
        if known is None:
            initialize(connection)
            _dialects.setdefault(own.name, own)

    own.initialize = learn
    engine.dialect = known or own
    engine.update_execution_options(compiled_cache=_statements)
    return engine


class _CompiledTemplates(BytecodeCache):
    """The code of templates by their text, and by all of an environment that goes into the code."""

    def __init__(self) -> None:
        self._codes: dict[Any, CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get(_identity(bucket))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[_identity(bucket)] = bucket.code


def _identity(bucket: Bucket) -> Any:
    environment: Environment = bucket.environment
    syntax = (environment.trim_blocks, environment.lstrip_blocks, environment.undefined)
    names = (frozenset(environment.filters.items()), frozenset(environment.tests.items()))
    return bucket.key, bucket.checksum, syntax, names, frozenset(environment.extensions)


def _builder(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """The function that builds a rule's addresses; it takes its converters from the rule it is bound to."""
    if rule.defaults:
        return _compile_builder(rule, append_unknown)
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]


def _quick_hasher(cost: passwords.Cost) -> Any:
    """Whoever asks for the product's cost gets a small one: what it is stands in tests/unit/accounts/test_passwords.py."""
    return _hasher(_QUICK if cost == passwords.DEFAULT_COST else cost)
