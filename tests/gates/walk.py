"""The walk: every route with its real URL, people of every role, and what each may open according to the one table."""

import itertools
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from billing.accounts import permissions
from tests.gates.samples import SAMPLES, Sample
from tests.gates.world import STRANGER, TENANT, login_of
from tests.web import conftest as web
from tests.web.pages import Page, elements

_numbers = itertools.count(1)
EVERYBODY = (
    "anonymous",
    "stranger",
    *permissions.MEMBER_ROLES,
    *(f"staff:{role}" for role in permissions.STAFF_ROLES),
    *(f"key:{scope}" for scope in sorted(permissions.SCOPE_WORDS)),
    "key:stranger",
)


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
    def writes(self) -> str | None:
        """The method by which it is written to."""
        return next((method for method in ("POST", "PUT", "PATCH", "DELETE") if method in self.methods), None)

    @property
    def is_page(self) -> bool:
        return self.sample.h1 is not None and "GET" in self.methods

    @property
    def is_machine(self) -> bool:
        """Whether programs call it: keys or signatures, no session, no form token."""
        return self.access == "key" or self.access.startswith("key:")

    @property
    def is_of_staff_keys(self) -> bool:
        """Whether only the operator's own machines call it: a tenant's key is refused whatever it names."""
        return self.access.removeprefix("key:") in permissions.STAFF_SCOPES and self.is_machine

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


def missing(app: Flask, samples: Mapping[str, Sample] = SAMPLES) -> list[str]:
    """What to do for each rule without a sample, and for each sample without a rule."""
    rules = {rule.rule for rule in walked_rules(app)}
    told = [
        f"{rule} has no sample: add a line {rule!r}: page(...) to tests/gates/samples.py, with the object it shows in "
        f"tests/gates/world.py where the world lacks one"
        for rule in sorted(rules - set(samples))
    ]
    gone = sorted(set(samples) - rules)
    return told + [f"{rule} is no route: take its line out of tests/gates/samples.py" for rule in gone]


def walked_rules(app: Flask) -> list[Rule]:
    """Every rule but the static files."""
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]


def may(who: str, access: str) -> bool:
    """Whether the table of permissions lets this role through, objects aside."""
    if access == "public":
        return True
    if access == "signed_in":
        return who != "anonymous" and not who.startswith("key:")
    kind, _, name = who.partition(":")
    if access.startswith("staff:"):
        return kind == "staff" and access.removeprefix("staff:") in permissions.of_staff(name)
    if access.startswith("key:"):
        return who == access or (who == "key:stranger" and access.removeprefix("key:") in permissions.SCOPES)
    if who == "stranger":
        return access in permissions.of_member("owner")
    return who in permissions.MEMBER_ROLES and access in permissions.of_member(who)


