"""The hosted pages: the customer pays, is declined, authenticates or goes back. What a browser sends here needs no key."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.peers.stripe import billing_portal, cards, pages, payment_methods, play
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.errors import Refused
from tests.peers.stripe.params import Params

_PAY = re.compile(r"/c/pay/(cs_(?:test|live)_\w+)")
_AUTHENTICATE = re.compile(r"/authenticate/((?:pi|seti)_\w+)")
_PORTAL = re.compile(r"/p/session/(bps_\w+)")
_EXPIRY = re.compile(r"(0[1-9]|1[0-2]) ?/ ?(\d{2})")


@dataclass(frozen=True)
class Reply:
    """A page, or a redirect to `location`."""

    status: int
    html: str = ""
    location: str | None = None


class _Unreadable(Exception):
    """A field of the form that the customer has to put right."""


def is_hosted(path: str) -> bool:
    """Whether the path is a page."""
    return bool(_PAY.fullmatch(path) or _AUTHENTICATE.fullmatch(path) or _PORTAL.fullmatch(path))


def reply(account: Account, method: str, path: str, fields: Params) -> Reply:
    """The page, or what its form does. Raises Refused(404)."""
    account.request = {"id": None, "idempotency_key": None}
    found = _PAY.fullmatch(path)
    if found:
        return _pay(account, account.get("checkout.session", found[1]), method, fields)
    found = _PORTAL.fullmatch(path)
    if found:
        return _portal(account, account.get("billing_portal.session", found[1]), method, fields)
    found = _AUTHENTICATE.fullmatch(path)
    return _authenticate(account, found[1] if found else "", method, fields)


def _saved_for(account: Account, session: Item) -> list[Item]:
    """The customer's saved methods, where the session offers them."""
    if session["saved_payment_method_options"] is None:
        return []
    return [item for item in account.all("payment_method") if item["customer"] == session["customer"]]


def success_url(session: Item) -> str:
    """Where the customer lands: `{CHECKOUT_SESSION_ID}` is the session's id."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _pay(account: Account, session: Item, method: str, fields: Params) -> Reply:
    if session["status"] == "expired":
        return Reply(410, pages.notice("This page has expired", "Return to the shop to start again."))
    if session["status"] == "complete":
        return Reply(200, pages.notice("You are all done here", "Your payment was received. You may close this page."))
    if method != "POST":
        return Reply(200, pages.checkout(session, saved=_saved_for(account, session)))
    try:
        play.submit(account, session, _method_of(account, session, fields))
    except _Unreadable as unreadable:
        return Reply(422, pages.checkout(session, error=str(unreadable), fields=fields))
    except Refused as refused:
        return Reply(refused.status, pages.checkout(session, error=refused.error["message"], fields=fields))
    return _next(account, session)


def _portal(account: Account, session: Item, method: str, fields: Params) -> Reply:
    if billing_portal.is_over(account, session):
        return Reply(410, pages.notice("This page has expired", "Return to the shop to open it again."))
    error = None
    if method == "POST":
        try:
            billing_portal.act(account, session, fields)
            return Reply(303, location=f"/p/session/{session['id']}")
        except Refused as refused:
            error = refused.error["message"]
    methods, customer = billing_portal.methods_of(account, session), account.by_id[session["customer"]]
    return Reply(422 if error else 200, pages.portal(session, customer, methods, error=error))


def _next(account: Account, session: Item) -> Reply:
    """On to the bank's question, or to the shop."""
    intent = account.by_id[session["setup_intent"] or session["payment_intent"]]
    if intent["status"] == "requires_action":
        return Reply(303, location=intent["next_action"]["redirect_to_url"]["url"])
    return Reply(303, location=success_url(session))


def _method_of(account: Account, session: Item, fields: Params) -> Item:
    """The method that the customer typed or had saved. Raises _Unreadable."""
    if fields.get("method", "").startswith("pm_"):
        saved = account.get("payment_method", fields["method"])
        if session["customer"] is None or saved["customer"] != session["customer"]:
            raise _Unreadable("This payment method is not yours.")
        return saved
    billing = {"billing_details": {"email": fields.get("email", ""), "name": fields.get("name", "")}}
    if "@" not in fields.get("email", ""):
        raise _Unreadable("Your email is incomplete.")
    if fields.get("method") == "sepa_debit":
        try:
            return payment_methods.add_debit(account, fields.get("iban", ""), billing)
        except Refused as refused:
            raise _Unreadable(refused.error["message"]) from None
    card = cards.BY_NUMBER.get(re.sub(r"\s", "", fields.get("number", "")))
    expires = _EXPIRY.fullmatch(fields.get("expiry", "").strip())
    if card is None:
        raise _Unreadable("Your card number is invalid. Only Stripe's test cards are known here.")
    if expires is None:
        raise _Unreadable("Your card's expiration date is incomplete.")
    if not re.fullmatch(r"\d{3,4}", fields.get("cvc", "")):
        raise _Unreadable("Your card's security code is incomplete.")
    month, year = int(expires[1]), 2000 + int(expires[2])
    return payment_methods.add_card(account, card, billing, expires=(month, year))


def _authenticate(account: Account, intent_id: str, method: str, fields: Params) -> Reply:
    intent = account.by_id.get(intent_id)
    if intent is None:
        account.get("payment_intent", intent_id)
        raise AssertionError(intent_id)
    if intent["status"] != "requires_action":
        return Reply(410, pages.notice("Nothing to confirm", "The bank is not asking about this payment any more."))
    if method != "POST":
        return Reply(200, pages.authenticate(intent, path=f"/authenticate/{intent_id}"))
    back = intent["next_action"]["redirect_to_url"]["return_url"]
    play.answer_bank(account, intent_id, is_confirmed=fields.get("answer") == "complete")
    session = play.session_of(account, intent_id)
    if session is None:
        return Reply(
            303, location=_with_intent(back, intent) if back else f"{account.base_url}/authenticate/{intent_id}"
        )
    if session["status"] == "complete":
        return Reply(303, location=success_url(session))
    return Reply(402, pages.checkout(session, error="We are unable to authenticate your payment method."))


def _with_intent(url: str, intent: Item) -> str:
    """The caller's address with the intent in its query, as Stripe appends it."""
    name = intent["object"]
    joint = "&" if urlsplit(url).query else "?"
    return f"{url}{joint}{name}={intent['id']}&{name}_client_secret={intent['client_secret']}&redirect_status={intent['status']}"
