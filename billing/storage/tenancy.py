"""Which tenants' rows the running code may see: the second wall, held by PostgreSQL's row-level security (`walls`).

The portal opens as little as a request may need, so that a forgotten filter finds nothing instead of a stranger's invoice.
Jobs and the command line work for everybody and start with everything. SQLite has no such wall: there the filters stand alone.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The rows in sight: those of some billing accounts and of some tenants, or all of them. Ids only."""

    accounts: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    is_everything: bool = False

    @property
    def accounts_setting(self) -> str:
        """What the policies read as `plumbline.accounts`: ids with commas between, `*` for all."""
        return "*" if self.is_everything else ",".join(sorted(self.accounts))

    @property
    def tenants_setting(self) -> str:
        """What the policies read as `plumbline.tenants`."""
        return "*" if self.is_everything else ",".join(sorted(self.tenants))


EVERYTHING = Scope(is_everything=True)
NOTHING = Scope()
_current: ContextVar[Scope] = ContextVar("tenancy", default=EVERYTHING)


def current() -> Scope:
    """The scope in force."""
    return _current.get()


def of(*, accounts: Iterable[str], tenants: Iterable[str]) -> Scope:
    """The scope of these billing accounts and tenants. Raises ValueError for an id that could be read as more than one."""
    scope = Scope(accounts=frozenset(accounts), tenants=frozenset(tenants))
    if any(not each or "," in each or "*" in each for each in scope.accounts | scope.tenants):
        raise ValueError("an id holds neither commas nor stars")
    return scope


def enter(scope: Scope) -> Token[Scope]:
    """Put a scope in force until `leave`; transactions that begin meanwhile are held to it."""
    return _current.set(scope)


def leave(token: Token[Scope]) -> None:
    """Go back to the scope before."""
    _current.reset(token)


@contextmanager
def scope(scope: Scope) -> Iterator[None]:
    """A scope for the length of a block."""
    token = enter(scope)
    try:
        yield
    finally:
        leave(token)
