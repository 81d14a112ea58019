"""Signing in, and a person's own account. One module per page; the tables below are the map of them."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from portal.auth import invitation, recipient, reset, second_factor, sessions, sign_in, verify, you

blueprint = Blueprint("auth", __name__)
you_blueprint = Blueprint("you", __name__)

_READ, _ACT, _FORM = ("GET",), ("POST",), ("GET", "POST")
_Pages = tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...]
# (rule, view, methods). An endpoint is `auth.` and the view's name; what each needs stands above the view.
_PAGES: _Pages = (
    ("/sign-in", sign_in.sign_in, _FORM),
    ("/sign-in/code", sign_in.second_step, _FORM),
    ("/sign-out", sign_in.sign_out, _ACT),
    ("/forgot", reset.forgot, _FORM),
    ("/reset/<token>", reset.reset, _FORM),
    ("/invitation/<token>", invitation.invitation, _FORM),
    ("/recipients/<token>", recipient.recipient, _FORM),
    ("/verify", verify.verify, _FORM),
    ("/account", sign_in.choose_account, _ACT),
)
# Below /you; an endpoint is `you.` and the view's name.
_YOU: _Pages = (
    ("", you.profile, _FORM),
    ("/password", you.password, _FORM),
    ("/two-step", second_factor.two_step, _READ),
    ("/two-step/begin", second_factor.two_step_begin, _ACT),
    ("/two-step/set-up", second_factor.two_step_set_up, _FORM),
    ("/two-step/codes", second_factor.two_step_codes, _FORM),
    ("/two-step/codes.txt", second_factor.two_step_file, _ACT),
    ("/two-step/off", second_factor.two_step_off, _FORM),
    ("/sessions", sessions.sessions, _READ),
    ("/sessions/end", sessions.sessions_end, _ACT),
)
for _blueprint, _pages in ((blueprint, _PAGES), (you_blueprint, _YOU)):
    for _rule, _view, _methods in _pages:
        _blueprint.add_url_rule(_rule, view_func=_view, methods=list(_methods))
