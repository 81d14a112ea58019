"""A Stripe-compatible server on loopback, so that the real SDK can be driven without the internet.

It keeps Stripe's promises that money depends on: idempotency with the first answer stored (also a 500), 400 for other
parameters under a key, signed webhooks (by the SDK's own signer, a second implementation beside ours), objects that can be
fetched as they are now. Faults are asked for call by call.

    with StripeServer() as peer:
        provider = StripeProvider(secret_key="sk_test_x", webhook_secret=peer.webhook_secret, api_base=peer.url)
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import stripe

from tests.peers.stripe_objects import Item, Objects, Refused

_CREATORS = {
    "/v1/customers": ("customer", "create_customer"),
    "/v1/checkout/sessions": ("checkout.session", "create_checkout"),
    "/v1/refunds": ("refund", "create_refund"),
    "/v1/payment_intents": ("payment_intent", None),
    "/v1/charges": ("charge", None),
    "/v1/balance_transactions": ("balance_transaction", None),
}
_HOSTED = re.compile(r"/c/pay/(cs_test_\d+)(?:/(pay|decline|abandon))?")


@dataclass
class Fault:
    """What goes wrong with the next calls whose path begins with `path`.

    `error_500`: no effect, 500. `rate_limit`: no effect, 429. `drop_before`: no effect, the connection closes. `drop_after`: the
    effect happens, the answer is lost.
    """

    kind: str
    path: str
    times: int = 1


class StripeServer:
    """The server, its objects, and how tests play customer, bank and network."""

    webhook_secret = "whsec_test_peer"

    def __init__(self) -> None:
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.peer = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.objects = Objects(base_url=self.url)
        self.calls: list[tuple[str, str, str | None]] = []  # (method, path, idempotency key)
        self.faults: list[Fault] = []
        self.signs_at: int | None = None  # Unix seconds at which it signs unless told; None: as the clock goes
        self._kept: dict[str, tuple[tuple[str, str], int, Item]] = {}
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "StripeServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @contextmanager
    def playing(self) -> Iterator[Objects]:
        """The objects, for a test that plays customer or bank between calls."""
        with self._lock:
            yield self.objects

    def fail_next(self, kind: str, path: str, times: int = 1) -> None:
        """Ask for a fault."""
        self.faults.append(Fault(kind=kind, path=path, times=times))

    def signed(self, event: Item, *, at: int | None = None) -> tuple[bytes, dict[str, str]]:
        """(raw body, headers) of a webhook delivery, signed by the SDK's own code."""
        body = json.dumps(event, indent=2)
        header = stripe.WebhookSignature.generate_signature_header(
            body, self.webhook_secret, timestamp=self.signs_at if at is None else at
        )
        return body.encode(), {"Stripe-Signature": header, "Content-Type": "application/json"}

    def count_calls(self, method: str, path: str) -> int:
        """How often a path was called, faults included."""
        return sum(call[:2] == (method, path) for call in self.calls)

    def answer(self, method: str, path: str, params: Item, key: str | None) -> tuple[int, Item]:
        """One API call: the kept answer of its key, or a new one."""
        fingerprint = (f"{method} {path}", json.dumps(params, sort_keys=True))
        if key is not None and key in self._kept:
            first, status, body = self._kept[key]
            if first == fingerprint:
                return status, body
            message = f"Keys for idempotent requests can only be used with the same parameters they were first used with: '{key}'"
            return 400, {"error": {"type": "idempotency_error", "message": message}}
        fault = self._fault(path, ("error_500", "rate_limit"))
        if fault == "rate_limit":
            return 429, {
                "error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests"}
            }
        if fault == "error_500":
            status, body = 500, {"error": {"type": "api_error", "message": "An unknown error occurred"}}
        else:
            try:
                status, body = 200, self._route(method, path, params)
            except Refused as refused:
                status, body = refused.status, {"error": refused.error}
        if key is not None and method == "POST" and status not in (400, 404):
            # Stripe keeps nothing when the parameters did not pass validation.
            self._kept[key] = (fingerprint, status, json.loads(json.dumps(body)))
        return status, body

    def _route(self, method: str, path: str, params: Item) -> Item:
        if path in _CREATORS:
            kind, creator = _CREATORS[path]
            if method == "GET":
                return self._page(kind, path, params)
            if creator is None:
                raise Refused(404, message=f"Unrecognized request URL ({method}: {path})")
            item: Item = getattr(self.objects, creator)(params)
            return self._shown(item, params.get("expand", []))
        head, _, last = path.rpartition("/")
        if head in _CREATORS and method == "GET":
            return self._shown(self.objects.get(last, _CREATORS[head][0]), params.get("expand", []))
        if last == "expire" and method == "POST":
            return self._shown(self.objects.expire(head.rpartition("/")[2]), [])
        raise Refused(404, message=f"Unrecognized request URL ({method}: {path})")

    def _page(self, kind: str, path: str, params: Item) -> Item:
        found = [item for item in self.objects.all(kind) if _matches(item, params)]
        if "starting_after" in params:
            places = [place for place, item in enumerate(found) if item["id"] == params["starting_after"]]
            found = found[places[0] + 1 :] if places else []
        limit = int(params.get("limit", 10))
        expand = [path.removeprefix("data.") for path in params.get("expand", [])]
        return {
            "object": "list",
            "url": path,
            "has_more": len(found) > limit,
            "data": [self._shown(item, expand) for item in found[:limit]],
        }

    def _shown(self, item: Item, expand: list[str]) -> Item:
        """The public fields, with each expand path followed as far as there are objects."""
        shown = {name: value for name, value in item.items() if not name.startswith("_")}
        for path in expand:
            name, _, rest = path.partition(".")
            if isinstance(shown.get(name), str) and shown[name] in self.objects.by_id:
                shown[name] = self._shown(self.objects.by_id[shown[name]], [rest] if rest else [])
        return shown

    def _fault(self, path: str, kinds: tuple[str, ...]) -> str | None:
        for fault in self.faults:
            if fault.kind in kinds and path.startswith(fault.path):
                fault.times -= 1
                if fault.times == 0:
                    self.faults.remove(fault)
                return fault.kind
        return None


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    peer: StripeServer


