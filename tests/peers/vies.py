"""A VIES of the tests' own: real HTTP on the loopback, the shapes of the Commission's REST interface, what it says set by the test."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """What the register holds and what it was asked. `error` is answered instead of a look while it is set."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.error: str | None = None
        self.raw: bytes | None = None
        self.status = 200
        self.location: str | None = None
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question."""
        self.asked.append(body)
        if self.error is not None:
            return {"actionSucceed": False, "errorWrappers": [{"error": self.error}]}
        number = f"{body['countryCode']}{body['vatNumber']}"
        return {
            "countryCode": body["countryCode"],
            "vatNumber": body["vatNumber"],
            "requestDate": "2026-11-21T12:00:00.000Z",
            "valid": number in self.names,
            "requestIdentifier": f"WAPIAAA{len(self.asked)}" if "requesterNumber" in body else "",
            "name": self.names.get(number, "---"),
            "address": "---",
        }


@contextmanager
def serving() -> Iterator[Server]:
    """A register that answers on a free port of the loopback."""
    register = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = register.raw if register.raw is not None else json.dumps(register.answer(body)).encode()
            self.send_response(register.status if self.path.endswith("/check-vat-number") else 404)
            if register.location:
                self.send_header("Location", register.location)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    register.url = f"http://127.0.0.1:{server.server_port}/rest-api"
    try:
        yield register
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
