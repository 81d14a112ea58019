"""The walk: every route with its real URL, people of every role, and what each may open according to the one table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from billing.accounts import permissions
from tests.gates.samples import SAMPLES, Sample
from tests.gates.world import STRANGER, TENANT, login_of
from tests.web import conftest as web

MACHINES = ("api", "webhooks")
EVERYBODY = (
    "anonymous",
    "stranger",
    *permissions.MEMBER_ROLES,
    *(f"staff:{role}" for role in permissions.STAFF_ROLES),
    *(f"key:{scope}" for scope in sorted(permissions.SCOPES)),
    "key:stranger",
)


class NoSample(AssertionError):
    """A rule of the map that no line of the table covers."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """One route of the walk: `access` is what its view declares, `url` a real address with its query."""

    rule: Rule
    sample: Sample
    access: str
    url: str

    @property
    def methods(self) -> set[str]:
        return (self.rule.methods or set()) - {"HEAD", "OPTIONS"}

    @property
    def is_page(self) -> bool:
        return self.sample.h1 is not None and "GET" in self.methods

    @property
    def is_machine(self) -> bool:
        """Whether programs call it: keys or signatures, no session, no form token."""
        return self.access == "key" or self.access.startswith("key:")

    @property
    def owner(self) -> str:
        """Somebody who may open it."""
        if self.sample.by is not None:
            return self.sample.by
        if self.access in ("public", "key"):
            return "anonymous"
        if self.access.startswith("staff:"):
            return "staff:admin"
        return self.access if self.access.startswith("key:") else "owner"

    def __str__(self) -> str:
        return self.rule.rule


def missing(app: Flask) -> list[str]:
    """What to do for each rule without a sample, and for each sample without a rule."""
    rules = {rule.rule for rule in walked_rules(app)}
    told = [
        f"{rule} has no sample: add a line {rule!r}: page(...) to tests/gates/samples.py, with the object it shows in "
        f"tests/gates/world.py where the world lacks one"
        for rule in sorted(rules - set(SAMPLES))
    ]
    return told + [
        f"{rule} is no route: take its line out of tests/gates/samples.py" for rule in sorted(set(SAMPLES) - rules)
    ]


def walked_rules(app: Flask) -> list[Rule]:
    """Every rule but the static files."""
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]


def stops(app: Flask, ids: Mapping[str, str]) -> list[Stop]:
    """All routes in the order of the map. Raises NoSample, naming the rule and what to add."""
    made = []
    for rule in walked_rules(app):
        sample = SAMPLES.get(rule.rule)
        if sample is None:
            raise NoSample("\n".join(missing(app)))
        access = getattr(app.view_functions[rule.endpoint], "access", "undeclared")
        made.append(Stop(rule=rule, sample=sample, access=access, url=sample.url(rule, ids)))
    return made


def may(who: str, access: str) -> bool:
    """Whether the table of permissions lets this role through, objects aside."""
    if access == "public":
        return True
    kind, _, name = who.partition(":")
    if access.startswith("staff:"):
        return kind == "staff" and access.removeprefix("staff:") in permissions.of_staff(name)
    if access.startswith("key:"):
        return kind == "key" and (name == "stranger" or who == access)
    if who == "stranger":
        return access in permissions.of_member("owner")
    return who in permissions.MEMBER_ROLES and access in permissions.of_member(who)


@dataclass
class Walk:
    """The application, the seeded ids, and one signed-in client per role, made when it is first needed."""

    app: Flask
    ids: dict[str, str]
    _clients: dict[str, FlaskClient] = field(default_factory=dict)

    def stops(self) -> list[Stop]:
        return stops(self.app, self.ids)

    def pages(self) -> Iterator[Stop]:
        """The pages, in the order of the map."""
        return (stop for stop in self.stops() if stop.is_page)

    def client(self, who: str) -> FlaskClient:
        """A client signed in as that role; programs and strangers to the house have none."""
        if who not in self._clients:
            client = self.app.test_client()
            if who != "anonymous" and not who.startswith("key:"):
                web.sign_in(client, _login(who))
            self._clients[who] = client
        return self._clients[who]

    def open(
        self, stop: Stop, who: str | None = None, *, method: str = "GET", url: str | None = None, **request: Any
    ) -> TestResponse:
        """Ask for the stop as somebody (by default one who may)."""
        who = who or stop.owner
        headers = dict(request.pop("headers", {}))
        if who.startswith("key:"):
            headers["Authorization"] = f"Bearer {self.ids[who]}"
        return self.client(who).open(url or stop.url, method=method, headers=headers, **request)


def _login(who: str) -> str:
    if who == "stranger":
        return login_of("owner", STRANGER)
    kind, _, role = who.partition(":")
    return login_of(role) if kind == "staff" else login_of(kind, TENANT)
