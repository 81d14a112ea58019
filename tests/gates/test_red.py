"""Each gate can fail: a page with one fault is added to the portal, and the gate names the page and the fault."""

from collections.abc import Callable, Iterator

import pytest
from flask import Response, flash, make_response, render_template_string, request

from portal import access, services
from tests.gates import access_gates, answer_gates, write_gates
from tests.gates.samples import SAMPLES, page
from tests.gates.walk import Stop, Walk

_TOP = '{% extends "layouts/portal.html" %}{% block title %}New{% endblock %}{% block content %}'
_GOOD = "<h1>New</h1><p>Nothing is wrong here.</p>"
Gate = Callable[[Walk, list[Stop]], Iterator[str]]

# body of the page -> the words in which the gate must name the fault
FAULTS = {
    "no heading": ("<p>New</p>", "0 h1"),
    "two headings": ("<h1>New</h1><h1>New</h1>", "2 h1"),
    "an empty heading": ("<h1> </h1>", "the h1 says nothing"),
    "another heading": ("<h1>Old</h1>", "its heading is 'Old', not 'New'"),
    "a field without label": (f'{_GOOD}<form method="get" action="/new"><input name="q"></form>', "input 'q' has no label"),
    "an id twice": (f'{_GOOD}<p id="a">x</p><p id="a">y</p>', "id 'a' 2 times"),
    "a label for nothing": (f'{_GOOD}<label for="gone">x</label>', "names 'gone', which is not here"),
    "broken HTML": (f"{_GOOD}<p><div>x</div></p>", "html: "),
    "a form without action": (f'{_GOOD}<form method="get"><button>Go</button></form>', "says no action"),
    "a form without method": (f'{_GOOD}<form action="/new"><button>Go</button></form>', "says no method"),
    "a form without token": (f'{_GOOD}<form method="post" action="/budgets/new"><button>Go</button></form>', "has no token"),
    "a script in the page": (f"{_GOOD}<script>alert(1)</script>", "a script without address or nonce"),
    "a style in the page": (f'{_GOOD}<p style="color:red">x</p>', "inline style on p"),
    "a handler": (f'{_GOOD}<button type="button" onclick="go()">x</button>', "script on button: onclick"),
    "hx-on": (f'{_GOOD}<button type="button" hx-on:click="go()">x</button>', "script on button: hx-on:click"),
    "js: in htmx": (f'{_GOOD}<p hx-vals="js:{{a:1}}">x</p>', "script in hx-vals of p"),
    "a script address": (f'{_GOOD}<a href="javascript:go()">x</a>', "script in href of a"),
    "a picture from elsewhere": (f'{_GOOD}<img alt="" src="https://cdn.example/x.png">', "img fetches https://cdn.example"),
    "a button without words": (f'{_GOOD}<button type="button"><svg aria-hidden="true"></svg></button>', "button None says nothing"),
}  # fmt: skip


def added(walk: Walk, body: str, *, declare: Callable[..., object] | None = access.requires("billing.read")) -> Stop:
    """The walk's stop at a page of that body, added at /new."""

    def view() -> Response:
        return make_response(render_template_string(_TOP + body + "{% endblock %}"))

    return at_new(walk, view if declare is None else declare(view))


def at_new(walk: Walk, view: object, **options: object) -> Stop:
    """A view added at /new, as the walk meets it."""
    walk.app.add_url_rule("/new", "tenant.new", view, **options)  # type: ignore[arg-type]
    walk.samples = {**SAMPLES, "/new": page("New")}
    return next(stop for stop in walk.stops() if str(stop) == "/new")


def test_a_page_without_fault_passes_every_gate(own_walk: Walk) -> None:
    stops = [added(own_walk, _GOOD)]
    gates = (
        access_gates.owner, access_gates.anonymous, access_gates.roles_reading, access_gates.stranger_lists, answer_gates.headers,
        answer_gates.nonces, answer_gates.methods, answer_gates.links, answer_gates.parts, answer_gates.requests_of_htmx,
        answer_gates.unknown_parameters, answer_gates.hostile_parameters, write_gates.reading,
    )  # fmt: skip
    assert [fault for gate in gates for fault in gate(own_walk, stops)] == []


@pytest.mark.parametrize(("body", "named"), FAULTS.values(), ids=list(FAULTS))
def test_a_page_with_a_fault_of_form_is_named(own_walk: Walk, body: str, named: str) -> None:
    stop = added(own_walk, body)
    own_walk.client("owner")
    found = list(access_gates.owner(own_walk, [stop]))
    assert any(fault.startswith("/new: ") and named in fault for fault in found), found


def test_a_page_that_declares_nothing_is_named_and_refused(own_walk: Walk) -> None:
    stop = added(own_walk, _GOOD, declare=None)
    assert list(access_gates.undeclared([stop])) == [
        "/new: declares no permission (undeclared): put access.requires(...) above its view"
    ]
    assert own_walk.open(stop, "owner").status_code == 403


def test_a_page_that_is_open_though_it_declares_a_permission_is_named(own_walk: Walk) -> None:
    def view() -> str:
        return render_template_string(_TOP + _GOOD + "{% endblock %}")

    view.access = "billing.write"  # type: ignore[attr-defined]  # said, and checked by nobody
    stop = at_new(own_walk, view)
    assert "/new: 200 to GET for nobody, not the way to sign in" in access_gates.anonymous(own_walk, [stop])
    told = list(access_gates.roles_reading(own_walk, [stop]))
    assert "/new: 200 for viewer, who may not open it (billing.write)" in told
    assert "/new: 200 for staff:viewer, who may not open it (billing.write)" in told


