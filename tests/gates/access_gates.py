"""Who gets in: the gates of access. Each looks at some stops and yields one sentence per fault, naming the rule."""

from collections.abc import Iterable, Iterator

from billing.accounts import permissions
from tests.gates.walk import EVERYBODY, Stop, Walk, may
from tests.web.pages import words

# What a route may answer to a write that its role allows: done, led on, or refused for a reason of its own.
_LET_THROUGH = (200, 201, 202, 204, 207, 303, 409, 422, 429)


def undeclared(stops: Iterable[Stop]) -> Iterator[str]:
    """Every view says who may open it, in a word that exists."""
    members = frozenset().union(*map(permissions.of_member, permissions.MEMBER_ROLES))
    staff = frozenset().union(*map(permissions.of_staff, permissions.STAFF_ROLES))
    known = {"public", "key", "signed_in"} | members
    known |= {f"staff:{name}" for name in staff} | {f"key:{scope}" for scope in permissions.SCOPE_WORDS}
    for stop in stops:
        if stop.access not in known:
            yield f"{stop}: declares no permission ({stop.access}): put access.requires(...) above its view"


def owner(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Whoever may open a route gets 200, what the sample says, and on a page its heading and no fault of form."""
    for stop in stops:
        if "GET" not in stop.methods:
            continue
        answer = walk.page(stop).response if stop.is_page else walk.open(stop)
        if answer.status_code != 200:
            yield f"{stop}: {answer.status_code} for {stop.owner} at {stop.url}"
        elif answer.mimetype != stop.sample.mimetype:
            yield f"{stop}: {answer.mimetype}, not {stop.sample.mimetype}"
        elif stop.is_page:
            page = walk.page(stop)
            yield from (f"{stop}: {fault}" for fault in page.faults)
            heading = next((words(found) for found in page.root.iter("h1")), None)
            if heading != stop.sample.h1:
                yield f"{stop}: its heading is {heading!r}, not {stop.sample.h1!r}"


def stranger(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """For another tenant's owner and key, an object of ours does not exist: 404, read or written, and nothing of it is said."""
    for stop in stops:
        if stop.access in ("public", "key") or not stop.sample.object_arguments(stop.rule) or stop.is_of_staff_keys:
            continue
        who = "key:stranger" if stop.is_machine else "stranger"
        for method in sorted(stop.methods):
            answer = walk.open(stop, who) if method == "GET" else walk.send(stop, who)
            if answer.status_code != 404:
                yield f"{stop}: {answer.status_code} to {method} for a stranger"
            told = answer.get_data(as_text=True)
            if walk.ids["account_id"] in told or "Calla Labs" in told:
                yield f"{stop}: a stranger is told of the account in a {answer.status_code}"


def stranger_lists(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """On pages without an object in their address a stranger finds none of our ids."""
    secrets = {value for name, value in walk.ids.items() if name.endswith(("_id", "_number")) and "key" not in name}
    for stop in stops:
        if "GET" not in stop.methods or stop.access in ("public", "key") or stop.access.startswith("staff:"):
            continue
        if stop.sample.object_arguments(stop.rule) or stop.is_of_staff_keys:
            continue
        answer = walk.open(stop, "key:stranger" if stop.is_machine else "stranger")
        if answer.status_code not in (
            200,
            stop.sample.expects,
        ):  # who has no transaction has no statement to prove: 409
            yield f"{stop}: {answer.status_code} for another tenant about its own"
        leaked = [secret for secret in secrets if secret in answer.get_data(as_text=True)]
        if leaked:
            yield f"{stop}: shows a stranger {leaked}"


def anonymous(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Who is not signed in is led to sign in; htmx and programs are told 401."""
    for stop in stops:
        if stop.access in ("public", "key"):
            continue
        for method in sorted(stop.methods):
            if stop.is_machine:
                yield from _anonymous_program(walk, stop, method)
                continue
            answer = walk.open(stop, "anonymous") if method == "GET" else walk.send(stop, "anonymous")
            where = answer.headers.get("Location", "").partition("?")[0]
            is_led = (answer.status_code, where) == (303, "/sign-in")
            # A form that was filled in gets the sign-in form at once, so that what was typed is kept.
            is_asked = (
                method == "POST" and answer.status_code == 401 and 'action="/sign-in' in answer.get_data(as_text=True)
            )
            if not (is_led or is_asked):
                yield f"{stop}: {answer.status_code} to {method} for nobody, not the way to sign in"
            if method == "GET":
                asked = walk.open(stop, "anonymous", headers={"HX-Request": "true"})
                if asked.status_code != 401 or not asked.headers.get("HX-Redirect", "").startswith("/sign-in"):
                    yield f"{stop}: {asked.status_code} to htmx for nobody, not 401 with HX-Redirect"


def _anonymous_program(walk: Walk, stop: Stop, method: str) -> Iterator[str]:
    for headers in ({}, {"Authorization": "Bearer plk_000000000000_" + "x" * 43}, {"Authorization": "Basic eDp5"}):
        answer = walk.app.test_client().open(stop.url, method=method, headers=headers)
        if answer.status_code != 401 or "WWW-Authenticate" not in answer.headers:
            yield f"{stop}: {answer.status_code} to {method} without a valid key, not 401 with WWW-Authenticate"
        elif answer.mimetype != "application/problem+json" or answer.json["status"] != 401:
            yield f"{stop}: its 401 is no problem document"


def roles_reading(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Every role opens exactly what the table of permissions gives it; operators' pages do not exist for tenants, nor theirs for them."""
    for stop in stops:
        if "GET" not in stop.methods or stop.access in ("public", "key"):
            continue
        for who in EVERYBODY:
            if who == "anonymous" or "stranger" in who or who.startswith("key:") != stop.is_machine:
                continue
            status = walk.open(stop, who).status_code
            if may(who, stop.access):
                if status != 200:
                    yield f"{stop}: {status} for {who}, who may open it ({stop.access})"
            elif status != _refusal(who, stop.access):
                yield f"{stop}: {status} for {who}, who may not open it ({stop.access})"


def roles_writing(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Every role writes exactly what the table gives it; who may not is told so with a valid token. Acts are done: own world."""
    for stop in stops:
        if not stop.writes or stop.access in ("public", "key"):
            continue
        for who in EVERYBODY:
            if who == "anonymous" or "stranger" in who or who.startswith("key:") != stop.is_machine:
                continue
            if not stop.is_machine:
                walk.token(who)
            with walk.rewound():
                status = walk.send(stop, who).status_code
            if may(who, stop.access):
                if status not in _LET_THROUGH:
                    yield f"{stop}: {status} to a write of {who}, who may ({stop.access})"
            elif status != _refusal(who, stop.access):
                yield f"{stop}: {status} to a write of {who}, who may not ({stop.access})"


def _refusal(who: str, access: str) -> int:
    """403 within one's own house, 404 from the other: there the page does not exist."""
    is_staff = who.startswith("staff:")
    return 403 if who.startswith("key:") or is_staff == access.startswith("staff:") else 404