@dataclass
class Walk:
    """The application, the seeded ids, and one signed-in client per role, made when it is first needed."""

    app: Flask
    ids: dict[str, str]
    samples: Mapping[str, Sample] = field(default_factory=lambda: SAMPLES)
    _clients: dict[str, FlaskClient] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)
    _pages: dict[str, Page] = field(default_factory=dict)

    def stops(self) -> list[Stop]:
        """All routes in the order of the map. Those without a sample are left out here and named by `missing`."""
        made = []
        for rule in walked_rules(self.app):
            sample = self.samples.get(rule.rule)
            if sample is not None:
                access = getattr(self.app.view_functions[rule.endpoint], "access", "undeclared")
                made.append(Stop(rule=rule, sample=sample, access=access, url=sample.url(rule, self.ids)))
        return made

    def pages(self) -> list[Stop]:
        """The pages, in the order of the map."""
        return [stop for stop in self.stops() if stop.is_page]

    def client(self, who: str) -> FlaskClient:
        """A client signed in as that role; programs send their key instead."""
        if who not in self._clients:
            client = self.app.test_client()
            if who != "anonymous" and not who.startswith("key:"):
                web.sign_in(client, login_of_person(who))
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
        return self.client(who).open(url or stop.url, method=method, headers=headers, buffered=True, **request)

    def page(self, stop: Stop) -> Page:
        """The page as its owner gets it, read once a walk."""
        if str(stop) not in self._pages:
            self._pages[str(stop)] = Page.read(self.open(stop))
        return self._pages[str(stop)]

    def token(self, who: str) -> str:
        """A form token of that person's session."""
        if who not in self._tokens:
            home = {"anonymous": "/sign-in", "staff": "/operator"}.get(who.partition(":")[0], "/")
            found = re.search(
                r'name="csrf_token"[^>]* value="([^"]+)"', self.client(who).get(home).get_data(as_text=True)
            )
            assert found, f"no form token for {who} on {home}"
            self._tokens[who] = found[1]
        return self._tokens[who]

    def send(
        self,
        stop: Stop,
        who: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> TestResponse:
        """POST what the sample says is accepted, as somebody, with the token of their session or their key."""
        who, method = who or stop.owner, stop.writes or "POST"
        if stop.is_machine:
            named = {"Idempotency-Key": f"gate-{next(_numbers)}", "If-Match": "*", **(headers or {})}
            if method == "POST":
                del named["If-Match"]
            return self.open(stop, who, method=method, json={**self.body(stop), **(more or {})}, headers=named)
        data = {"csrf_token": self.token(who), **self.fields(stop, who), **(more or {})}
        answer = self.open(stop, who, method=method, data=data, headers=headers or {})
        if who == "anonymous" or "Clear-Site-Data" in answer.headers:
            self.forget(who)
        return answer

    @contextmanager
    def rewound(self) -> Iterator[None]:
        """What happens in the block is undone at its end: the SQLite file and everybody's cookies are put back as they were."""
        database = self.app.extensions["plumbline"].database
        path = Path(database.urls.web.removeprefix("sqlite:///"))
        kept = path.with_suffix(".kept")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(path, kept)
        clients, tokens = dict(self._clients), dict(self._tokens)
        cookies = {who: dict(client._cookies or {}) for who, client in clients.items()}
        try:
            yield
        finally:
            database.dispose()
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            shutil.copyfile(kept, path)
            self._clients, self._tokens = clients, tokens
            for who, held in cookies.items():
                clients[who]._cookies = held

    def forget(self, who: str) -> None:
        """Whoever it was signs in anew when they are needed again."""
        self._clients.pop(who, None)
        self._tokens.pop(who, None)

    def fields(self, stop: Stop, who: str) -> dict[str, str]:
        """What a person would send: the form as the page gives it to them, with the sample's words in it."""
        shown = self.open(stop, who) if stop.sample.mimetype else None
        filled: dict[str, str] = {}
        if shown is not None and shown.status_code == 200 and (form := form_of(Page.read(shown), stop)) is not None:
            filled = {name: value for name, value in values_of(form) if name != "csrf_token"}
        return filled | {name: self._named(value) for name, value in stop.sample.send.items()}

    def body(self, stop: Stop) -> dict[str, Any]:
        """The sample's JSON, ids filled in."""
        return {name: self._named(value) for name, value in (stop.sample.body or {}).items()}

    def _named(self, value: Any) -> Any:
        """`{name}` in the sample's words is the id of that name."""
        return re.sub(r"\{(\w+)\}", lambda found: self.ids[found[1]], value) if isinstance(value, str) else value


def form_of(page: Page, stop: Stop) -> Element | None:
    """The form on the stop's page that is sent to the stop itself."""
    path = stop.url.partition("?")[0]
    found = [form for form in page.forms() if form.get("action", "").partition("?")[0] == path]
    return found[-1] if found else None


def values_of(form: Element) -> Iterator[tuple[str, str]]:
    """The (name, value) pairs that a form sends as it stands; of choices without one, the first."""
    radios: set[str] = set()
    for control in elements(form):
        name, kind = control.get("name"), control.get("type", "text")
        if not name:
            continue
        if control.tag == "select":
            options = list(control.iter("option"))
            chosen = [one for one in options if one.get("selected") is not None] or [
                one for one in options if one.get("value")
            ]
            yield name, chosen[0].get("value", "") if chosen else ""
        elif control.tag == "textarea":
            yield name, control.text or ""
        elif control.tag == "input" and kind in ("radio", "checkbox"):
            if control.get("checked") is not None or (kind == "radio" and name not in radios):
                yield name, control.get("value", "on")
            radios.add(name)
        elif control.tag == "input" and kind not in ("submit", "button", "image", "reset", "file"):
            yield name, control.get("value", "")


def login_of_person(who: str) -> str:
    """The address with which somebody of the walk signs in."""
    if who == "stranger":
        return login_of("owner", STRANGER)
    kind, _, role = who.partition(":")
    return login_of(role) if kind == "staff" else login_of(kind, TENANT)