class _Handler(BaseHTTPRequestHandler):
    server: "_Http"

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._serve("GET", parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._serve("POST", parse_qsl(body, keep_blank_values=True))

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `calls`."""

    def _serve(self, method: str, pairs: list[tuple[str, str]]) -> None:
        path, key = urlsplit(self.path).path, self.headers.get("Idempotency-Key")
        with self.server.peer._lock:
            self.server.peer.calls.append((method, path, key))
            hosted = _HOSTED.fullmatch(path)
            if hosted:
                try:
                    return self._hosted(*hosted.groups())
                except Refused as refused:
                    return self._send(refused.status, {"error": refused.error})
            if not self.headers.get("Authorization", "").startswith("Bearer sk_test_"):
                return self._send(401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key"}})
            if self.server.peer._fault(path, ("drop_before",)):
                return self._drop()
            status, body = self.server.peer.answer(method, path, _nested(pairs), key)
            if self.server.peer._fault(path, ("drop_after",)):
                return self._drop()
        return self._send(status, body)

    def _hosted(self, checkout_id: str, act: str | None) -> None:
        """The page a customer sees; its forms pay, decline or leave."""
        acts: dict[str | None, Callable[[str], Item]] = {
            "pay": self.server.peer.objects.pay,
            "decline": self.server.peer.objects.decline,
            "abandon": self.server.peer.objects.expire,
        }
        item = self.server.peer.objects.get(checkout_id, "checkout.session")
        if self.command == "POST" and act in acts:
            acts[act](checkout_id)
            goal = item["success_url"] if act == "pay" else item["cancel_url"] if act == "abandon" else item["url"]
            return self._send(303, None, location=str(goal))
        forms = "".join(
            f'<form method="post" action="{urlsplit(item["url"] or "").path}/{name}"><button>{name}</button></form>'
            for name in acts
        )
        page = f"<!doctype html><title>Checkout</title><h1>{item['amount_total']} {item['currency']}</h1>{forms}"
        return self._send(200, page)

    def _send(self, status: int, body: Item | str | None, *, location: str | None = None) -> None:
        kind = "text/html; charset=utf-8" if isinstance(body, str) else "application/json"
        content = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Request-Id", f"req_{len(self.server.peer.calls)}")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(content)

    def _drop(self) -> None:
        self.close_connection = True


def _matches(item: Item, params: Item) -> bool:
    created = params.get("created", {})
    at_least, at_most = int(created.get("gte", 0)), int(created.get("lte", 2**62))
    return at_least <= item["created"] <= at_most and all(
        item.get(name) == params[name] for name in ("customer", "payment_intent", "charge") if name in params
    )


def _nested(pairs: list[tuple[str, str]]) -> Item:
    """`a[b][0]=c` as nested dicts and lists, which is how Stripe's form encoding reads."""
    root: Item = {}
    for name, value in pairs:
        head, *rest = re.findall(r"[^\[\]]+", name)
        place = root
        for key, _following in zip([head, *rest], rest, strict=False):
            place = place.setdefault(key, {})
        place[[head, *rest][-1]] = value
    return _listed(root)


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(item) for key, item in value.items()}
