"""The HTTP of the peer: one server on loopback, the way of each call, and what tests hold in their hands."""

import json
import re
import socket
import struct
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from tests.peers.stripe import answers, files, form, hosted, params, routes, webhooks
from tests.peers.stripe.account import API_VERSION, Account, Item
from tests.peers.stripe.clock import Clock
from tests.peers.stripe.errors import Refused, Unstarted
from tests.peers.stripe.faults import Faults, Gate, Kind
from tests.peers.stripe.idempotency import Keys
from tests.peers.stripe.keys import check_account, check_key
from tests.peers.stripe.play import Play
from tests.peers.stripe.route import Route

_LONGEST_BODY, _LONGEST_UPLOAD = 1024 * 1024, 8 * 1024 * 1024
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")
_REFUSING: tuple[Kind, ...] = ("rate_limit", "lock_timeout")
_SILENT_BEFORE: tuple[Kind, ...] = ("drop_before", "reset_before", "timeout_before")
_SILENT_AFTER: tuple[Kind, ...] = ("drop_after", "reset_after", "timeout_after", "reset_within")


@dataclass(frozen=True)
class Call:
    """One API call as it came."""

    method: str
    path: str
    params: Item
    key: str | None
    version: str
    request_id: str


@dataclass
class Answer:
    """One answer as it goes."""

    status: int
    body: Item
    headers: dict[str, str] = field(default_factory=dict)


class StripeServer:
    """The server, its objects, and how tests play customer, bank and network.

    The same `seed` and the same calls give the same ids. `hears` is what `playing().events` and thus the tested side is told.
    """

    webhook_secret = "whsec_test_peer"

    def __init__(self, *, seed: str = "plumbline", hears: Sequence[str] = ("*",), is_live: bool = False) -> None:
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.peer = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.clock = Clock()
        self.account = Account(base_url=self.url, clock=self.clock, seed=seed, is_live=is_live)
        self.faults = Faults()
        self.calls: list[tuple[str, str, str | None]] = []  # (method, path, idempotency key), refused ones too
        self.exchanges: list[tuple[Route, Call, Answer]] = []  # what was answered by a route
        self.crashes: list[str] = []  # faults of the peer itself; leaving the block with one fails the test
        self._hears = hears
        self._keys = Keys(self.clock)
        self._lock = threading.RLock()
        self.post = webhooks.Post(account=self.account, lock=self._lock, seed=seed)
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
        if error is None and self.crashes:
            raise AssertionError("the peer itself failed:\n" + "\n".join(self.crashes))

    @contextmanager
    def playing(self) -> Iterator[Play]:
        """The customer, the bank and the dashboard, between calls."""
        with self._lock:
            self.account.catch_up()
            self.account.request = {"id": None, "idempotency_key": None}
            yield Play(self.account, self._hears)

    def fail_next(self, kind: Kind, path: str, times: int = 1) -> None:
        """Ask for a fault in the next calls whose path begins so."""
        self.faults.add(kind, path, times)

    @contextmanager
    def holding(self, path: str) -> Iterator[Gate]:
        """Calls to the path stand still between their key and their effect."""
        with self.faults.holding(path) as gate:
            yield gate

    def signed(self, event: Item, *, at: int | None = None) -> tuple[bytes, dict[str, str]]:
        """(raw body, headers) of a delivery under `webhook_secret`, signed by the peer's clock unless told."""
        return webhooks.signed(event, [self.webhook_secret], at=self.clock.now() if at is None else at)

    def count_calls(self, method: str, path: str) -> int:
        """How often a path was called, faults included."""
        return sum(call[:2] == (method, path) for call in self.calls)

    def answer(self, call: Call) -> Answer | None:
        """One API call from its key to its answer; None: the caller hears nothing."""
        fault = self.faults.take(call.method, call.path, _REFUSING)
        if fault is not None:
            limits = {"Retry-After": str(self.faults.retry_after_s), "Stripe-Should-Retry": "true"}
            if fault == "rate_limit":
                limits["Stripe-Rate-Limited-Reason"] = "global-rate"
            return _error(Unstarted(429, "Too many requests.", code=fault), limits)
        try:
            route, ids = routes.find(call.method, call.path)
            first = None
            if call.key is not None and call.method == "POST":
                first = self._keys.begin(call.key, call.method, call.path, call.params, call.request_id)
        except Unstarted as refused:
            return _error(refused)
        if first is not None:
            headers = {"Idempotent-Replayed": "true", "Original-Request": first.request_id}
            return Answer(first.status, json.loads(first.body or "{}"), headers)
        self.faults.stand_still(call.path)
        answer, is_kept = self._act(route, ids, call)
        if call.key is not None and call.method == "POST":
            if is_kept:
                self._keys.keep(call.key, answer.status, answer.body)
            else:
                self._keys.forget(call.key)
        self.exchanges.append((route, call, answer))
        return answer

    def _act(self, route: Route, ids: dict[str, str], call: Call) -> tuple[Answer, bool]:
        """The answer, and whether it stands for the key."""
        broken = Refused(500, "An unknown error occurred.", kind="api_error")
        if self.faults.take(call.method, call.path, ("error_500",)):
            return _error(broken), True
        with self._lock:
            self.account.catch_up()
            self.account.request = {"id": call.request_id, "idempotency_key": call.key}
            try:
                params.refuse_unknown(call.params, route.accepted)
                answers.check_expand(route, call.params)
                result = route.act(self.account, call.params, **ids)
                answer = Answer(200, answers.show(self.account, result, call.path, call.params))
                answer.body = json.loads(json.dumps(answer.body))
            except Refused as refused:
                return _error(refused), refused.is_kept
            except Exception:
                self.crashes.append(traceback.format_exc())
                return _error(broken), False
        if self.faults.take(call.method, call.path, ("error_500_after",)):
            return _error(broken), True
        return answer, True


