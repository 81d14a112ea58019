"""The HTML of the hosted pages: whole without scripts, one column on a telephone, nothing from outside."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from tests.peers.stripe.account import Item
from tests.peers.stripe.currencies import THREE_DECIMALS
from tests.peers.stripe.params import Params

_NO_DECIMALS = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"]
)
_STYLE = """
:root { color-scheme: light; font: 16px/1.5 system-ui, sans-serif; color: #1a1f36; background: #f6f8fa }
body { margin: 0; min-height: 100vh; display: grid; place-items: start center; padding: 2rem 1rem; box-sizing: border-box }
main { width: 100%; max-width: 26rem; background: #fff; border: 1px solid #e3e8ee; border-radius: 10px; padding: 1.5rem;
  box-sizing: border-box; box-shadow: 0 1px 3px rgb(0 0 0 / 6%) }
.mode { display: inline-block; background: #ffde92; color: #5c3b00; border-radius: 4px; padding: 0 .5rem; font-size: .8rem;
  font-weight: 600 }
p:first-child { margin-top: 0 } h1 { font-size: 1.8rem; margin: .5rem 0 0; font-variant-numeric: tabular-nums }
ul { list-style: none; margin: .25rem 0 1.25rem; padding: 0; color: #4f566b }
li { display: flex; justify-content: space-between; gap: 1rem } li span:last-child { font-variant-numeric: tabular-nums }
label { display: block; font-weight: 600; font-size: .9rem; margin: .75rem 0 .25rem }
input { width: 100%; box-sizing: border-box; font: inherit; padding: .55rem .7rem; border: 1px solid #8792a2;
  border-radius: 6px; background: #fff; color: inherit }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem }
button { width: 100%; margin-top: 1.25rem; font: inherit; font-weight: 600; padding: .7rem; border: 0; border-radius: 6px;
  background: #0b5fd6; color: #fff; cursor: pointer } button.plain { background: #e3e8ee; color: #1a1f36; margin-top: .75rem }
:focus-visible { outline: 3px solid #0b5fd6; outline-offset: 2px }
.error { background: #fdecec; color: #8c1515; border-radius: 6px; padding: .6rem .8rem; margin: 1rem 0 0 }
a { color: #0b5fd6 } hr { border: 0; border-top: 1px solid #e3e8ee; margin: 1.5rem 0 0 }
"""


def checkout(
    session: Item, *, error: str | None = None, fields: Params | None = None, saved: Sequence[Item] = ()
) -> str:
    """Pay, or keep a method, with what was typed before."""
    typed = fields or {}
    is_payment = session["mode"] == "payment"
    price = money(session["amount_total"], session["currency"]) if is_payment else ""
    title = price or "Save a payment method"
    lines = "".join(
        f"<li><span>{escape(line['description'])} &times; {line['quantity']}</span>"
        f"<span>{money(line['amount_total'], line['currency'])}</span></li>"
        for line in session["_lines"]
    )
    button = f"Pay {price}" if is_payment else "Save card"
    back = (
        f'<p><a id="back" href="{escape(session["cancel_url"])}">&larr; Back</a></p>' if session["cancel_url"] else ""
    )
    warning = f'<p class="error" role="alert" id="error">{escape(error)}</p>' if error else ""
    action = f"/c/pay/{session['id']}"
    debit = _debit(action, typed, price) if "sepa_debit" in session["payment_method_types"] else ""
    email = session["customer_email"] or ""
    kept = "".join(
        f'<form method="post" action="{action}"><button name="method" value="{item["id"]}">{button_of(item, price)}</button></form>'
        for item in saved
    )
    return _page(
        "Checkout",
        f"""{back}<p class="mode">Test mode</p><h1>{title}</h1><ul>{lines}</ul>{warning}{kept}
<form method="post" action="{action}" id="card"><input type="hidden" name="method" value="card">
{_field("email", "Email", typed, email, kind="email")}
{_field("number", "Card number", typed, hint="4242 4242 4242 4242")}
<div class="pair"><div>{_field("expiry", "Expires (MM/YY)", typed, hint="12 / 34")}</div>
<div>{_field("cvc", "Security code", typed, hint="123")}</div></div>
{_field("name", "Name on card", typed)}<button>{button}</button></form>{debit}""",
    )


def button_of(item: Item, price: str) -> str:
    """Such as "Pay USD 5.00 with visa ending 4242"."""
    return f"Pay {price} with {label(item)}"


def label(item: Item) -> str:
    """Such as "visa ending 4242"."""
    details = item[item["type"]]
    return f"{details.get('brand', 'account')} ending {details['last4']}"


def portal(session: Item, customer: Item, methods: Sequence[Item], *, error: str | None = None) -> str:
    """The customer's methods, each with what can be done to it, and a card to be added."""
    action = f"/p/session/{session['id']}"
    default = customer["invoice_settings"]["default_payment_method"]
    rows = "".join(
        f'<form method="post" action="{action}"><p>{label(item)}{" (default)" if item["id"] == default else ""}</p>'
        f'<input type="hidden" name="value" value="{item["id"]}"><button name="act" value="default">Make default'
        f'</button><button class="plain" name="act" value="remove">Remove</button></form>'
        for item in methods
    )
    warning = f'<p class="error" role="alert" id="error">{escape(error)}</p>' if error else ""
    back = (
        f'<p><a id="back" href="{escape(session["return_url"])}">&larr; Return</a></p>' if session["return_url"] else ""
    )
    return _page(
        "Customer portal",
        f"""{back}<p class="mode">Test mode</p><h1>Payment methods</h1>{warning}{rows or "<p>None yet.</p>"}<hr>
<form method="post" action="{action}">{_field("value", "Card number", {}, hint="4242 4242 4242 4242")}
<button name="act" value="add">Add card</button></form>""",
    )


def authenticate(intent: Item, *, path: str) -> str:
    """The bank's question."""
    amount = money(intent["amount"], intent["currency"]) if "amount" in intent else "a saved card"
    return _page(
        "Confirm with your bank",
        f"""<p class="mode">Test mode</p><h1>3-D Secure</h1><p>Your bank asks you to confirm {amount}.</p>
<form method="post" action="{path}"><button name="answer" value="complete">Complete</button>
<button class="plain" name="answer" value="fail">Fail</button></form>""",
    )


def notice(title: str, text: str) -> str:
    """A page on which nothing can be done."""
    return _page(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>")


def money(amount: int, currency: str) -> str:
    """Such as `USD 12.50`, by the digits that Stripe counts."""
    digits = 0 if currency in _NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2
    return f"{currency.upper()} {Decimal(amount).scaleb(-digits):,.{digits}f}"


def _debit(action: str, typed: Params, price: str) -> str:
    return f"""<hr><form method="post" action="{action}" id="debit"><input type="hidden" name="method" value="sepa_debit">
{_field("email", "Email", typed, kind="email", prefix="debit-")}{_field("iban", "IBAN", typed, hint="DE89 3704 0044 0532 0130 00")}
<button class="plain">Pay {price} by SEPA debit</button></form>"""


def _field(
    name: str, label: str, typed: Params, default: str = "", *, kind: str = "text", hint: str = "", prefix: str = ""
) -> str:
    value = escape(str(typed.get(name, default)))
    return (
        f'<label for="{prefix}{name}">{label}</label><input id="{prefix}{name}" name="{name}" type="{kind}" '
        f'value="{value}" placeholder="{hint}" autocomplete="off">'
    )


def _page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body><main>{content}</main></body></html>"
    )