def test_an_object_that_is_shown_to_a_stranger_is_named(own_walk: Walk) -> None:
    @access.requires("billing.read")
    def view(key: str) -> str:
        return render_template_string(_TOP + "<h1>New</h1><p>{{ key }}</p>{% endblock %}", key=key)

    own_walk.app.add_url_rule("/new/<key>", "tenant.new", view)
    own_walk.samples = {**SAMPLES, "/new/<key>": page("New", key="account_id")}
    stop = next(stop for stop in own_walk.stops() if str(stop) == "/new/<key>")
    found = list(access_gates.stranger(own_walk, [stop]))
    assert found == ["/new/<key>: 200 to GET for a stranger", "/new/<key>: a stranger is told of the account in a 200"]


def test_a_list_that_shows_a_stranger_our_objects_is_named(own_walk: Walk) -> None:
    stop = added(own_walk, f"<h1>New</h1><p>{own_walk.ids['invoice_number']}</p>")
    assert list(access_gates.stranger_lists(own_walk, [stop])) == ["/new: shows a stranger ['INV-2026-000001']"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Security-Policy", "default-src 'self'; script-src 'unsafe-inline'"),
        ("Cache-Control", "public"),
        ("X-Content-Type-Options", "sniff"),
        ("Cross-Origin-Opener-Policy", "unsafe-none"),
        ("Permissions-Policy", ""),
    ],
)
def test_an_answer_with_a_weaker_header_is_named(own_walk: Walk, name: str, value: str) -> None:
    @access.requires("billing.read")
    def view() -> Response:
        answer = make_response(render_template_string(_TOP + _GOOD + "{% endblock %}"))
        answer.headers[name] = value
        return answer

    found = list(answer_gates.headers(own_walk, [at_new(own_walk, view)]))
    assert any(fault.startswith("/new: to its owner (200): ") for fault in found), found


def test_script_with_a_nonce_of_another_answer_is_named(own_walk: Walk) -> None:
    stop = added(own_walk, _GOOD + '<script src="/static/plumbline.js" nonce="old"></script>')
    assert list(answer_gates.nonces(own_walk, [stop])) == ["/new: script has not the nonce of the answer"]


def test_a_link_that_leads_nowhere_and_a_form_that_nobody_takes_are_named(own_walk: Walk) -> None:
    token = '<input type="hidden" name="csrf_token" value="x"><button>x</button></form>'
    stop = added(
        own_walk,
        f'{_GOOD}<a href="/gone">x</a><a href="https://evil.example/">y</a><form method="post" action="/invoices">{token}',
    )
    assert sorted(answer_gates.links(own_walk, [stop])) == [
        "/new: /invoices does not take POST",
        "/new: GET /gone is no route",
        "/new: leads to https://evil.example/",
    ]


def test_a_part_that_differs_from_its_page_is_named(own_walk: Walk) -> None:
    @access.requires("billing.read")
    def view() -> Response:
        if "HX-Request" in request.headers:
            return make_response('<section id="list">two</section>')
        answer = make_response(
            render_template_string(_TOP + '<h1>New</h1><section id="list">one</section>{% endblock %}')
        )
        answer.vary.add("HX-Request")
        return answer

    found = list(answer_gates.parts(own_walk, [at_new(own_walk, view)]))
    assert found == [
        "/new: has a part and does not vary by HX-Request",
        "/new: its part #list differs from the page",
        "/new: the history gets a part, not the page",
    ]


def test_a_page_that_breaks_or_reflects_is_named(own_walk: Walk) -> None:
    @access.requires("billing.read")
    def view() -> Response:
        if request.args.get("sort", "").count("SELECT"):
            return make_response("broken", 500)
        return make_response(f"<a href='/new?sort=x'>sort</a>{request.args.get('q', '')}")

    found = list(answer_gates.hostile_parameters(own_walk, [at_new(own_walk, view)]))
    assert any(" comes back as markup" in fault for fault in found)
    assert any(fault.startswith("/new: 500 to ") for fault in found)


def test_a_page_that_an_unknown_parameter_changes_is_named(own_walk: Walk) -> None:
    stop = added(own_walk, "<h1>New</h1>{{ request.args|length }}")
    assert list(answer_gates.unknown_parameters(own_walk, [stop])) == ["/new: unknown parameters change the page (200)"]


def test_a_get_that_writes_is_named(own_walk: Walk) -> None:
    @access.requires("billing.read")
    def view() -> str:
        from billing.storage import audit

        with services.database().transaction() as session:
            audit.record(
                session, now=services.now(), actor="x", act="key.create", subject_type="x", subject_id="x", facts={}
            )
        flash("done")
        return "done"

    found = list(write_gates.reading(own_walk, [at_new(own_walk, view)]))
    assert found == ["/new: reading it changed ['audit_log']"]


def test_a_form_that_takes_writes_without_token_or_from_elsewhere_is_named(own_walk: Walk) -> None:
    from portal import security

    @access.requires("billing.write")
    def view() -> str:
        return "done"

    security.csrf.exempt(view)
    stop = at_new(own_walk, view, methods=["POST"])
    found = list(write_gates.token(own_walk, [stop]))
    assert "/new: 200 to a write with no token" in found
    own_walk.app.before_request_funcs[None] = []
    assert "/new: 200 to a write from {'Origin': 'null'}" in write_gates.origin(own_walk, [stop])


def test_a_writing_route_that_reading_roles_may_use_is_named(own_walk: Walk) -> None:
    def view() -> str:
        return "done"

    view.access = "billing.write"  # type: ignore[attr-defined]
    stop = at_new(own_walk, view, methods=["POST"])
    assert "/new: 200 to a write of viewer, who may not (billing.write)" in access_gates.roles_writing(own_walk, [stop])