def _error(refused: Refused, headers: dict[str, str] | None = None) -> Answer:
    return Answer(refused.status, {"error": refused.error}, headers or {})


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    peer: StripeServer


class _Handler(BaseHTTPRequestHandler):
    server: "_Http"

    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve(urlsplit(self.path).query)

    def do_DELETE(self) -> None:
        self._serve(urlsplit(self.path).query)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        kind = self.headers.get("Content-Type", "")
        is_upload = kind.startswith("multipart/form-data")
        if not length.isdigit() or int(length) > (_LONGEST_UPLOAD if is_upload else _LONGEST_BODY):
            self.close_connection = True
            self._send(_error(Unstarted(400, "Invalid request body.")), request_id="")
            return
        body = self.rfile.read(int(length))
        self._serve("" if is_upload else body.decode("utf-8", "replace"), upload=(kind, body) if is_upload else None)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `calls`."""

    def _serve(self, encoded: str, *, upload: tuple[str, bytes] | None = None) -> None:
        peer, path, key = self.server.peer, urlsplit(self.path).path, self.headers.get("Idempotency-Key")
        if hosted.is_hosted(path):
            return self._page(path, encoded)
        with peer._lock:
            request_id = peer.account.new_id("req")
            peer.calls.append((self.command, path, key))
            peer.faults.draw(self.command, path)
        version = self.headers.get("Stripe-Version", API_VERSION)
        try:
            check_key(self.headers.get("Authorization", ""), is_live=peer.account.is_live)
            check_account(self.headers.get("Stripe-Account"), peer.account.account_id)
            if not _VERSION.fullmatch(version):
                raise Unstarted(400, f"Invalid Stripe API version: {version}")
            sent = form.decode(encoded) if upload is None else files.read(*upload)
            call = Call(self.command, path, sent, key, version, request_id)
        except Unstarted as refused:
            return self._send(_error(refused), request_id=request_id, version=version)
        silence = peer.faults.take(self.command, path, _SILENT_BEFORE)
        answer = None if silence else peer.answer(call)
        silence = silence or peer.faults.take(self.command, path, _SILENT_AFTER)
        if answer is not None and silence == "reset_within":
            self._send(answer, request_id=request_id, version=version, key=key, is_cut=True)
        if silence or answer is None:
            return self._fall_silent(silence or "drop_after")
        if peer.faults.take(self.command, path, ("delay",)):
            time.sleep(peer.faults.delay_s)
        return self._send(answer, request_id=request_id, version=version, key=key)

    def _page(self, path: str, encoded: str) -> None:
        with self.server.peer._lock:
            self.server.peer.account.catch_up()
            try:
                reply = hosted.reply(self.server.peer.account, self.command, path, form.decode(encoded))
            except Refused as refused:
                return self._send(_error(refused), request_id="")
            except Exception:
                self.server.peer.crashes.append(traceback.format_exc())
                return self._send(_error(Refused(500, "The page failed.", kind="api_error")), request_id="")
        headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
        return self._write(reply.status, headers | ({"Location": reply.location} if reply.location else {}), reply.html)

    def _send(
        self,
        answer: Answer,
        *,
        request_id: str,
        version: str = API_VERSION,
        key: str | None = None,
        is_cut: bool = False,
    ) -> None:
        headers = {"Content-Type": "application/json", "Request-Id": request_id, "Stripe-Version": version}
        if key is not None:
            headers["Idempotency-Key"] = key
        self._write(answer.status, headers | answer.headers, json.dumps(answer.body, indent=2), is_cut=is_cut)

    def _write(self, status: int, headers: dict[str, str], text: str, *, is_cut: bool = False) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_cut else content)
        self.wfile.flush()

    def _fall_silent(self, fault: Kind) -> None:
        self.close_connection = True
        if fault.startswith("timeout"):
            _await_leaving(self.connection, self.timeout)
        if fault.startswith("reset"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def _await_leaving(connection: socket.socket, longest_s: int) -> None:
    """Until the caller has closed the connection."""
    connection.settimeout(longest_s)
    try:
        while connection.recv(1024):
            pass
    except OSError:
        return
